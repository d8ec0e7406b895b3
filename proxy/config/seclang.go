package config

import (
	"gatehouse/rules"
	"gatehouse/rules/seclang"
)

// sourceName names a policy's SecLang text in places: the file it stands in, or the key.
func sourceName(p *Policy) string {
	if p.SecLangFile != "" {
		return p.SecLangFile
	}
	return "policies." + p.Name + ".seclang"
}

// checkSecLang checks a policy's SecLang text against the allow-list for custom rules.
func checkSecLang(p *Policy) rules.TextErrors {
	if p.SecLang == "" {
		return nil
	}
	return seclang.Check(rules.Source{Name: sourceName(p), Text: p.SecLang})
}

// TextPlace gives the place of a line of a policy's SecLang text, given the source's name in a policy.Set: the line of
// the configuration file for text that stands in it.
func (l *Loaded) TextPlace(source string, line int) Place {
	for i := range l.Config.Policies {
		p := &l.Config.Policies[i]
		if p.SecLang != "" && sourceName(p) == source {
			if p.SecLangFile == "" {
				return l.blocks[key(item("policies", i), "seclang")].place(line)
			}
			break
		}
	}
	return Place{File: source, Line: line}
}
