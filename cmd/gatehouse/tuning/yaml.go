package tuning

import (
	"fmt"
	"strconv"
	"strings"

	"gatehouse/rules/policy"
)

// YAML writes exclusions as the key exclusions: of an application, with comments on what is to be filled in. indent is
// the number of spaces before each line; 4 is right below an application that is written as in the documentation.
func (s Suggestion) YAML(indent int) string {
	var b strings.Builder
	pad := strings.Repeat(" ", indent)
	line := func(format string, args ...any) { b.WriteString(pad + fmt.Sprintf(format, args...) + "\n") }
	line("exclusions:")
	for i, x := range s.Exclusions {
		line("  - name: %s", plainOrQuoted(x.Name))
		line("    rules: [%s]", joinInts(x.Rules))
		for _, id := range x.Rules {
			if m := s.Messages[id]; m != "" {
				line("      # %d: %s", id, comment(m))
			}
		}
		if x.Path != "" {
			line("    path: %s", strconv.Quote(x.Path))
		}
		if len(x.Methods) > 0 {
			line("    methods: [%s]", strings.Join(x.Methods, ", "))
		}
		if x.WholeRequest {
			line("    whole_request: true      # these rules look at the request as a whole")
		} else {
			line("    targets: [%s]", joinQuoted(x.Targets))
		}
		if i > 0 {
			line("    owner: %s", strconv.Quote(x.Owner))
			line("    reason: %s", strconv.Quote(x.Reason))
			line("    expires: %s", x.Expires)
			continue
		}
		line("    owner: %-20s # fill in who answers for it", strconv.Quote(x.Owner))
		line("    # fill in why these values are legitimate here, such as \"SQL words in free text\"")
		line("    reason: %s", strconv.Quote(x.Reason))
		line("    expires: %-18s # in 90 days; until then settle it at its root, or prolong it", x.Expires)
	}
	return b.String()
}

// plainOrQuoted puts a name in quotes where YAML could take it for something else.
func plainOrQuoted(name string) string {
	if name[0] >= '0' && name[0] <= '9' {
		return strconv.Quote(name)
	}
	return name
}

// comment is s as the rest of a comment line.
func comment(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}

func joinInts(list []int) string {
	var out []string
	for _, n := range list {
		out = append(out, strconv.Itoa(n))
	}
	return strings.Join(out, ", ")
}

func joinQuoted(list policy.Strings) string {
	var out []string
	for _, s := range list {
		out = append(out, strconv.Quote(s))
	}
	return strings.Join(out, ", ")
}
