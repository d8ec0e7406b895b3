package program

import "gatehouse/rules/compile/resolve"

// ranBefore are the phases, by bit, after which what was assumed of a phase holds. Most replies are not inspected: what is
// assumed of phase 5 is that phase 4 did not run.
var ranBefore = [6]uint8{1: 0, 2: 1 << 1, 3: 1<<1 | 1<<2, 4: 1<<1 | 1<<2 | 1<<3, 5: 1<<1 | 1<<2 | 1<<3}

// run runs one phase. The transaction must not go on if it is over a bound then.
func (t *Tx) run(phase int) {
	t.phase = phase
	if t.ran != ranBefore[phase] {
		t.unfold(Constant)
	}
	t.ran |= 1 << phase
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
	decided := t.decided(next)
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
		decided = t.assign(decided, i)
		next = i + 1
		if t.isRemoved(p.Rules[i]) {
			continue
		}
		level := t.level
		if t.profile == nil {
			t.evaluate(i)
		} else {
			t.evaluateProfiled(i)
		}
		if (t.skipAfter != "" || t.skip > 0) && (t.interruption == nil || phase == 5) { // else what it skips, it skips in phase 5
			next = t.skipFrom(next)
		}
		if t.level != level {
			decided = t.decided(next)
		}
	}
	if (t.interruption == nil || phase == 5) && !t.allowed(phase) {
		t.assign(decided, len(p.Rules))
	}
	t.endPhase(phase)
}

// decided are the assignments of the phase's folded rules from one on.
func (t *Tx) decided(from int) []Assignment {
	if t.level == Generic {
		return nil
	}
	all := t.program.Foldings[t.level].Assignments[t.phase]
	for len(all) > 0 && all[0].Rule < from {
		all = all[1:]
	}
	return all
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
	for level := Generic - 1; level >= t.level; level-- {
		if i := nextBit(p.Foldings[level].Acts, rules, first); i >= 0 && i < next {
			t.unfold(level + 1)
			break
		}
	}
	return next
}

// assign makes the assignments of folded rules in front of a rule, and answers those that are left. They make no rule
// active.
func (t *Tx) assign(folded []Assignment, before int) []Assignment {
	for len(folded) > 0 && folded[0].Rule < before {
		t.fields[folded[0].Slot] = txField{folded[0].Value, t.generation}
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
