// Package seclang reads SecLang text into a syntax tree.
//
// Invariants: every directive, variable, operator and action of the text is in the tree with its place; text
// that could be read in more than one way is an error, never a guess; what is in the tree means what Coraza 3.8.1
// reads in the same text; and the text that File.String prints parses to the same tree.
package seclang

import "strconv"

// Position is a place in a source.
type Position struct {
	Source string
	Line   int
}

func (p Position) String() string { return p.Source + ":" + strconv.Itoa(p.Line) }

// File is the tree of one source.
type File struct {
	Name string
	// Directives stand in the order of the text. The links of a chain are in their starter's Rule.
	Directives []*Directive
}

// Count is the number of rules as the engine counts them: SecRule, SecAction and SecMarker, a chain as one.
func (f *File) Count() int {
	n := 0
	for _, d := range f.Directives {
		if d.Rule != nil || d.Name == SecMarker {
			n++
		}
	}
	return n
}

// The directives with a structure of their own; all others have Args alone.
const (
	SecRule                  = "SecRule"
	SecAction                = "SecAction"
	SecMarker                = "SecMarker"
	SecDefaultAction         = "SecDefaultAction"
	SecDataset               = "SecDataset"
	SecRuleRemoveByID        = "SecRuleRemoveById"
	SecRuleRemoveByTag       = "SecRuleRemoveByTag"
	SecRuleRemoveByMsg       = "SecRuleRemoveByMsg"
	SecRuleUpdateTargetByID  = "SecRuleUpdateTargetById"
	SecRuleUpdateTargetByTag = "SecRuleUpdateTargetByTag"
	SecRuleUpdateActionByID  = "SecRuleUpdateActionById"
)

// Directive is one directive with its arguments.
type Directive struct {
	Position
	// End is the line on which the directive ends; the engine reports this one as a rule's line.
	End  int
	Name string // in the spelling of the constants and of the engine's documentation
	// Args are the arguments as one logical line, without the quotes around the whole of them.
	Args string
	// Rule is set for SecRule and SecAction, also for those that are links of a chain.
	Rule *Rule
	// Selection is set for SecRuleRemove* and SecRuleUpdate*.
	Selection *Selection
	// Variables are what SecRuleUpdateTarget* adds.
	Variables []Variable
	// Actions are those of SecRuleUpdateActionById and SecDefaultAction.
	Actions []Action
	// Dataset is set for SecDataset.
	Dataset *Dataset
}

// Rule is a SecRule or SecAction.
type Rule struct {
	// Variables is empty for SecAction.
	Variables []Variable
	// Operator is nil for SecAction.
	Operator *Operator
	Actions  []Action
	// Links are the rules chained to this one, in order. Empty for a link itself.
	Links []*Directive
}

// ID is the rule's id, or 0 if it has none.
func (r *Rule) ID() int {
	a, ok := r.Action("id")
	if !ok {
		return 0
	}
	id, err := strconv.Atoi(a.Value)
	if err != nil {
		return 0
	}
	return id
}

// Phase is the phase in which the rule runs, 1 to 5; without a phase action it is 2.
func (r *Rule) Phase() int {
	a, ok := r.Action("phase")
	if !ok {
		return 2
	}
	return phases[a.Value]
}

var phases = map[string]int{
	"1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "request": 2, "response": 4, "logging": 5,
}

// Action answers the last action of that name, which is the one in effect where only one can be.
func (r *Rule) Action(name string) (Action, bool) {
	for i := len(r.Actions) - 1; i >= 0; i-- {
		if r.Actions[i].Name == name {
			return r.Actions[i], true
		}
	}
	return Action{}, false
}

// All answers the values of every action of that name, in order: tags, setvars, transformations.
func (r *Rule) All(name string) []Action {
	var out []Action
	for _, a := range r.Actions {
		if a.Name == name {
			out = append(out, a)
		}
	}
	return out
}

// Variable is one target of a rule.
type Variable struct {
	Position
	Name    string // upper case
	Count   bool   // & in front: the number of values
	Exclude bool   // ! in front: these are not looked at
	// Key is the selector after the colon, empty for the whole collection; of a regular expression without its
	// slashes, escapes kept.
	Key   string
	Regex bool
	// Quoted says that the regular expression stands in single quotes.
	Quoted bool
}

// Operator is what a rule does with each value.
type Operator struct {
	Position
	Negated bool
	Name    string // without the @; rx where the text names none
	Arg     string // with \" already read as "
}

// Action is one action.
type Action struct {
	Position
	Name string // lower case, as the engine compares them
	// Value is the text after the colon without its quotes; escapes are kept, as the engine does.
	Value string
	// Quote is the quote around the value: ', " or empty.
	Quote string
}

// Selection names the rules that a directive removes or updates.
type Selection struct {
	IDs     []IDRange
	Tag     string
	Message string
}

// IDRange is the rules from First to Last, both included.
type IDRange struct{ First, Last int }

// Dataset is a named list of words.
type Dataset struct {
	Name   string
	Values []string
}
