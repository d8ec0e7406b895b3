package program

import (
	"math/bits"

	"gatehouse/rules"
	"gatehouse/rules/program/byteset"
	"gatehouse/rules/program/pattern"
	"gatehouse/rules/program/variable"
)

// look is what was looked at in a transaction: the values, their transformations, and what patterns nominated.
type look struct {
	values []value
	// Where the values of a variable begin in values, plus one; 0 if they are not in it.
	singles, lists, names [variable.Count]int32
	fields                []int32 // of TX, by slot; only set for those with a class

	texts   []text
	results []int32 // by value and step of its plan: index in texts plus one, 0 if not computed yet

	candidates []candidate
	nominated  []int32         // the rules nominated for the last value, ^rule if it is muted
	heads      []candidateList // by rule
	touched    []int32         // the rules with candidates
	scratch    []*pattern.Scratch
	wants      [][]Bits // by text of a value and set, to build a union in

	bytes int // scanned
}

// value is a value that classes know.
type value struct {
	class    *Class
	variable variable.ID
	names    bool
	index    int32 // in the list, or the slot of a field of TX
	text     int32 // in texts, of the value itself
	plan     *plan // nil if it was not needed so far
	first    int32 // where its results begin, or -1: there are none so far
}

// text is a value after some transformations.
type text struct {
	s    string
	mask byteset.Set
}

type candidate struct{ value, next int32 }

type candidateList struct {
	first, last int32
	loud        bool // not all of them come to nothing
}

func (l *look) single(v variable.ID) int { return int(l.singles[v]) - 1 }

func (l *look) entry(s Source, i int) int {
	base := l.lists[s.Variable]
	if s.Names {
		base = l.names[s.Variable]
	}
	if base == 0 {
		return -1
	}
	return int(base) - 1 + i
}

func (l *look) tx(slot int) int {
	if l.fields == nil {
		return -1
	}
	return int(l.fields[slot]) - 1
}

func (l *look) reset() {
	l.values = l.values[:0]
	l.singles = [variable.Count]int32{}
	l.lists = [variable.Count]int32{}
	l.names = [variable.Count]int32{}
	clear(l.fields)
	clear(l.texts)
	l.texts = l.texts[:0]
	l.results = l.results[:0]
	l.candidates = l.candidates[:0]
	for _, r := range l.touched {
		l.heads[r] = candidateList{}
	}
	l.touched = l.touched[:0]
	l.bytes = 0
}

// lookAt looks at all values that are fixed from a phase on and were not before.
func (t *Tx) lookAt(phase int) {
	for t.looked < phase && t.looked < lastFixed {
		t.looked++
		for _, v := range t.program.singles[t.looked] {
			t.look.singles[v] = int32(len(t.look.values)) + 1
			t.lookAtValue(t.program.Classes[v].Other, v, false, 0, "", t.vars.Singles[v])
		}
		for _, v := range t.program.lists[t.looked] {
			t.lookAtList(v)
		}
		if t.looked == 1 {
			t.lookAtFields()
		}
	}
}

func (t *Tx) lookAtList(v variable.ID) {
	list := t.vars.Lists[v]
	if len(list) == 0 {
		return
	}
	if c := t.program.Classes[v]; c != nil {
		t.look.lists[v] = int32(len(t.look.values)) + 1
		for i := range list {
			t.lookAtValue(c.of(list[i].Lower), v, false, i, list[i].Lower, list[i].Value)
		}
	}
	if c := t.program.NameClasses[v]; c != nil {
		t.look.names[v] = int32(len(t.look.values)) + 1
		for i := range list {
			t.lookAtValue(c.of(list[i].Lower), v, true, i, "", list[i].Key)
		}
	}
}

func (t *Tx) lookAtFields() {
	for _, slot := range t.program.fields {
		if value, ok := t.field(slot); ok {
			t.look.fields[slot] = int32(len(t.look.values)) + 1
			t.lookAtValue(t.program.FieldClasses[slot], variable.TX, false, slot, "", value)
		}
	}
}

func (c *Classes) of(key string) *Class {
	if c.ByKey != nil {
		if class, ok := c.ByKey[key]; ok {
			return class
		}
	}
	return c.Other
}

