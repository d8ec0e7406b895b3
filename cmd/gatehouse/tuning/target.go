package tuning

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/rules"
	"gatehouse/rules/policy"
)

// targetsOf gives the targets at which an exclusion would have to take the rule away, each once and generalised. None
// means that the rule looks at the request as a whole, or at values that cannot be named.
func targetsOf(m *rules.Match) []string {
	var targets []string
	seen := map[string]bool{}
	for _, t := range m.Targets {
		g, ok := targetPattern(t)
		switch {
		case ok && !seen[g]:
			seen[g] = true
			targets = append(targets, g)
		case !ok && isValue(t):
			return nil
		}
	}
	return targets
}

// isValue says whether a matched target is a value of the request. Others, such as TX, are what rules made of values:
// without the values they do not match.
func isValue(t rules.MatchedTarget) bool {
	variable, _, _ := strings.Cut(t.Variable, ":")
	for _, prefix := range []string{"ARGS", "FILES", "REQUEST_COOKIES", "REQUEST_HEADERS", "RESPONSE_HEADERS"} {
		if strings.HasPrefix(variable, prefix) {
			return !isAbsent(t)
		}
	}
	return false
}

// targetPattern is what an exclusion names for a matched target: any index of a list, any key that looks like an
// identifier, and anything in place of what was masked or cut. There is none for what cannot be excluded, or is not in
// the request at all.
func targetPattern(t rules.MatchedTarget) (string, bool) {
	if t.Target == "" || isAbsent(t) {
		return "", false
	}
	parsed, err := policy.ParseTarget(anyByte(markRE.ReplaceAllString(t.Target, "*")))
	if err != nil {
		return "", false
	}
	switch parsed.Kind {
	case policy.KindJSON, policy.KindJSONName:
		parsed.Name = anyKey(anyIndex(parsed.Name))
	case policy.KindQuery, policy.KindForm, policy.KindQueryName, policy.KindFormName:
		parsed.Name = anyIndex(parsed.Name)
	}
	g := parsed.String()
	if len(policy.CheckExclusion(policy.Exclusion{Name: "x", Rules: []int{1}, Reason: "x", Targets: policy.Strings{g}}, false)) > 0 {
		return "", false // it can be seen but not excluded
	}
	return g, true
}

// anyByte puts * in place of what a configuration cannot hold: control characters, and bytes that are not UTF-8, which
// events write as \xNN.
func anyByte(target string) string {
	var b strings.Builder
	for i := 0; i < len(target); {
		if target[i] == '\\' && i+1 < len(target) {
			if target[i+1] == 'x' && i+3 < len(target) {
				b.WriteByte('*')
				i += 4
				continue
			}
			b.WriteByte('\\')
			i++
		}
		r, size := utf8.DecodeRuneInString(target[i:])
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) && r != ' ' {
			b.WriteByte('*')
		} else {
			b.WriteString(target[i : i+size])
		}
		i += size
	}
	return b.String()
}

var markRE = regexp.MustCompile(`\*\*\*\([0-9]+\)|…\(\+[0-9]+\)`)

// isAbsent says that the rule counted a header and found none: there is nothing to take away from it.
func isAbsent(t rules.MatchedTarget) bool {
	return t.Value == "0" && strings.HasPrefix(t.Target, string(policy.KindHeader)+":")
}

// anyIndex turns items[0].text into items[*].text. A backslash takes the next character literally.
func anyIndex(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		if name[i] == '\\' && i+1 < len(name) {
			b.WriteString(name[i : i+2])
			i += 2
			continue
		}
		if name[i] == '[' {
			if end := strings.IndexByte(name[i:], ']'); end > 1 && isDigits(name[i+1:i+end]) {
				b.WriteString("[*]")
				i += end + 1
				continue
			}
		}
		b.WriteByte(name[i])
		i++
	}
	return b.String()
}

// anyKey turns the segments of a JSON path that look like identifiers into *. Where some key holds a dot, every dot of the
// path has a backslash, since it is not known which is a key's own, and indexes are numbers between them: there * stands
// for what is between two dots, too.
func anyKey(name string) string {
	var b strings.Builder
	for rest := name; rest != ""; {
		end := 0
		for end < len(rest) && rest[end] != '.' && rest[end] != '[' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end, len(rest))
		if key := rest[:end]; isVariable(key) {
			b.WriteByte('*')
		} else {
			parts := strings.Split(key, `\.`)
			for i := range parts {
				if len(parts) > 1 && isVariable(parts[i]) {
					parts[i] = "*"
				}
			}
			b.WriteString(strings.Join(parts, `\.`))
		}
		rest = rest[end:]
		for rest != "" && (rest[0] == '.' || rest[0] == '[') {
			next := 1
			if rest[0] == '[' {
				next = strings.IndexByte(rest, ']') + 1
				if next == 0 {
					next = len(rest)
				}
			}
			b.WriteString(rest[:next])
			rest = rest[next:]
		}
	}
	return b.String()
}
