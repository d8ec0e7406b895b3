package rollout

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"gatehouse/rules/revision"
)

// counted gives what was counted by application: of the gateways that have the revision, and of what they are held against.
func (in *trialInput) counted(j *Judgement) (mine, others map[string]counts) {
	mine, others = map[string]counts{}, map[string]counts{}
	ofIt := func(o revision.Order) bool { return o == in.order }
	notIt := func(o revision.Order) bool { return o != in.order }
	for i := range in.with {
		if m := &in.with[i]; m.last != nil && (m.fresh || !in.othersAgree) {
			since(mine, m.from(), sampleOf(m.last), ofIt)
		}
	}
	take := notIt
	if in.othersAgree {
		take = ofIt
	}
	for i := range in.others {
		if m := &in.others[i]; m.last != nil {
			since(others, m.from(), sampleOf(m.last), take)
		}
	}
	j.Requests, j.Compared = total(mine).requests, total(others).requests
	if j.Compared >= in.thresholds.Compared {
		return mine, others
	}
	past := map[string]counts{}
	for i := range in.with {
		since(past, in.with[i].past, in.with[i].start, notIt)
	}
	j.OwnPast, j.Compared = true, total(past).requests
	return mine, past
}

// comparable says whether there were enough requests on either side.
func (in *trialInput) comparable(mine, others counts) bool {
	return mine.requests >= in.thresholds.Compared && others.requests >= in.thresholds.Compared
}

// compare holds one application's requests against those of the others.
func (in *trialInput) compare(j Judgement, application string, mine, others counts) Judgement {
	th := &in.thresholds
	than := "on the gateways without it"
	switch {
	case j.OwnPast:
		than = "in the hour before"
	case in.othersAgree:
		than = "on the gateways that had it before"
	}
	upstream := in.higher(mine.upstream5xx, mine.requests, others.upstream5xx, others.requests, th.Upstream5xx)
	upstreamText := fmt.Sprintf("application %s: %s of the requests end with a status of 5xx by the upstream, and %s %s",
		application, percent(mine.upstream5xx, mine.requests), percent(others.upstream5xx, others.requests), than)
	if upstream && !j.OwnPast {
		return j.is(fail, "upstream_5xx", "%s", upstreamText)
	}
	// An upstream that does not answer also makes a gateway shed requests.
	if !upstream && in.higher(mine.own5xx, mine.requests, others.own5xx, others.requests, th.Own5xx) {
		return j.is(fail, "own_5xx", "application %s: %s of the requests end with a status of 5xx by the gateway itself, and %s %s",
			application, percent(mine.own5xx, mine.requests), percent(others.own5xx, others.requests), than)
	}
	// What the others would have blocked counts as blocked, so that switching an application to block halts nothing by itself.
	if in.higher(mine.blocked, mine.requests, others.blocked+others.detected, others.requests, th.Blocked) {
		return j.is(fail, "blocked", "application %s: %s of the requests are blocked, and %s were or would have been %s",
			application, percent(mine.blocked, mine.requests), percent(others.blocked+others.detected, others.requests), than)
	}
	if slow, before, ok := in.slower(&mine, &others); ok {
		return j.is(fail, "slower", "application %s: inspection takes up to %v, and %v %s", application, slow, before, than)
	}
	if upstream {
		return j.is(ask, "upstream", "%s; without other gateways it cannot be told whether that is the revision's fault: advance or abort it", upstreamText)
	}
	return j
}

// percent writes a share for people.
func percent(a, n int64) string { return strconv.FormatFloat(100*share(a, n), 'g', 3, 64) + " %" }

// higher says whether a share is so much higher than another that it is no accident.
func (in *trialInput) higher(a, n, b, m int64, by float64) bool {
	mine, others := share(a, n), share(b, m)
	return mine-others >= by && mine >= 2*others && score(a, n, b, m) >= in.thresholds.Score
}

// manyMore is how many times the requests that are compared there must be before the slowest 5 % say something: a pause of a second hits
// many of few.
const manyMore = 20

// slower compares how long inspection took, for half and for 95 % of the requests.
func (in *trialInput) slower(mine, others *counts) (now, before time.Duration, yes bool) {
	shares := []float64{0.5}
	if min(mine.requests, others.requests) >= manyMore*in.thresholds.Compared {
		shares = append(shares, 0.95)
	}
	for _, q := range shares {
		a, b := mine.quantile(q), others.quantile(q)
		if a >= in.thresholds.Slower*b && a > in.thresholds.SlowerThan.Microseconds() {
			return micros(a), micros(b), true
		}
	}
	return 0, 0, false
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func median(list []int64) int64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[len(list)/2]
}