// lookAtValue registers a value, and nominates rules for it. Key is that of the value in its list, in lower case.
func (t *Tx) lookAtValue(c *Class, v variable.ID, names bool, index int, key, s string) {
	l := &t.look
	if t.over != nil {
		return
	}
	if most := t.program.Bounds.Values; most > 0 && len(l.values) >= most {
		t.over = &rules.BoundError{What: "values", Limit: most}
		return
	}
	t.activate(c.Present)
	at := int32(len(l.values))
	l.values = append(l.values, value{class: c, variable: v, names: names, index: int32(index), text: int32(len(l.texts)), first: -1})
	if !c.Looks && len(c.Run) == 0 || len(s) > longestSeen || !repeats(v, names, key) {
		t.activate(c.runs(s))
		l.texts = append(l.texts, text{s, byteset.Of(s)})
		t.search(at)
		return
	}
	known, place := remembered.find(c.number, s)
	if known != nil {
		l.texts = append(l.texts, text{s, known.mask})
		t.recall(at, known)
		return
	}
	t.activate(c.Run)
	mask, before := byteset.Of(s), l.bytes
	l.nominated = l.nominated[:0]
	l.texts = append(l.texts, text{s, mask})
	t.search(at)
	if t.over == nil && place.again() {
		place.keep(seen{
			class: c.number, value: s, mask: mask, bytes: l.bytes - before, run: t.mayMatch(c.Run, s), nominated: t.mayMatch(l.nominated, s),
		})
	}
}

func (t *Tx) activate(rules []int32) {
	for _, rule := range rules {
		t.active.Set(int(rule))
	}
}

// mayMatch are the rules that do not fail for a value, in new memory.
func (t *Tx) mayMatch(rules []int32, value string) (out []int32) {
	for _, rule := range rules {
		if rule < 0 || !t.program.Rules[rule].Fails(value) {
			out = append(out, rule)
		}
	}
	return out
}

// recall makes the rules run that may match a value that came before.
func (t *Tx) recall(at int32, known *seen) {
	if !t.scanned(known.bytes) {
		return
	}
	t.activate(known.run)
	for _, rule := range known.nominated {
		if rule < 0 {
			t.addCandidate(int(^rule), at, true)
		} else {
			t.addCandidate(int(rule), at, false)
		}
	}
}

// scanned counts bytes that were scanned for patterns, and reports whether there may be more.
func (t *Tx) scanned(bytes int) bool {
	t.look.bytes += bytes
	if most := t.program.Bounds.Bytes; most > 0 && t.look.bytes > most {
		t.over = &rules.BoundError{What: "bytes", Limit: most}
		return false
	}
	return true
}

// search looks for patterns in a value, and in what transformations make of it.
func (t *Tx) search(at int32) {
	l := &t.look
	v := &l.values[at]
	c := v.class
	if !c.Looks {
		return
	}
	l.nominated = l.nominated[:0]
	s, mask := l.texts[v.text].s, l.texts[v.text].mask
	p := c.plan(&mask)
	v.plan = p
	first := int32(len(l.texts)) - 1
	if len(p.wanted) == 0 {
		if want := p.steps[0].want; want != nil {
			t.nominate(at, first, want)
		}
		return
	}
	// The patterns to look for, by text.
	texts := 1
	l.clearWants(0)
	l.want(0, p.steps[0].want)
	var short uint64 // steps after which nothing matches, for all that is known of their texts
	for _, step := range p.wanted {
		c := &p.steps[step]
		if short>>c.parent&1 != 0 {
			short |= 1 << step
			continue
		}
		if len(s) < c.least || !c.reach.met(&mask) {
			continue
		}
		if c.step.Checks() {
			from := c.parent
			if c.spaced {
				from = p.steps[from].parent
			}
			if in := t.result(at, from); !c.step.Reaches(l.texts[in].s, c.below, c.found.any(), c.spaced) {
				short |= 1 << step
				continue
			}
		}
		in := t.result(at, c.parent)
		if from := &l.texts[in]; len(from.s) < c.leastBefore || !c.reachBefore.met(&from.mask) {
			continue
		}
		made := t.make(at, step, in)
		if !c.free && !l.texts[made].mask.Intersects(c.needs) {
			continue
		}
		k := int(made - first)
		for ; texts <= k; texts++ {
			l.clearWants(texts)
		}
		l.want(k, c.want)
	}
	for k := range texts {
		t.nominate(at, first+int32(k), l.wants[k])
	}
}

// want adds patterns to look for in a text.
func (l *look) want(k int, want []Bits) {
	for i, w := range want {
		orBits(l.wants[k][i], w)
	}
}

// clearWants makes the patterns to look for in a text none.
func (l *look) clearWants(k int) {
	if k == len(l.wants) {
		wants := make([]Bits, len(l.wants[0]))
		for i, w := range l.wants[0] {
			wants[i] = make(Bits, len(w))
		}
		l.wants = append(l.wants, wants)
		return
	}
	for _, w := range l.wants[k] {
		clear(w)
	}
}

