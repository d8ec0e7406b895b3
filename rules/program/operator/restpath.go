package operator

import (
	"regexp"
	"strings"
)

// restPath matches paths by a template: "/users/{id}".
type restPath struct{ pattern *regexp.Regexp }

// newRestPath makes a regular expression of the template, in which the rest of the syntax works too. It is not anchored.
func newRestPath(template string) (Operator, error) {
	expression := strings.ReplaceAll(template, "/", `\/`)
	placeholder := regexp.MustCompile(`\{([^\}]+)\}`)
	expression = placeholder.ReplaceAllStringFunc(expression, func(token string) string {
		return "(?P<" + token[1:len(token)-1] + ">[^?/]+)"
	})
	pattern, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	return restPath{pattern}, nil
}

// Match implements Operator. It sets Captures.Path, and no fields.
func (r restPath) Match(value string, captures *Captures) bool {
	if !r.pattern.MatchString(value) {
		return false
	}
	if captures == nil {
		return true
	}
	found := r.pattern.FindStringSubmatch(value)
	for i, name := range r.pattern.SubexpNames() {
		if name != "" {
			captures.Path = append(captures.Path, PathArgument{Name: name, Value: found[i]})
		}
	}
	return true
}
