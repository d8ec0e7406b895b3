package load

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"gatehouse/bench/mix"
)

// Vegeta sends requests at a rate, however long replies take, with as many connections as that needs; each reply is held
// against the request that it answers. It speaks HTTP/1.1 and, on TLS, HTTP/2.
type Vegeta struct {
	targets []vegeta.Target
	attacks []bool
	http2   bool
}

// NewVegeta makes the requests ready for a server at a URL.
func NewVegeta(url string, requests []mix.Request, http2 bool) *Vegeta {
	v := &Vegeta{targets: make([]vegeta.Target, len(requests)), attacks: make([]bool, len(requests)), http2: http2}
	for i, r := range requests {
		header := http.Header{}
		for _, h := range r.Headers {
			switch h.Name {
			case "Connection", "Content-Length": // the client's own
			default:
				header.Add(h.Name, h.Value)
			}
		}
		// A fragment is not sent: by it the reply is known as that to request i.
		v.targets[i] = vegeta.Target{Method: r.Method, URL: url + r.Target + "#" + strconv.Itoa(i), Header: header, Body: r.Body}
		v.attacks[i] = r.Attack
	}
	return v
}

// Steady is what came of sending at a rate.
type Steady struct {
	Requests int
	Seconds  float64
	Benign   Latency // of requests that are to pass, from the time at which each was due
	Attacks  Latency
	// Late is how far behind its schedule the driver was itself, at the 99th percentile, in microseconds.
	Late float64
	// Wrong are replies that are not what the request should have got, a few of them in words.
	Wrong  int
	Errors []string
}

// timerStep is how late a timer of the driver may fire by itself. What is later than that is time in which a client
// waited, too, since the driver had no processor because the server had it: it counts.
const timerStep = 2 * time.Millisecond

// Rate sends so many requests a second for a time, beginning with request first of the mix.
func (v *Vegeta) Rate(perSecond int, how time.Duration, inspects bool, first int) Steady {
	attacker := v.attacker()
	results := attacker.Attack(v.next(first), vegeta.Rate{Freq: perSecond, Per: time.Second}, how, "")
	return v.collect(results, inspects, lateness(perSecond))
}

// lateness says by how much a request was sent after it was due at a rate.
func lateness(perSecond int) func(*vegeta.Result, time.Time) time.Duration {
	interval := time.Second / time.Duration(perSecond)
	return func(r *vegeta.Result, began time.Time) time.Duration {
		return r.Timestamp.Sub(began) - time.Duration(r.Seq)*interval
	}
}

// Saturate sends the next request on each of some connections when the reply to the last is complete. It is for HTTP/2,
// which wrk does not speak; the client itself costs more than most servers.
func (v *Vegeta) Saturate(connections int, how time.Duration, inspects bool, first int) Steady {
	attacker := v.attacker(vegeta.Workers(uint64(connections)), vegeta.MaxWorkers(uint64(connections)))
	results := attacker.Attack(v.next(first), vegeta.Rate{}, how, "")
	return v.collect(results, inspects, func(*vegeta.Result, time.Time) time.Duration { return 0 })
}

// Check sends n requests of the mix, evenly taken, over some connections, for at most a time.
func (v *Vegeta) Check(n, connections int, within time.Duration, inspects bool) Steady {
	n = min(n, len(v.targets))
	var sent atomic.Int64
	attacker := v.attacker(vegeta.Workers(uint64(connections)), vegeta.MaxWorkers(uint64(connections)))
	target := func(t *vegeta.Target) error {
		i := sent.Add(1) - 1
		*t = v.targets[int(i)*len(v.targets)/n%len(v.targets)]
		return nil
	}
	// The pacer stops after the last.
	pace := vegeta.PacerFunc(func(elapsed time.Duration, hits uint64) (time.Duration, bool) { return 0, hits >= uint64(n) })
	results := attacker.Attack(target, pacer{pace}, within, "")
	return v.collect(results, inspects, func(*vegeta.Result, time.Time) time.Duration { return 0 })
}

// pacer is a pacer of which nobody asks the rate.
type pacer struct{ vegeta.PacerFunc }

func (pacer) Rate(time.Duration) float64 { return 0 }

func (v *Vegeta) attacker(options ...func(*vegeta.Attacker)) *vegeta.Attacker {
	const timeout = time.Minute
	return vegeta.NewAttacker(append([]func(*vegeta.Attacker){
		vegeta.Timeout(timeout), vegeta.Redirects(vegeta.NoFollow), vegeta.TLSConfig(&tls.Config{InsecureSkipVerify: true}), vegeta.HTTP2(v.http2),
	}, options...)...)
}

// next gives the requests one after the other.
func (v *Vegeta) next(first int) vegeta.Targeter {
	var at atomic.Int64
	at.Store(int64(first))
	return func(t *vegeta.Target) error {
		*t = v.targets[int(at.Add(1)-1)%len(v.targets)]
		return nil
	}
}

// collect judges the replies; late says by how much a request was sent after it was due.
func (v *Vegeta) collect(results <-chan *vegeta.Result, inspects bool, late func(r *vegeta.Result, began time.Time) time.Duration) Steady {
	var all []*vegeta.Result
	for r := range results {
		r.Body, r.Headers = nil, nil
		all = append(all, r)
	}
	if len(all) == 0 {
		return Steady{Wrong: 1, Errors: []string{"no request was sent"}}
	}
	began, ended := all[0].Timestamp, all[0].End()
	for _, r := range all {
		if r.Timestamp.Before(began) {
			began = r.Timestamp
		}
		if r.End().After(ended) {
			ended = r.End()
		}
	}
	s := Steady{Requests: len(all), Seconds: ended.Sub(began).Seconds()}
	var benign, attacks, behind []time.Duration
	for _, r := range all {
		wait := late(r, began)
		behind = append(behind, wait)
		took := r.Latency + max(0, wait-timerStep)
		attack, problem := v.judge(r, inspects)
		if problem != "" {
			s.Wrong++
			if len(s.Errors) < 3 {
				s.Errors = append(s.Errors, problem)
			}
		}
		if attack {
			attacks = append(attacks, took)
		} else {
			benign = append(benign, took)
		}
	}
	s.Benign, s.Attacks, s.Late = latencyOf(benign), latencyOf(attacks), latencyOf(behind).P99
	return s
}

// judge says whether the request was an attack, and what is wrong with its reply.
func (v *Vegeta) judge(r *vegeta.Result, inspects bool) (attack bool, problem string) {
	target, fragment, _ := strings.Cut(r.URL, "#")
	i, err := strconv.Atoi(fragment)
	if err != nil || i < 0 || i >= len(v.attacks) {
		return false, "a reply to what was not sent: " + r.URL
	}
	attack = v.attacks[i]
	const shown = 300
	what := fmt.Sprintf("%s %s %.*q", r.Method, target, shown, v.targets[i].Body)
	switch {
	case r.Code == 0:
		return attack, fmt.Sprintf("no reply (%s): %s", r.Error, what)
	case attack && inspects && r.Code != http.StatusForbidden:
		return attack, fmt.Sprintf("an attack got %d: %s", r.Code, what)
	case (!attack || !inspects) && r.Code/100 != 2:
		return attack, fmt.Sprintf("a benign request got %d: %s", r.Code, what)
	}
	return attack, ""
}
