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
	constant *folding
	options  Options

	// sets are the patterns of rules that many policies have, and those of the others.
	sets [ownSet + 1]patternList
	// patternOf is the pattern of a nominated rule.
	patternOf map[int]patternUse
	places    map[place]*interests
	// assigned are the fields of TX that folded rules set. They make no rule run.
	assigned map[int]bool
	// present are the rules that run because there is a value, whatever it is: they count it, or it is a link's.
	present map[int]bool
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
func (c *Compiler) group(p *program.Program, constant, assumed *folding, o Options) {
	g := &grouping{
		compiler: c, program: p, constant: constant, options: o,
		patternOf: make(map[int]patternUse), places: make(map[place]*interests), assigned: make(map[int]bool), present: make(map[int]bool),
	}
	for _, f := range []*folding{constant, assumed} {
		for _, assignments := range f.result.Assignments {
			for _, a := range assignments {
				g.assigned[a.Slot] = true
			}
		}
	}
	for level := range p.Foldings {
		p.Foldings[level].Rest = program.NewBits(len(p.Rules))
	}
	for i := range g.sets {
		g.sets[i].numbers = make(map[*pattern.Pattern]int)
	}
	p.Triggers, p.Mutes = make(map[int][]int), make(map[int]*program.Mute)
	p.FieldClasses = make(map[int]*program.Class)
	for i, r := range p.Rules {
		if r.Marker != "" {
			continue
		}
		switch {
		case constant.decisions[i] != run:
			p.Foldings[program.Constant].Rest.Set(i)
			continue
		case assumed.decisions[i] != run:
			p.Foldings[program.Assumed].Rest.Set(i)
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
	if slots, others, ok := g.triggers(r); ok {
		for _, slot := range slots {
			p.Triggers[slot] = append(p.Triggers[slot], i)
		}
		if others {
			p.OtherTriggers = append(p.OtherTriggers, i)
		}
		p.Foldings[program.Constant].Rest.Set(i) // it may have been set when folding ends
		return
	}
	if places, ok := g.rareLink(r); ok {
		g.present[i] = true
		g.interested(i, places)
		return
	}
	places, counts, ok := g.interests(r, r.Phase)
	if !ok {
		p.Always.Set(i)
		return
	}
	if use, ok := g.pattern(r); ok && !counts {
		p.Nominated.Set(i)
		g.patternOf[i] = use
		g.mute(i)
	}
	g.present[i] = counts
	g.interested(i, places)
}

// mute finds out whether a rule need not look at values that come to nothing.
func (g *grouping) mute(i int) {
	p := g.program
	var argument []string
	if text, ok := g.constant.linkArguments[i]; ok {
		argument = append(argument, text)
	}
	if m := p.NewMute(i, argument...); m != nil {
		p.Mutes[i] = m
	}
}

// interested notes that a rule looks at the values of places.
func (g *grouping) interested(i int, places []interest) {
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

// triggers are the fields of TX without which the rule does nothing: those with a slot, and whether any other may be one.
func (g *grouping) triggers(r *program.Rule) (slots []int, others, ok bool) {
	if len(r.Targets) != 1 {
		return nil, false, false
	}
	t := r.Targets[0]
	if t.Variable != variable.TX || t.Key == "" && t.Regex == nil || t.Count && !r.Fails("0") {
		return nil, false, false
	}
	if t.Regex != nil {
		slots, others = g.program.Taken(t.Regex), true
	} else {
		slots = []int{g.program.Slot(t.Key)}
	}
	for _, slot := range slots {
		if slot < program.Captures || g.fixed(slot) || g.assigned[slot] {
			return nil, false, false
		}
	}
	return slots, others, true
}

// rareLink gives the places of a link that few requests have a value for, if nothing happens before it: without one the
// chain does nothing.
func (g *grouping) rareLink(r *program.Rule) ([]interest, bool) {
	before := r
	for _, link := range r.Next {
		if before.Capture || len(before.Effects()) > 0 {
			return nil, false
		}
		if places, _, ok := g.interests(link, r.Phase); ok && !slices.ContainsFunc(places, interest.common) {
			return places, true
		}
		before = link
	}
	return nil, false
}

// commonHeaders are those that most requests have.
var commonHeaders = []string{"accept", "accept-encoding", "accept-language", "connection", "cookie", "host", "referer", "user-agent"}

// common says whether most requests have such a value.
func (x interest) common() bool {
	return x.key == "" || x.place.variable != variable.RequestHeaders || slices.Contains(commonHeaders, x.key)
}

// fixed says whether a field is set from outside and by no rule.
func (g *grouping) fixed(slot int) bool { return g.constant.fixed[slot] }

// interest is a place with a key, or with all of its keys.
type interest struct {
	place place
	key   string
}

// interests are the places of all targets of a rule or link without whose values it does nothing, if all of them are known
// when its phase begins. Counts says that the rule does not look at the values themselves.
func (g *grouping) interests(r *program.Rule, phase int) (places []interest, counts, ok bool) {
	if r.Operator() == nil {
		return nil, false, false
	}
	for _, t := range r.Targets {
		if t.Count && !r.Fails("0") {
			return nil, false, false
		}
		counts = counts || t.Count
		found, ok := g.interestsIn(t, phase)
		if !ok {
			return nil, false, false
		}
		places = append(places, found...)
	}
	return places, counts, true
}

// interestsIn are the places of a target, if all of their values are known when the phase begins.
func (g *grouping) interestsIn(t resolve.Target, phase int) ([]interest, bool) {
	switch t.Variable.Kind() {
	case variable.Empty:
		return nil, true
	case variable.Single:
		return []interest{{place: place{variable: t.Variable}}}, program.FixedFrom(t.Variable) <= phase
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
		case from > phase: // there are no values yet
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
			g.usual(p.FieldClasses[at.slot], "0", "1", "auto")
			continue
		}
		classes := &program.Classes{Other: g.class(in.all)}
		if at.variable.Kind() == variable.Single {
			g.usual(classes.Other, usualValues[at.variable]...)
		}
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

// usualValues are those that most requests have in a variable. The others are numbers or texts that are 0 or empty.
var usualValues = map[variable.ID][]string{
	variable.RequestMethod:   {"GET", "POST", "HEAD"},
	variable.RequestProtocol: {"HTTP/1.1", "HTTP/2.0"},
	variable.ResponseStatus:  {"200", "302", "304", "404"},
}

// usual notes for values that many requests have which rules of a class need not run for them.
func (g *grouping) usual(c *program.Class, values ...string) {
	for _, value := range append([]string{"0", ""}, values...) {
		kept := slices.DeleteFunc(slices.Clone(c.Run), func(i int32) bool { return g.fails(int(i), value) })
		if len(kept) < len(c.Run) {
			c.Usual = append(c.Usual, program.Usual{Value: value, Run: kept})
		}
	}
}

// fails says whether a rule need not run for the value of a variable.
func (g *grouping) fails(i int, value string) bool {
	r := g.program.Rules[i]
	if argument, ok := g.constant.arguments[i]; ok {
		g.program.Foldings[program.Constant].Rest.Set(i) // the argument may be another one when folding ends
		return r.Fails(value, argument)
	}
	return r.Fails(value)
}
