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
