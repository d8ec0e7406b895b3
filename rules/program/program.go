package program

import (
	"maps"
	"slices"
	"sync"

	"gatehouse/rules/program/byteset"
	"gatehouse/rules/program/pattern"
	"gatehouse/rules/program/transform"
	"gatehouse/rules/program/variable"
)

// Program is a compiled policy. It is immutable and safe for concurrent use. Rules are known by their index in Rules.
type Program struct {
	// Rules are the rules and markers of the policy in the order of the text.
	Rules []*Rule
	// Phases are the rules of each phase, 1 to 5. Markers are in all of them.
	Phases [6]Bits
	// Markers are the indexes of the markers of a name, in order.
	Markers map[string][]int

	// Always are the rules that run in every transaction.
	Always Bits
	// Foldings say what was decided when the policy was compiled: Assumed, and then Constant, which assumes less.
	Foldings [Generic]Folding
	// Watched are the fields of TX, by slot, that Assumed takes for constant though a rule that depends on the request adds to
	// them. When one does so, it does not hold any longer.
	Watched Bits
	// Nominated are the rules whose operator can only match values that a pattern nominated.
	Nominated Bits
	// Mutes are for nominated rules to which most values come to nothing. They hold up to the level Constant.
	Mutes map[int]*Mute
	// Triggers are by field of TX the rules that run once the field is set.
	Triggers map[int][]int
	// OtherTriggers are those that run once a field without a slot is set whose name their only target takes.
	OtherTriggers []int

	// Sets hold the patterns of nominated rules; Uses are by set and pattern the rules that have it.
	Sets []*pattern.Set
	Uses [][][]Use
	// Classes say what to do with the values of a variable; nil for variables that no rule looks at by value.
	Classes [variable.Count]*Classes
	// NameClasses are for the keys of a collection as values.
	NameClasses [variable.Count]*Classes
	// FieldClasses are for the fields of TX that no rule writes.
	FieldClasses map[int]*Class

	// DetectOnly says that mode detect may run every rule: none of them makes block run differently. Without it, what mode
	// block would do is kept from the caller.
	DetectOnly bool
	// Bounds of one transaction.
	Bounds Bounds

	names *nameTable
	mutes []*Mute // Mutes, by rule; nil if there are none
	// triggers are Triggers, by slot.
	triggers [][]int
	// singles and lists are the variables with classes, by the phase from which on they keep their values.
	singles, lists [lastFixed + 1][]variable.ID
	fields         []int // the slots with classes
	// matching are, of targets that select fields of TX by an expression, or take all, the slots that they take.
	matching map[*target][]int
	pool     sync.Pool
}

// Level says what a transaction still takes for decided.
type Level int

// The levels, from the one that decides most.
const (
	// Assumed also decides what depends on fields that rules add to which depend on the request: scores. Most requests match
	// no rule, and keep it to their end.
	Assumed Level = iota
	// Constant decides what depends on constants alone.
	Constant
	// Generic decides nothing: every rule runs.
	Generic
)

// Folding is what was decided when the policy was compiled. It holds as long as what it assumes does; where that ends, the
// transaction goes on with the next level.
type Folding struct {
	// Assignments are those to TX that folded rules would have made, by phase in the order of the rules.
	Assignments [6][]Assignment
	// Acts are the folded rules that have an effect. Where one is skipped, what folding assumed does not hold any longer.
	Acts Bits
	// Unfolds are the rules that remove a rule of Acts, or allow one away.
	Unfolds Bits
	// Rest are the rules that do not run at this level and have to at the next.
	Rest Bits
}

// Assignment sets a field of TX.
type Assignment struct {
	Rule  int
	Slot  int
	Value string
}

// Use is a rule that has a pattern, and the chain of transformations in front of it. With Multi, the rule looks at the
// value after each of them.
type Use struct {
	Rule, Chain int
	Multi       bool
}

// Classes are what to do with the values of a variable, by key.
type Classes struct {
	// Other is for keys that no selector names.
	Other *Class
	// ByKey is for keys that one names, in lower case.
	ByKey map[string]*Class
}

// Class is what to do with a value.
type Class struct {
	// Present are the rules that run because there is a value, Run those that look at what it is.
	Present, Run []int32
	// Usual are values for which fewer of Run do.
	Usual []Usual
	*Shape

	number uint64 // no other class has it
}

// Usual is a value for which only some rules of Run can match.
type Usual struct {
	Value string
	Run   []int32
}

// runs are the rules of Run that may match the value.
func (c *Class) runs(value string) []int32 {
	for i := range c.Usual {
		if c.Usual[i].Value == value {
			return c.Usual[i].Run
		}
	}
	return c.Run
}

// Shape is the transformations of a class and the patterns to look for. It does not know the rules, so that policies
// whose own rules do not look at such values share it. It is safe for concurrent use once it is sealed.
type Shape struct {
	// Nodes are the transformations, each after its parent. The first is the value itself.
	Nodes []Node
	// NodeOf is the node of a chain, by its number, or -1. Chains beyond its end have none.
	NodeOf []int16
	// StepsOf are the nodes of a chain with multiMatch: that of the value, and one a transformation.
	StepsOf map[int][]int16
	// Looks says that there are patterns to look for.
	Looks bool

	// specials are the sets of bytes without which transformations change nothing; specialOf is that of a node, or -1.
	specials  []byteset.Set
	specialOf []int8
	plans     plans
}

