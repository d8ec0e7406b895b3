package resolve

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse/rules/program/operator"
	"gatehouse/rules/program/variable"
	"gatehouse/rules/seclang"
)

// addVariable adds a target, or an exception to the targets so far.
func (r *Rule) addVariable(v seclang.Variable) error {
	id, ok := variable.Parse(v.Name)
	if !ok {
		return fmt.Errorf("%s is not a variable", v.Name)
	}
	if (v.Name == "XML" || v.Name == "JSON") && strings.HasSuffix(v.Key, "/") {
		r.unsupported("the path %s:%s ends in a slash", v.Name, v.Key)
	}
	if id == variable.JSON && v.Count {
		r.unsupported("&JSON") // which the reference neither counts nor takes for none
	}
	key := v.Key
	var regex *regexp.Regexp
	if v.Regex {
		text := key
		if !id.CaseSensitive() {
			text = strings.ToLower(text)
		}
		var err error
		if regex, err = regexp.Compile(text); err != nil {
			return fmt.Errorf("%s: %w", v, err)
		}
		key = "/" + key + "/"
	}
	if v.Exclude {
		exception := Exception{Key: strings.ToLower(key), Regex: regex}
		if regex != nil {
			exception.Key = ""
		}
		for i := range r.Targets {
			if t := &r.Targets[i]; t.Variable == id {
				t.Except = append(t.Except, exception)
			}
		}
		return nil
	}
	if !id.CaseSensitive() {
		key = strings.ToLower(key)
	}
	r.Targets = append(r.Targets, Target{Variable: id, Count: v.Count, Key: key, Regex: regex})
	return nil
}

// refusedOperators reach out of the request. The driver refuses them.
var refusedOperators = []string{"rbl", "inspectfile", "validateschema", "geolookup"}

func (r *Rule) setOperator(o *seclang.Operator, e *environment) error {
	r.Operator = &Operator{Name: o.Name, Negated: o.Negated, Argument: o.Arg, Source: o.Source, Datasets: e.datasets}
	if slices.Contains(refusedOperators, strings.ToLower(o.Name)) {
		r.unsupported("@%s", o.Name)
	}
	if o.Name == "pmFromDataset" {
		r.unsupported("@%s", o.Name) // the reference finds its words by the name of the set, whichever was first
	}
	if _, expands := operator.Compare(o.Name); !expands {
		return nil
	}
	m, err := r.parseText(o.Arg)
	if err != nil {
		return fmt.Errorf("@%s: %w", o.Name, err)
	}
	r.Operator.Macro = m
	return nil
}

// betweenSlashes is the text of a regular expression as ctl has it, /text/, its last slash not escaped.
func betweenSlashes(key string) (string, bool) {
	n := len(key)
	if n < 2 || key[0] != '/' || key[n-1] != '/' {
		return "", false
	}
	text := key[1 : n-1]
	escapes := len(text) - len(strings.TrimRight(text, `\`))
	return text, escapes%2 == 0
}

// ctlTarget reads what ctl:ruleRemoveTarget* leaves out: VARIABLE, VARIABLE:key or VARIABLE:/regex/. An unknown variable
// is no error; there is no such target then.
func ctlTarget(text string) (Target, error) {
	name, key, _ := strings.Cut(text, ":")
	key = strings.TrimSpace(key)
	id, _ := variable.Parse(strings.TrimSpace(name))
	t := Target{Variable: id, Key: strings.ToLower(key)}
	if pattern, ok := betweenSlashes(key); ok {
		if pattern == "" {
			return t, errors.New("the regular expression is empty")
		}
		regex, err := regexp.Compile(pattern)
		if err != nil {
			return t, err
		}
		t.Key, t.Regex = "", regex
	}
	return t, nil
}
