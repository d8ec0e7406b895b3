package config

import "gatehouse/rules"

func (l *loader) checkSecLang(p *Policy) rules.TextErrors { return nil }