// node is the node of a chain, or -1.
func (s *Shape) node(chain int) int16 {
	if chain >= len(s.NodeOf) {
		return -1
	}
	return s.NodeOf[chain]
}

// Node is a chain of transformations, or what chains have in common.
type Node struct {
	Parent int
	Step   *transform.Func // nil for the value itself
	// Multi is the step of a rule with multiMatch: the value goes on as it is unless it is reported as changed.
	Multi bool
	// Want are by set the patterns to look for; nil if there are none. Patterns are the same as a list.
	Want     []Bits
	Patterns []*pattern.Pattern
}

// Bounds are the most that one transaction does. Zero values are no bounds.
type Bounds struct {
	Values int // values looked at
	Bytes  int // bytes scanned for patterns, each transformation counted again
	Work   int // bytes given to operators; those of a value with captures count captureCost times
}

// Seal makes a program, whose exported fields are set, ready to run.
func (p *Program) Seal(names *Names) {
	p.names = names.latest.Load()
	p.singles, p.lists = [lastFixed + 1][]variable.ID{}, [lastFixed + 1][]variable.ID{}
	for v := range variable.ID(variable.Count) {
		from := FixedFrom(v)
		if from > lastFixed || p.Classes[v] == nil && p.NameClasses[v] == nil {
			continue
		}
		if v.Kind() == variable.Single {
			p.singles[from] = append(p.singles[from], v)
		} else {
			p.lists[from] = append(p.lists[from], v)
		}
	}
	if p.mutes = nil; len(p.Mutes) > 0 {
		p.mutes = make([]*Mute, len(p.Rules))
		for rule, m := range p.Mutes {
			p.mutes[rule] = m
		}
	}
	p.fields = slices.Sorted(maps.Keys(p.FieldClasses))
	p.number()
	p.triggers = make([][]int, len(p.names.names))
	for slot, rules := range p.Triggers {
		p.triggers[slot] = rules
	}
	p.matching = make(map[*target][]int)
	for _, r := range p.Rules {
		p.match(r)
		for _, link := range r.Next {
			p.match(link)
		}
	}
	p.pool.New = func() any { return newTx(p) }
}

// number numbers the classes.
func (p *Program) number() {
	for v := range p.Classes {
		for _, of := range []*Classes{p.Classes[v], p.NameClasses[v]} {
			if of == nil {
				continue
			}
			if of.Other != nil {
				of.Other.number = classes.Add(1)
			}
			for _, c := range of.ByKey {
				c.number = classes.Add(1)
			}
		}
	}
	for _, c := range p.FieldClasses {
		c.number = classes.Add(1)
	}
}

// match finds the fields of TX that a rule's expressions take.
func (p *Program) match(r *Rule) {
	for i := range r.targets {
		t := &r.targets[i]
		if t.Variable != variable.TX || t.Regex == nil && t.Key != "" {
			continue
		}
		p.matching[t] = nil
		for slot, name := range p.names.names {
			if t.takes(name) {
				p.matching[t] = append(p.matching[t], slot)
			}
		}
	}
}

// marker is the index of the first marker of that name after a rule, or -1.
func (p *Program) marker(name string, after int) int {
	for _, i := range p.Markers[name] {
		if i > after {
			return i
		}
	}
	return -1
}

// FixedFrom is the phase from which on a variable keeps its value; more than 4 for those that rules change.
func FixedFrom(v variable.ID) int {
	switch v {
	case variable.HighestSeverity, variable.MatchedVar, variable.MatchedVarName, variable.MatchedVars, variable.TX, variable.Rule:
		return never
	case variable.ArgumentsLimitReached, variable.FilesCombinedSize, variable.InboundDataError, variable.MultipartDataAfter,
		variable.MultipartDuplicatePartHeader, variable.MultipartInvalidQuoting, variable.MultipartStrictError,
		variable.ReqbodyError, variable.ReqbodyErrorMsg, variable.ReqbodyProcessor, variable.ReqbodyProcessorError,
		variable.ReqbodyProcessorErrorMsg, variable.RequestBody, variable.RequestBodyLength,
		variable.ArgsPost, variable.Files, variable.FilesNames, variable.FilesSizes, variable.FilesTmpContent,
		variable.FilesTmpNames, variable.MultipartFilename, variable.MultipartFilenameCharset,
		variable.MultipartFilenameLanguage, variable.MultipartName, variable.MultipartPartHeaders, variable.RequestXML:
		return 2
	case variable.ResponseContentType, variable.ResponseProtocol, variable.ResponseStatus, variable.ResponseHeaders:
		return 3
	case variable.ResponseBody, variable.ResponseContentLength, variable.OutboundDataError, variable.ResBodyProcessor,
		variable.ResponseArgs, variable.ResponseXML:
		return 4
	}
	return 1
}

const (
	lastFixed = 4 // the last phase before which variables are filled
	never     = 99
)