// nominate looks for patterns in a text of a value, and notes the rules that have to decide it.
func (t *Tx) nominate(at, textAt int32, wants []Bits) {
	l := &t.look
	text := &l.texts[textAt]
	for i, set := range t.program.Sets {
		if isEmpty(wants[i]) {
			continue
		}
		if !t.scanned(len(text.s) + 1) {
			return
		}
		found := set.Nominate(l.scratch[i], text.s, text.mask, wants[i])
		for w, word := range found {
			for ; word != 0; word &= word - 1 {
				for _, use := range t.program.Uses[i][w*64+bits.TrailingZeros64(word)] {
					if t.holds(at, use, textAt) {
						t.addCandidate(use.Rule, at, t.mutes(use.Rule, textAt))
					}
				}
			}
		}
	}
}

// mutes says that the match of a rule comes to nothing.
func (t *Tx) mutes(rule int, textAt int32) bool {
	return t.program.mutes != nil && t.program.mutes[rule] != nil && t.program.mutes[rule].comesToNothing(t.look.texts[textAt].s)
}

// holds says whether a text is one that the rule looks at.
func (t *Tx) holds(at int32, use Use, textAt int32) bool {
	v := &t.look.values[at]
	if use.Multi {
		for _, n := range v.class.StepsOf[use.Chain] {
			if t.made(v, v.plan.of[n], textAt) {
				return true
			}
		}
		return false
	}
	n := v.class.node(use.Chain)
	return n >= 0 && t.made(v, v.plan.of[n], textAt)
}

// made says whether a text is known to be what a step of the value's plan makes.
func (t *Tx) made(v *value, step int16, textAt int32) bool {
	if step == 0 {
		return v.text == textAt
	}
	return v.first >= 0 && t.look.results[v.first+int32(step)] == textAt+1
}

// addCandidate gives a rule a value, which may come to nothing.
func (t *Tx) addCandidate(rule int, at int32, muted bool) {
	l := &t.look
	head := &l.heads[rule]
	head.loud = head.loud || !muted
	if head.last != 0 && l.candidates[head.last-1].value == at {
		return // another text of the same value
	}
	l.candidates = append(l.candidates, candidate{value: at, next: 0})
	if muted {
		l.nominated = append(l.nominated, int32(^rule))
	} else {
		l.nominated = append(l.nominated, int32(rule))
	}
	number := int32(len(l.candidates)) // plus one
	if head.last == 0 {
		head.first = number
		l.touched = append(l.touched, int32(rule))
		t.active.Set(rule)
	} else {
		l.candidates[head.last-1].next = number
	}
	head.last = number
}

// result is what a step of its plan makes of a value, as an index in texts.
func (t *Tx) result(at int32, step int16) int32 {
	v := &t.look.values[at]
	if step == 0 {
		return v.text
	}
	if v.first >= 0 {
		if known := t.look.results[v.first+int32(step)]; known != 0 {
			return known - 1
		}
	}
	return t.make(at, step, t.result(at, v.plan.steps[step].parent))
}

// make makes the text of a step from the text before it.
func (t *Tx) make(at int32, step int16, in int32) int32 {
	l := &t.look
	v := &l.values[at]
	p := &v.plan.steps[step]
	out := in
	if from := &l.texts[in]; !p.step.Unchanged(from.mask, from.s) {
		from := from.s
		s, changed, err := p.step.Apply(&t.scratch, from)
		if err == nil && (changed || !p.multi) && s != from {
			out = t.textOf(v, s)
		}
	}
	if v.first < 0 {
		v.first = int32(len(l.results))
		l.results = append(l.results, make([]int32, len(v.plan.steps))...)
	}
	l.results[v.first+int32(step)] = out + 1
	return out
}

// textOf is the index of a text of the value. Equal ones are kept once, if they were made together.
func (t *Tx) textOf(v *value, s string) int32 {
	l := &t.look
	for i := v.text; int(i) < len(l.texts) && i < v.text+16; i++ {
		if l.texts[i].s == s {
			return i
		}
	}
	l.texts = append(l.texts, text{s, byteset.Of(s)})
	return int32(len(l.texts)) - 1
}

// transformed is the value of a field after the transformations of a rule. If the value was looked at, mask is the set of
// its bytes, else it is nil.
func (t *Tx) transformed(r *Rule, f *field) (s string, mask *byteset.Set) {
	if f.at >= 0 {
		v := &t.look.values[f.at]
		text := v.text
		if len(r.steps) > 0 {
			n := v.class.node(r.Chain)
			if n < 0 {
				return t.transform(r, f.value), nil
			}
			if v.plan == nil {
				v.plan = v.class.plan(&t.look.texts[text].mask)
			}
			text = t.result(int32(f.at), v.plan.of[n])
		}
		out := &t.look.texts[text]
		return out.s, &out.mask
	}
	return t.transform(r, f.value), nil
}

// transform makes the transformations of a rule.
func (t *Tx) transform(r *Rule, s string) string {
	for _, step := range r.steps {
		s, _, _ = step.Apply(&t.scratch, s)
	}
	return s
}
