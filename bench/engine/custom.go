package engine

import (
	"strings"

	"gatehouse/bench/mix"
	"gatehouse/rules"
)

// CustomRules are n rules of an operator, of the kinds that operators write, none of which matches the requests of the
// cases: they come in front of the rules of CRS.
func CustomRules(p rules.Policy, n int) rules.Policy {
	text := mix.CustomRules(n)
	with := p
	with.Name += "+custom"
	with.Sources = nil
	for _, source := range p.Sources {
		if strings.HasPrefix(source.Name, "crs-") && !strings.Contains(source.Name, "setup") && text != "" {
			with.Sources = append(with.Sources, rules.Source{Name: "custom", Text: text})
			text = ""
		}
		with.Sources = append(with.Sources, source)
	}
	return with
}
