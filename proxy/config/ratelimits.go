package config

import (
	"fmt"
	"strings"

	"gatehouse/rules/policy"
)

// ParseRateKey reads one part of a rate limit's key: client, or header:NAME, cookie:NAME, query:NAME, form:NAME or
// json:PATH without wildcards, since a key names one value.
func ParseRateKey(s string) (policy.Target, error) {
	kinds := []string{"client", "header", "cookie", "query", "form", "json"}
	kind, name, named := strings.Cut(s, ":")
	switch policy.Kind(kind) {
	case policy.KindClient:
	case policy.KindHeader, policy.KindCookie, policy.KindQuery, policy.KindForm, policy.KindJSON:
		if !named || s == "json:" {
			return policy.Target{}, fmt.Errorf("%q needs a name, such as %q", s, kind+":name")
		}
	default:
		return policy.Target{}, fmt.Errorf("%q is nothing that can be counted%s; write client, header:NAME, cookie:NAME, query:NAME, form:NAME or json:PATH", s, DidYouMean(kind, kinds))
	}
	if strings.Contains(strings.NewReplacer(`\\`, "", `\*`, "").Replace(name), "*") {
		return policy.Target{}, fmt.Errorf("%q stands for several values; name one, without *", s)
	}
	return policy.ParseTarget(s)
}

// validateRateLimits checks rate limits.
func (l *loader) validateRateLimits(limits []RateLimit, path string) {
	first := map[string]string{}
	for i, x := range limits {
		at := item(path, i)
		switch {
		case x.Name == "":
			l.problem(key(at, "name"), "is missing")
		case !isName(x.Name):
			l.problem(key(at, "name"), "%q is not a name; write letters, digits and . _ - : * without spaces", x.Name)
		}
		l.twice(first, x.Name, at)
		if x.Limit == (Rate{}) {
			l.problem(key(at, "limit"), "is missing; write a count and a time span, such as 10/1m")
		}
		l.validateRateKey(x.Key, key(at, "key"))
		switch {
		case x.Path == "":
		case x.Path[0] != '/':
			l.problem(key(at, "path"), "%q does not begin with a slash; did you mean %q?", x.Path, "/"+x.Path)
		default:
			if _, err := policy.CompilePath(x.Path); err != nil {
				l.problem(key(at, "path"), "%s", err)
			}
		}
		l.validateMethods(x.Methods, key(at, "methods"))
	}
}

// validateRateKey checks a key, and warns of one that first visitors of a site have in common.
func (l *loader) validateRateKey(parts []string, path string) {
	if len(parts) == 0 {
		l.problem(path, "is missing; write what is counted together, such as [client]")
		return
	}
	seen := map[policy.Target]bool{}
	optional := true // every part is a header or a cookie, which ordinary requests lack
	for i, s := range parts {
		t, err := ParseRateKey(s)
		if err != nil {
			l.problem(item(path, i), "%s", err)
			optional = false
			continue
		}
		if seen[t] {
			l.problem(item(path, i), "%q stands in the key twice", s)
		}
		seen[t] = true
		optional = optional && (t.Kind == policy.KindHeader || t.Kind == policy.KindCookie)
	}
	if optional {
		l.warn(path, "requests without %s are all counted together; add client to count them by client", join(parts))
	}
}
