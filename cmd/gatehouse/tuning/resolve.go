package tuning

import (
	"net/url"
	"strings"

	"gatehouse/proxy/event"
	"gatehouse/rules/policy"
)

// Resolve fills in the targets that a rule set could not tell: ARGS holds the arguments of query and body together, and
// the event knows the query: a name that is in it is taken for the query's. If the body has it too, an exclusion for the
// query has no effect, so that the guess widens nothing. It changes e.
func Resolve(e *event.Event) {
	if strings.Contains(e.Query, cutMark) {
		return
	}
	processor := formProcessor(e.ContentType)
	var inQuery map[string]bool
	for i := range e.Rules {
		for j := range e.Rules[i].Targets {
			t := &e.Rules[i].Targets[j]
			variable, key, _ := strings.Cut(t.Variable, ":")
			inForm := t.Target == "" && processor != "" && (variable == "ARGS" || variable == "ARGS_NAMES")
			inText := t.Variable == textArgument && t.Target == string(policy.KindQuery)+":body"
			if key == "" || !inForm && !inText {
				continue
			}
			if inQuery == nil {
				inQuery = names(e.Query)
			}
			switch {
			case inQuery[strings.ToLower(key)]:
				t.Target = policy.TargetOf(strings.Replace(variable, "ARGS", "ARGS_GET", 1), key, processor)
			case inText:
				t.Target = string(policy.KindBody)
			default:
				t.Target = policy.TargetOf(strings.Replace(variable, "ARGS", "ARGS_POST", 1), key, processor)
			}
		}
	}
}

// textArgument is the argument as which rules see a body of plain text.
const textArgument = "ARGS:body"

// formProcessor is the body processor of a form's content type, empty for others. A body without a type is read as a
// form.
func formProcessor(contentType string) string {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch strings.TrimSpace(media) {
	case "application/x-www-form-urlencoded", "":
		return "URLENCODED"
	case "multipart/form-data":
		return "MULTIPART"
	}
	return ""
}

// names gives the argument names of a query in lower case.
func names(query string) map[string]bool {
	out := map[string]bool{}
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		out[strings.ToLower(name)] = true
	}
	return out
}
