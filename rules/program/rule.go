package program

import (
	"errors"
	"fmt"
	"regexp"

	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program/operator"
	"gatehouse/rules/program/pattern"
	"gatehouse/rules/program/transform"
	"gatehouse/rules/program/variable"
)

// Rule is a resolved rule made ready to run. It knows nothing of the other rules of its policy, so that policies share
// it. It is immutable.
type Rule struct {
	// What every rule that runs is asked comes first, in one line of the processor's cache.

	decides    bool // it has an operator
	negated    bool // which matches where it does not hold
	multiMatch bool
	captures   bool // it captures and the operator can
	recorded   bool // its matches are noted
	targets    []target
	// operator decides; with compare, its argument is expanded first. Both are nil for actions and markers.
	operator operator.Operator
	masked   operator.Masked // the operator, if it can make use of a value's set of bytes

	*resolve.Rule
	costly   operator.Costly // the operator, if it may take long
	compare  operator.Comparison
	argument template
	// Pattern is what the operator looks for, nil if no pattern can say it.
	Pattern *pattern.Pattern

	// Chain numbers the transformations: rules with equal ones have the same number.
	Chain   int
	steps   []*transform.Func
	effects []Effect
	message template
	data    template
	// Next are the links of the chain.
	Next []*Rule
	// logID is the id that %{rule.id} shows: that of the starter.
	logID int
	// exclusions are those that the rule stands for.
	exclusions []string
}

type target struct {
	resolve.Target
	slot  int    // of TX:key
	lower string // Key in lower case
	// prefix is the text of a regular expression that asks for a prefix and nothing else.
	prefix string
	// part is the text of one that asks for a text anywhere and nothing else.
	part string
	// begins is the text with which every match of another one begins, wherever that is.
	begins string
}

// plainPrefix recognises an expression that asks for a prefix and nothing else, plainPart one that asks for a text
// anywhere, whatever follows.
var (
	plainPrefix = regexp.MustCompile(`\A\^([0-9A-Za-z_]+)\z`)
	plainPart   = regexp.MustCompile(`\A([0-9A-Za-z_]+)(?:\.\*|\(\.\*\))?\z`)
)

// Effect is a setvar or ctl made ready to run.
type Effect struct {
	*resolve.Effect
	key, text template
	// slot is that of a constant key.
	slot int
}

// Chains numbers transformation chains. The zero Chains is ready for use; it is not safe for concurrent use.
type Chains struct {
	numbers map[string]int
	steps   [][]*transform.Func
}

// Number finds or gives the number of a chain. The empty chain is 0.
func (c *Chains) Number(names []string) (int, error) {
	if c.numbers == nil {
		c.numbers = map[string]int{"": 0}
		c.steps = [][]*transform.Func{nil}
	}
	key := ""
	var steps []*transform.Func
	for _, name := range names {
		f, ok := transform.Lookup(name)
		if !ok {
			return 0, fmt.Errorf("there is no transformation %s", name)
		}
		key += " " + f.Name()
		steps = append(steps, f)
	}
	if n, ok := c.numbers[key]; ok {
		return n, nil
	}
	n := len(c.steps)
	c.numbers[key] = n
	c.steps = append(c.steps, steps)
	return n, nil
}

// Len is one more than the largest number.
func (c *Chains) Len() int { return max(len(c.steps), 1) }

// Steps are the transformations of a chain.
func (c *Chains) Steps(number int) []*transform.Func { return c.steps[number] }

// Context is what rules are made ready in.
type Context struct {
	Names  *Names
	Chains *Chains
	// Data finds the files and data sets that a rule's operator names.
	Data func(*resolve.Rule) operator.Data
	// Patterns are what the operators of rules and links look for, where PatternOf says that they look for something.
	Patterns map[*resolve.Rule]*pattern.Pattern
}

// PatternOf is what an operator looks for; ok is false if it looks for nothing that a pattern can say. A negated operator
// matches where its pattern does not.
func PatternOf(r *resolve.Rule, data func(*resolve.Rule) operator.Data) (source pattern.Source, ok bool, err error) {
	o := r.Operator
	if o == nil || r.Unsupported != "" {
		return source, false, nil
	}
	source.Text = o.Argument
	switch o.Name {
	case "rx":
		source.Kind = pattern.Regexp
		return source, true, nil
	case "pm", "pmFromFile", "pmf", "pmFromDataset":
		phrases, err := operator.Phrases(o.Name, o.Argument, data(r))
		return pattern.Source{Kind: pattern.Phrases, Phrases: phrases}, err == nil, err
	case "contains", "strmatch":
		source.Kind = pattern.Contains
	case "streq":
		source.Kind = pattern.Equals
	case "beginsWith":
		source.Kind = pattern.BeginsWith
	case "endsWith":
		source.Kind = pattern.EndsWith
	case "detectSQLi", "detectXSS", "validateByteRange", "validateUrlEncoding", "validateUtf8Encoding":
		compiled, err := operator.Compile(o.Name, o.Argument, operator.Data{})
		if err != nil {
			return source, false, err
		}
		needs, may, ok := operator.Needs(compiled)
		return pattern.Source{Kind: pattern.Bytes, Text: needs.String(), May: may, Name: o.Name}, ok, nil
	default:
		return source, false, nil
	}
	return source, o.Macro.Constant() || !o.Macro.Set(), nil
}

