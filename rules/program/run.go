package program

import "gatehouse/rules/compile/resolve"

// run runs one phase. The transaction must not go on if it is over a bound then.
func (t *Tx) run(phase int) {
	t.phase = phase
	if t.profile == nil {
		t.lookAt(phase)
	} else {
		t.lookAtProfiled(phase)
	}
	p := t.program
	rules := p.Phases[phase]
	next := 0
	if t.skipAfter != "" {
		next = t.skipFrom(0)
	}
	folded := p.Folded[phase]
	for {
		i := nextBit(t.active, rules, next)
		if i < 0 {
			break
		}
		if t.over != nil {
			return
		}
		if t.interruption != nil && phase != 5 || t.allowed(phase) {
			t.endPhase(phase)
			return
		}
		if !t.generic {
			folded = t.assign(folded, i)
		}
		next = i + 1
		if t.isRemoved(p.Rules[i]) {
			continue
		}
		if t.profile == nil {
			t.evaluate(i)
		} else {
			t.evaluateProfiled(i)
		}
		if t.interruption != nil && phase != 5 {
			continue // what it skips, it skips in phase 5
		}
		if t.skipAfter != "" || t.skip > 0 {
			next = t.skipFrom(next)
		}
	}
	if !t.generic && (t.interruption == nil || phase == 5) && !t.allowed(phase) {
		t.assign(folded, len(p.Rules))
	}
	t.endPhase(phase)
}

// skipFrom is the rule at which a phase goes on after a skip. A marker that does not follow skips the rest of the phase,
// and is looked for in the next one.
func (t *Tx) skipFrom(first int) int {
	p := t.program
	rules := p.Phases[t.phase]
	next := first
	if t.skipAfter != "" {
		next = len(p.Rules)
		if marker := p.marker(t.skipAfter, first-1); marker >= 0 {
			next = marker + 1
			t.skipAfter = ""
		}
	}
	for ; t.skip > 0; t.skip-- {
		i := nextBit(rules, rules, next)
		for ; i >= 0 && t.isRemoved(p.Rules[i]); i = nextBit(rules, rules, i+1) {
		}
		if i < 0 {
			break
		}
		next = i + 1
	}
	if i := nextBit(p.Acts, rules, first); i >= 0 && i < next {
		t.unfold()
	}
	return next
}

// assign makes the assignments of folded rules in front of a rule, and answers those that are left.
func (t *Tx) assign(folded []Assignment, before int) []Assignment {
	for len(folded) > 0 && folded[0].Rule < before {
		t.set(folded[0].Slot, folded[0].Value)
		folded = folded[1:]
	}
	return folded
}

// allowed says whether an allow skips what is left of the phase.
func (t *Tx) allowed(phase int) bool {
	switch t.allow {
	case resolve.AllowPhase, resolve.Allow:
		return true
	case resolve.AllowRequest:
		return phase <= 2
	}
	return false
}

func (t *Tx) endPhase(phase int) {
	t.skip = 0
	if t.allow == resolve.AllowPhase || t.allow == resolve.AllowRequest && phase == 2 {
		t.allow = resolve.Pass
	}
}

func (t *Tx) isRemoved(r *Rule) bool {
	for _, s := range t.removed {
		if selects(s, r) {
			return true
		}
	}
	return false
}
