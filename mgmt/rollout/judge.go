package rollout

import (
	"fmt"
	"time"

	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// Thresholds are what the judge goes by. The documents list them with their reasons.
type Thresholds struct {
	// Acknowledge is how long a gateway may take to serve the revision that it is shown.
	Acknowledge time.Duration
	// Silence is after how long without a report a gateway has failed.
	Silence time.Duration
	// Requests is how many requests a stage needs before it passes; Compared how many of one application on either side before they
	// are compared.
	Requests, Compared int64
	// Score is by how many standard errors two shares must differ, besides what follows.
	Score float64
	// Own5xx, Upstream5xx and Blocked are by how much the share of requests must be higher than that of the others, which it must be
	// twice at least.
	Own5xx, Upstream5xx, Blocked float64
	// Slower is by which factor the time of inspection must be longer, of half and of 95 % of the requests, and SlowerThan
	// the time below which it may be anything.
	Slower     int64
	SlowerThan time.Duration
	// Memory is by how many bytes the memory must have grown beyond twice what it was, and beyond what the others' grew.
	Memory int64
}

// DefaultThresholds are those of a manager.
func DefaultThresholds() Thresholds {
	return Thresholds{
		Acknowledge: 2 * time.Minute, Silence: 45 * time.Second, Requests: 100, Compared: 50, Score: 4,
		Own5xx: 0.005, Upstream5xx: 0.02, Blocked: 0.02, Slower: 4, SlowerThan: 1600 * time.Microsecond, Memory: 256 << 20,
	}
}

// member is a gateway as the judge sees it.
type member struct {
	name  string
	seen  time.Time        // its latest report; zero if there was none
	last  *fleetapi.Report // nil if there was none
	began time.Time        // of one that has the revision: when it was shown to it
	boot  string           // the process to which it was shown
	start sample           // at the beginning of the stage
	begin *sample          // where counting begins, if not there
	past  sample           // about an hour before, empty if there is none
	// refused is what it has refused, of any revision, and what it died with.
	refused []refused
	// fresh says that the stage has brought it the revision.
	fresh bool
}

// from is where counting begins.
func (m *member) from() sample {
	if m.begin != nil {
		return *m.begin
	}
	return m.start
}

// serves says whether it serves a revision.
func (m *member) serves(order revision.Order, hash revision.Hash) bool {
	return m.last != nil && m.last.Serving.Revision == order && m.last.Serving.Hash == hash
}

// trialInput is what the judge knows.
type trialInput struct {
	now         time.Time
	order       revision.Order
	hash        revision.Hash
	head        revision.Hash // of the signed head that the gateways were shown
	stageBegan  time.Time
	soak        time.Duration
	watching    time.Time // since when reports were looked at without a pause: nobody was silent before
	with        []member  // the gateways that have the revision
	others      []member  // those that serve what there was before
	thresholds  Thresholds
	forgetSoak  bool // an operator has said so: only failures count
	othersAgree bool // of the last stage: the others are gateways that have passed a stage with the revision
}

// outcome is what is to be done about a stage.
type outcome string

const (
	goOn outcome = "running" // nothing yet
	ask  outcome = "waiting" // it cannot be judged: an operator is asked
	pass outcome = "passed"
	fail outcome = "failed"
)

// Judgement is what the judge says of a stage.
type Judgement struct {
	Outcome outcome `json:"outcome" enum:"running,waiting,passed,failed"`
	// Cause is a word for what failed or is waited for, Reason says it in a sentence.
	Cause       string `json:"cause,omitempty" enum:"refused,crashed,restarted,silent,late,not_ready,own_5xx,upstream_5xx,blocked,slower,memory,requests,upstream,acknowledge,soak"`
	Reason      string `json:"reason,omitempty"`
	Gateway     string `json:"gateway,omitempty"`
	Application string `json:"application,omitempty"`
	// Gateways have the revision, Acknowledged serve it, and they answered Requests in this stage. It was compared with Compared requests
	// of the others, or, if OwnPast, with the gateway's own past hour.
	Gateways     int   `json:"gateways"`
	Acknowledged int   `json:"acknowledged"`
	Requests     int64 `json:"requests"`
	Compared     int64 `json:"compared"`
	OwnPast      bool  `json:"own_past,omitempty"`
}

func (j Judgement) is(o outcome, cause, format string, args ...any) Judgement {
	j.Outcome, j.Cause, j.Reason = o, cause, fmt.Sprintf(format, args...)
	return j
}

// judge says what is to be done. It looks at nothing but its input.
func judge(in trialInput) Judgement {
	j := Judgement{Outcome: goOn, Gateways: len(in.with)}
	for i := range in.with {
		if in.with[i].serves(in.order, in.hash) {
			j.Acknowledged++
		}
	}
	for i := range in.with {
		if bad := in.health(j, &in.with[i]); bad.Outcome == fail {
			bad.Gateway = in.with[i].name
			return bad
		}
	}
	mine, others := in.counted(&j)
	unsure, compared := Judgement{}, false
	for _, application := range applications(mine) {
		if !in.comparable(mine[application], others[application]) {
			continue
		}
		compared = true
		found := in.compare(j, application, mine[application], others[application])
		found.Application = application
		switch found.Outcome {
		case fail:
			return found
		case ask:
			unsure = found
		}
	}
	if !compared && j.Requests >= in.thresholds.Requests {
		unsure = j.is(ask, "requests", "there are too few requests without the revision to compare it with: %d are needed of one application; advance or abort it", in.thresholds.Compared)
	}
	return in.conclude(j, unsure)
}

// health looks at one gateway by itself.
func (in *trialInput) health(j Judgement, m *member) Judgement {
	if r := in.refusal(m); r != nil {
		if r.Crashed {
			return j.is(fail, "crashed", "gateway %s died with it: %s", m.name, r.Reason)
		}
		return j.is(fail, "refused", "gateway %s refuses it: %s", m.name, r.Reason)
	}
	heard := m.seen
	for _, t := range []time.Time{m.began, in.watching} {
		if t.After(heard) {
			heard = t
		}
	}
	if d := in.now.Sub(heard); d > in.thresholds.Silence {
		return j.is(fail, "silent", "gateway %s has been silent for %v", m.name, d.Round(time.Second))
	}
	if m.last == nil {
		return j
	}
	if m.boot != "" && m.last.Boot != m.boot {
		return j.is(fail, "restarted", "gateway %s was started again at %s, after it got the revision", m.name, m.last.Started.UTC().Format(time.TimeOnly))
	}
	waited := in.now.Sub(later(m.began, in.watching))
	if !m.serves(in.order, in.hash) {
		if waited > in.thresholds.Acknowledge {
			return j.is(fail, "late", "gateway %s does not serve it after %v", m.name, waited.Round(time.Second))
		}
		return j
	}
	if !m.last.Ready && waited > in.thresholds.Acknowledge {
		return j.is(fail, "not_ready", "gateway %s serves it and is not ready for traffic", m.name)
	}
	if why := in.grown(m); why != "" {
		return j.is(fail, "memory", "gateway %s %s", m.name, why)
	}
	return j
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// refused is what a gateway refused, or died with.
type refused struct {
	fleetapi.Refusal
	Crashed bool `json:"crashed,omitempty"`
}

// refusal is what a gateway has against the revision.
func (in *trialInput) refusal(m *member) *refused {
	for i := range m.refused {
		r := &m.refused[i]
		switch {
		case r.Kind == revision.KindHead && r.Hash == in.head: // whose signature it did not believe: it does not know the number
			return r
		case (r.Kind == revision.KindRevision || r.Kind == revision.KindHead) && r.Order == in.order && r.Hash == in.hash:
			return r
		}
	}
	return nil
}

// grown says how much a gateway's memory has grown, if that is too much.
func (in *trialInput) grown(m *member) string {
	before, now := m.start.Memory, m.last.Memory
	if before <= 0 || m.start.Boot != m.last.Boot {
		return ""
	}
	var others []int64
	for i := range in.others {
		if o := &in.others[i]; o.last != nil && o.start.Boot == o.last.Boot {
			others = append(others, o.last.Memory-o.start.Memory)
		}
	}
	if grown := now - before; now > 2*before && grown > in.thresholds.Memory+max(0, median(others)) {
		return fmt.Sprintf("has %d MiB of memory, and had %d MiB before", now>>20, before>>20)
	}
	return ""
}

// conclude says whether the stage is over, once nothing has failed.
func (in *trialInput) conclude(j, unsure Judgement) Judgement {
	end := in.stageBegan.Add(in.soak)
	switch {
	case j.Acknowledged < j.Gateways:
		return j.is(goOn, "acknowledge", "%d of %d gateways serve it", j.Acknowledged, j.Gateways)
	case in.forgetSoak || in.soak <= 0:
		j.Outcome = pass
		return j
	case in.now.Before(end):
		return j.is(goOn, "soak", "it is watched for %v more", end.Sub(in.now).Round(time.Second))
	case unsure.Outcome == ask:
		return unsure
	case j.Requests < in.thresholds.Requests:
		return j.is(ask, "requests", "%d requests are too few to judge, %d are needed; it waits for more, or for somebody who advances or aborts it",
			j.Requests, in.thresholds.Requests)
	}
	j.Outcome = pass
	return j
}