// NewRule makes a rule ready to run. An error says why only the reference can run it.
func NewRule(r *resolve.Rule, c Context) (*Rule, error) {
	out, err := newRule(r, c, r)
	if err != nil {
		return nil, err
	}
	for _, link := range r.Links {
		next, err := newRule(link, c, r)
		if err != nil {
			return nil, err
		}
		out.Next = append(out.Next, next)
	}
	return out, nil
}

func newRule(r *resolve.Rule, c Context, starter *resolve.Rule) (*Rule, error) {
	names, chains := c.Names, c.Chains
	if r.Unsupported != "" {
		return nil, errors.New(r.Unsupported)
	}
	out := &Rule{Rule: r, logID: starter.ID, multiMatch: r.MultiMatch}
	exclusions, internal := marks(r.Tags)
	out.exclusions = exclusions
	out.recorded = len(exclusions) > 0 || r.Log && !internal
	for _, t := range r.Targets {
		switch t.Variable {
		case variable.Rule, variable.Env:
			return nil, fmt.Errorf("%s as a variable", t.Variable.Name())
		case variable.MatchedVar, variable.MatchedVarName:
			if r == starter {
				return nil, fmt.Errorf("%s outside a chain", t.Variable.Name())
			}
		}
		compiled := target{Target: t, lower: lowerText(t.Key)}
		if t.Regex != nil {
			if m := plainPrefix.FindStringSubmatch(t.Regex.String()); m != nil {
				compiled.prefix = m[1]
			}
			if m := plainPart.FindStringSubmatch(t.Regex.String()); m != nil {
				compiled.part = m[1]
			}
			compiled.begins, _ = t.Regex.LiteralPrefix()
		}
		if t.Variable == variable.TX && t.Regex == nil && t.Key != "" {
			compiled.slot = names.Slot(t.Key)
		}
		out.targets = append(out.targets, compiled)
	}
	var err error
	if out.Chain, err = chains.Number(r.Transformations); err != nil {
		return nil, err
	}
	out.steps = chains.Steps(out.Chain)
	if r.Operator != nil {
		if err := out.setOperator(c, r == starter); err != nil {
			return nil, err
		}
	}
	for i := range r.Effects {
		e, err := newEffect(&r.Effects[i], names)
		if err != nil {
			return nil, err
		}
		out.effects = append(out.effects, e)
	}
	out.message, out.data = newTemplate(r.Message, names), newTemplate(r.Data, names)
	for _, m := range []*template{&out.message, &out.data} {
		if err := supported(m, false); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *Rule) setOperator(c Context, starter bool) error {
	o := r.Operator()
	r.decides, r.negated = true, o.Negated
	if o.Name == "restpath" {
		return errors.New("@restpath")
	}
	if compare, ok := operator.Compare(o.Name); ok && !o.Macro.Constant() {
		r.compare, r.argument = compare, newTemplate(o.Macro, c.Names)
		return supported(&r.argument, starter)
	}
	var err error
	if r.operator, err = operator.Compile(o.Name, o.Argument, c.Data(r.Rule)); err != nil {
		return err
	}
	r.captures = r.Capture && operator.CanCapture(o.Name)
	r.Pattern = c.Patterns[r.Rule]
	if capturer, ok := r.operator.(operator.Capturer); ok && r.Pattern.Decides() {
		r.operator = decided{r.Pattern, capturer}
	}
	r.masked, _ = r.operator.(operator.Masked)
	r.costly, _ = r.operator.(operator.Costly)
	return nil
}

// decided is an @rx whose pattern decides without the regular expression, which is for the captures alone.
type decided struct {
	pattern  *pattern.Pattern
	captures operator.Capturer
}

// Match implements operator.Operator.
func (d decided) Match(value string, captures *operator.Captures) bool {
	if !d.pattern.Match(value) {
		return false
	}
	if captures == nil {
		return true
	}
	if from := d.pattern.Begin(value); from > 0 && d.captures.Capture(value[from:], captures) > 0 {
		return true
	}
	d.captures.Capture(value, captures)
	return true
}

// Operator is the operator of the rule, nil for actions and markers.
func (r *Rule) Operator() *resolve.Operator { return r.Rule.Operator }

func newEffect(e *resolve.Effect, names *Names) (Effect, error) {
	out := Effect{Effect: e}
	switch e.Kind {
	case resolve.SetVar, resolve.UnsetVar:
		out.key, out.text = newTemplate(e.Key, names), newTemplate(e.Text, names)
		if out.key.parts == nil {
			out.slot = names.Slot(lowerText(out.key.text))
		}
		for _, m := range []*template{&out.key, &out.text} {
			if err := supported(m, false); err != nil {
				return out, err
			}
		}
	case resolve.SetResponseProcessor:
		return out, errors.New("ctl:responseBodyProcessor")
	}
	return out, nil
}

// supported says whether a template can be expanded as the reference does. Before a rule matched, what matched last is
// that of an earlier rule.
func supported(m *template, beforeMatch bool) error {
	for _, p := range m.parts {
		switch p.variable {
		case variable.Env:
			return errors.New("%{ENV} in a text")
		case variable.Rule:
			if p.key == "msg" || p.key == "logdata" {
				return errors.New("%{RULE." + p.key + "} in a text")
			}
		case variable.MatchedVar, variable.MatchedVarName:
			if beforeMatch {
				return errors.New("%{" + p.text + "} before anything matched")
			}
		case variable.TX:
			if p.key == "" {
				return errors.New("%{TX} without a key")
			}
		}
	}
	return nil
}
