package rollout

import "fmt"

// suspicion is what a stage is judged by besides its own beginning. Reports come at different times, so what befalls all gateways at
// once, such as an outage of the upstream, is seen of one before it is seen of the others. What looks worse is therefore held
// against the others once more, from then on, and until each has reported three times: by then most of what each has counted since is of the same minutes.
type suspicion struct {
	base, from map[string]mark // from is nil if there is none
}

// mark is what a gateway had counted at a report of its.
type mark struct {
	sample
	sequence int64
}

// compared says whether a judgement comes from holding requests against those of others.
func (j Judgement) compared() bool {
	switch j.Cause {
	case "own_5xx", "upstream_5xx", "blocked", "slower":
		return j.Outcome == fail
	}
	return false
}

// suspected is a failure that is looked at again.
func (j Judgement) suspected() Judgement {
	return j.is(goOn, "soak", "it looks as if it failed, and is looked at again: %s", j.Reason)
}

// confirmed judges, and lets nothing fail by comparison that a second look does not confirm.
func (s *Service) confirmed(v *view, in trialInput) Judgement {
	key := fmt.Sprintf("%s %d", v.rollout.ID, v.rollout.Stage)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.suspicions[key]
	if x == nil {
		x = &suspicion{}
		const most = 64
		if len(s.suspicions) > most {
			clear(s.suspicions)
		}
		s.suspicions[key] = x
	}
	j := judge(in.since(x.base))
	if !j.compared() {
		x.from = nil
		return j
	}
	if x.from == nil {
		x.from = in.marks()
		return j.suspected()
	}
	if !in.reportedAgain(x.from) {
		return j.suspected()
	}
	x.base, x.from = x.from, nil
	return judge(in.since(x.base))
}

// since is the input with counts that begin at marks; nil leaves it as it is.
func (in trialInput) since(marks map[string]mark) trialInput {
	if marks == nil {
		return in
	}
	begin := func(list []member) []member {
		out := make([]member, len(list))
		for i, m := range list {
			if at, ok := marks[m.name]; ok {
				m.begin = &at.sample
			}
			out[i] = m
		}
		return out
	}
	in.with, in.others = begin(in.with), begin(in.others)
	return in
}

// marks are what all have counted now.
func (in *trialInput) marks() map[string]mark {
	out := map[string]mark{}
	for _, list := range [][]member{in.with, in.others} {
		for i := range list {
			if m := &list[i]; m.last != nil {
				out[m.name] = mark{sampleOf(m.last), m.last.Sequence}
			}
		}
	}
	return out
}

// reportsAgain is how often each gateway reports before a suspicion is decided.
const reportsAgain = 3

// reportedAgain says whether all that were heard of lately have reported so often since.
func (in *trialInput) reportedAgain(since map[string]mark) bool {
	for _, list := range [][]member{in.with, in.others} {
		for i := range list {
			m := &list[i]
			at, ok := since[m.name]
			if !ok || m.last == nil || m.last.Boot != at.Boot || in.now.Sub(m.seen) > in.thresholds.Silence {
				continue
			}
			if m.last.Sequence < at.sequence+reportsAgain {
				return false
			}
		}
	}
	return true
}
