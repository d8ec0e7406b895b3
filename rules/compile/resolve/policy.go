package resolve

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/program/variable"
	"gatehouse/rules/seclang"
)

// Policy is a policy's text as rules.
type Policy struct {
	// Rules stand in the order in which they are evaluated. They are shared and not to be changed.
	Rules    []*Rule
	Settings Settings
	// DetectOnly says that mode detect may run every rule: nothing in the text, removed or not, makes block run
	// differently. Such are allow, and a ctl:ruleEngine other than Off but for the one that sets the mode.
	DetectOnly bool
	// Unsupported are directives that no rule stands for and that only the reference follows. Rules that only it
	// evaluates say so themselves.
	Unsupported []Unsupported
}

// Settings are those that a text may set.
type Settings struct {
	RequestBodyAccess, ResponseBodyAccess bool
	// ResponseBodyTypes are the media types of the replies that are inspected. None of them matches an empty type.
	ResponseBodyTypes []string
}

// Unsupported is a directive that only the reference follows.
type Unsupported struct {
	Place  seclang.Position
	Reason string
}

// Resolve resolves a policy on its own. See Cache.Resolve.
func Resolve(sources []rules.Source) (*Policy, error) {
	return new(Cache).Resolve(sources)
}

// Resolve turns the text of a policy into rules. The error, rules.TextErrors, holds what package seclang refuses to read
// and what the reference refuses to load, as far as it is found here: arguments of operators are not looked at.
// Of an error it does not follow that the reference gives one too.
func (c *Cache) Resolve(sources []rules.Source) (*Policy, error) {
	var errs rules.TextErrors
	var stated [6]bool
	parsed := make([]*source, len(sources))
	for i, text := range sources {
		s := c.source(text)
		parsed[i] = s
		errs = append(errs, s.errs...)
		for phase := range stated {
			stated[phase] = stated[phase] || s.stated[phase]
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	b := builder{
		ids:    make(map[int]int, 1024),
		policy: Policy{Settings: Settings{RequestBodyAccess: true, ResponseBodyAccess: true}, DetectOnly: true},
	}
	e := startEnvironment(stated)
	for _, s := range parsed {
		v := s.in(e)
		b.errs = append(b.errs, v.errs...)
		b.policy.Unsupported = append(b.policy.Unsupported, v.general...)
		for _, step := range v.steps {
			if step.rule != nil {
				b.add(step.rule)
			} else {
				b.directive(step.directive)
			}
		}
		e = v.end
	}
	if len(b.errs) > 0 {
		return nil, b.errs
	}
	b.policy.Rules = slices.DeleteFunc(b.rules, func(r *Rule) bool { return r == nil })
	return &b.policy, nil
}

// builder loads a policy.
type builder struct {
	policy Policy
	rules  []*Rule     // nil where a rule was removed
	ids    map[int]int // indexes of the rules that are there
	errs   rules.TextErrors
}

func (b *builder) fail(at seclang.Position, format string, arguments ...any) {
	b.errs = append(b.errs, rules.TextError{Source: at.Source, Line: at.Line, Message: fmt.Sprintf(format, arguments...)})
}

func (b *builder) unsupported(d *seclang.Directive, reason string) {
	b.policy.Unsupported = append(b.policy.Unsupported, Unsupported{Place: d.Position, Reason: reason})
}

func (b *builder) add(r *Rule) {
	if r.Marker == "" {
		other, taken := b.ids[r.ID]
		switch {
		case r.ID == 0:
			b.fail(r.Place, "the rule has no id; add id:NUMBER to its actions")
		case taken:
			b.fail(r.Place, "rule id %d is already used at %s; give this rule another id", r.ID, b.rules[other].Place)
		}
		b.ids[r.ID] = len(b.rules)
	}
	b.rules = append(b.rules, r)
	b.policy.DetectOnly = b.policy.DetectOnly && detectOnly(r)
}

// detectOnly says whether a rule does in detect what it does in block.
func detectOnly(r *Rule) bool {
	switch r.Disruptive.Kind {
	case Allow, AllowPhase, AllowRequest:
		return false
	}
	for _, link := range append([]*Rule{r}, r.Links...) {
		for _, e := range link.Effects {
			if e.Kind == SetEngine && e.Value != "off" && !setsMode(link) {
				return false
			}
		}
	}
	return true
}

// setsMode says whether a rule is the one that puts a transaction in detect.
func setsMode(r *Rule) bool {
	return len(r.Targets) == 1 && r.Targets[0].Variable == variable.TX && r.Targets[0].Key == "gatehouse_detect" && !r.Targets[0].Count
}

// directive follows a directive that is no rule.
func (b *builder) directive(d *seclang.Directive) {
	s := &b.policy.Settings
	switch d.Name {
	case seclang.SecRuleRemoveByID, seclang.SecRuleRemoveByTag, seclang.SecRuleRemoveByMsg:
		b.remove(d)
	case seclang.SecRuleUpdateTargetByID, seclang.SecRuleUpdateTargetByTag, seclang.SecRuleUpdateActionByID:
		b.update(d)
	case "SecRequestBodyAccess":
		s.RequestBodyAccess = b.toggle(d)
	case "SecResponseBodyAccess":
		s.ResponseBodyAccess = b.toggle(d)
	case "SecResponseBodyMimeType":
		s.ResponseBodyTypes = strings.Split(d.Args, " ")
	case "SecResponseBodyMimeTypesClear":
		if d.Args != "" {
			b.fail(d.Position, "%s takes no argument", d.Name)
		}
		s.ResponseBodyTypes = nil
	case "SecRuleEngine":
		if !strings.EqualFold(d.Args, "on") {
			b.unsupported(d, "SecRuleEngine "+d.Args)
		}
	case "SecComponentSignature", "SecCollectionTimeout":
		// These change nothing.
	default:
		b.unsupported(d, d.Name)
	}
}

func (b *builder) toggle(d *seclang.Directive) bool {
	switch strings.ToLower(d.Args) {
	case "on":
		return true
	case "off":
		return false
	}
	b.fail(d.Position, "%s is On or Off", d.Name)
	return false
}
