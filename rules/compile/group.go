package compile

import (
	"slices"
	"strings"

	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program"
	"gatehouse/rules/program/pattern"
	"gatehouse/rules/program/variable"
)

// grouping finds out what has to be done for each kind of value.
type grouping struct {
	compiler *Compiler
	program  *program.Program
	folding  *folding
	options  Options

	// sets are the patterns of rules that many policies have, and those of the others.
	sets [ownSet + 1]patternList
	// patternOf is the pattern of a nominated rule.
	patternOf map[int]patternUse
	places    map[place]*interests
	// assigned are the fields of TX that folded rules set. They do so when the next rule runs, too late to make it run.
	assigned map[int]bool
}

// patternList is a set of patterns in the making, with the number of each.
type patternList struct {
	patterns []*pattern.Pattern
	numbers  map[*pattern.Pattern]int
}

// patternUse is a pattern by its set and number.
type patternUse struct{ set, number int }

// The sets of a program.
const (
	sharedSet = iota // of patterns that many policies have
	ownSet
)

// place is where values come from: a variable, the names of a collection, or a field of TX.
type place struct {
	variable variable.ID
	names    bool
	slot     int // of TX
}

// interests are the rules that look at the values of a place.
type interests struct {
	all   []int
	byKey map[string][]int
}

// group fills in what a program does with values.
func (c *Compiler) group(p *program.Program, f *folding, o Options) {
	g := &grouping{
		compiler: c, program: p, folding: f, options: o,
		patternOf: make(map[int]patternUse), places: make(map[place]*interests), assigned: make(map[int]bool),
	}
	for _, assignments := range p.Folded {
		for _, a := range assignments {
			g.assigned[a.Slot] = true
		}
	}
	for i := range g.sets {
		g.sets[i].numbers = make(map[*pattern.Pattern]int)
	}
	p.Triggers = make(map[int][]int)
	p.FieldClasses = make(map[int]*program.Class)
	for i, r := range p.Rules {
		if r.Marker != "" {
			continue
		}
		if f.decisions[i] != run {
			p.Generic.Set(i)
			continue
		}
		g.rule(i, r)
	}
	for _, list := range g.sets {
		p.Sets = append(p.Sets, c.patterns.Set(list.patterns))
		p.Uses = append(p.Uses, make([][]program.Use, len(list.patterns)))
	}
	for i, r := range p.Rules {
		if at, ok := g.patternOf[i]; ok {
			uses := p.Uses[at.set]
			uses[at.number] = append(uses[at.number], program.Use{Rule: i, Chain: r.Chain, Multi: r.MultiMatch})
		}
	}
	g.classes()
}

// rule decides when a rule runs: always, once a field of TX is set, when a value is there, or when a pattern nominates
// it.
func (g *grouping) rule(i int, r *program.Rule) {
	p := g.program
	if r.Operator() == nil { // whatever targets it was given: it matches without a value
		p.Always.Set(i)
		return
	}
	if slot, ok := g.trigger(r); ok {
		p.Triggers[slot] = append(p.Triggers[slot], i)
		p.Generic.Set(i) // it may have been set when folding ends
		return
	}
	var places []interest
	for _, t := range r.Targets {
		found, ok := g.interestsIn(r, t)
		if !ok {
			p.Always.Set(i)
			return
		}
		places = append(places, found...)
	}
	if use, ok := g.pattern(r); ok {
		p.Nominated.Set(i)
		g.patternOf[i] = use
	}
	for _, x := range places {
		in := g.places[x.place]
		if in == nil {
			in = &interests{byKey: make(map[string][]int)}
			g.places[x.place] = in
		}
		if x.key == "" {
			in.all = append(in.all, i)
		} else if keyed := in.byKey[x.key]; !slices.Contains(keyed, i) {
			in.byKey[x.key] = append(keyed, i)
		}
	}
}

// trigger is the field of TX without which the rule does nothing.
func (g *grouping) trigger(r *program.Rule) (slot int, ok bool) {
	if len(r.Targets) != 1 {
		return 0, false
	}
	t := r.Targets[0]
	if t.Variable != variable.TX || t.Count || t.Key == "" || t.Regex != nil {
		return 0, false
	}
	slot = g.program.Slot(t.Key)
	if slot < program.Captures || g.fixed(slot) || g.assigned[slot] {
		return 0, false
	}
	return slot, true
}

// fixed says whether a field is set from outside and by no rule.
func (g *grouping) fixed(slot int) bool { return g.folding.fixed[slot] }

// interest is a place with a key, or with all of its keys.
type interest struct {
	place place
	key   string
}

// interestsIn are the places of a target, if all of their values are known when the rule's phase begins.
func (g *grouping) interestsIn(r *program.Rule, t resolve.Target) ([]interest, bool) {
	if t.Count {
		return nil, false
	}
	switch t.Variable.Kind() {
	case variable.Empty:
		return nil, true
	case variable.Single:
		return []interest{{place: place{variable: t.Variable}}}, program.FixedFrom(t.Variable) <= r.Phase
	}
	if t.Variable == variable.TX {
		slot := g.program.Slot(t.Key)
		if t.Key == "" || t.Regex != nil || !g.fixed(slot) {
			return nil, false
		}
		return []interest{{place: place{variable: variable.TX, slot: slot}}}, true
	}
	sources := program.SourcesOf(t.Variable)
	if len(sources) == 0 {
		return nil, false
	}
	var out []interest
	for _, s := range sources {
		switch from := program.FixedFrom(s.Variable); {
		case from > 4:
			return nil, false
		case from > r.Phase: // there are no values yet
			continue
		}
		x := interest{place: place{variable: s.Variable, names: s.Names}}
		if t.Regex == nil {
			x.key = t.Key
			if !s.Names {
				x.key = strings.ToLower(t.Key)
			}
		}
		out = append(out, x)
	}
	return out, true
}

// pattern is the pattern without which the rule's operator does not match.
func (g *grouping) pattern(r *program.Rule) (use patternUse, ok bool) {
	if r.Pattern == nil || r.Operator().Negated {
		return use, false
	}
	if g.options.Shared == nil || !g.options.Shared(r.Place.Source) {
		use.set = ownSet
	}
	list := &g.sets[use.set]
	number, known := list.numbers[r.Pattern]
	if !known {
		number = len(list.patterns)
		list.patterns = append(list.patterns, r.Pattern)
		list.numbers[r.Pattern] = number
	}
	use.number = number
	return use, true
}

// classes builds the classes of all places.
func (g *grouping) classes() {
	p := g.program
	for at, in := range g.places {
		if at.variable == variable.TX {
			p.FieldClasses[at.slot] = g.class(in.all)
			continue
		}
		classes := &program.Classes{Other: g.class(in.all)}
		for key, rules := range in.byKey {
			if classes.ByKey == nil {
				classes.ByKey = make(map[string]*program.Class)
			}
			classes.ByKey[key] = g.class(append(slices.Clone(in.all), rules...))
		}
		if at.names {
			p.NameClasses[at.variable] = classes
		} else {
			p.Classes[at.variable] = classes
		}
	}
}
