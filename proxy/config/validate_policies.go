package config

import (
	"regexp"
	"slices"
	"strings"

	"gatehouse/rules/policy"
)

var releaseRE = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+$`)

func (l *loader) validatePolicies(names, lists map[string]bool) {
	c := &l.cfg
	used := c.usedPolicies()
	unpinned := ""
	for i := range c.Policies {
		p, path := &c.Policies[i], item("policies", i)
		l.validateExtends(p, path, names)
		if v := p.CRS.Version; v == "" {
			if unpinned == "" && used[p.Name] {
				unpinned = path
			}
		} else if at := key(path, "crs.version"); l.written(at) {
			if len(l.opts.CRSVersions) > 0 && !slices.Contains(l.opts.CRSVersions, v) {
				l.problem(at, "%q is not an embedded release (%s)", v, join(l.opts.CRSVersions))
			} else if !releaseRE.MatchString(v) {
				l.problem(at, `%q is not a release; write three numbers, such as "4.25.0"`, v)
			}
		}
		l.validateRules(p.Rules, key(path, "rules"), lists)
		l.validateExclusions(p.Exclusions, key(path, "exclusions"), true)
		l.validateSecLang(p, path)
		l.validateRateLimits(p.RateLimits, key(path, "rate_limits"))
	}
	if unpinned != "" && len(l.opts.CRSVersions) > 0 {
		l.warn(key(unpinned, "crs.version"), "is not set, so the newest embedded release %s is used; name it to keep it when the program is upgraded", l.opts.CRSVersions[0])
	}
}

func (l *loader) validateExtends(p *Policy, path string, names map[string]bool) {
	if p.Extends == "" {
		return
	}
	at := key(path, "extends")
	if !names[p.Extends] {
		l.checkName(at, "policy", p.Extends, names)
		return
	}
	chain := []string{p.Name}
	for q := p; q != nil && q.Extends != ""; q = l.cfg.policyNamed(q.Extends) {
		chain = append(chain, q.Extends)
		if q.Extends == p.Name {
			l.problem(at, "goes round: %s", strings.Join(chain, " extends "))
			return
		}
		if len(chain) > len(l.cfg.Policies)+1 { // round, further up: reported there
			return
		}
	}
}

// validateRules checks structured rules; what they mean is policy's to judge.
func (l *loader) validateRules(rules []policy.Rule, path string, lists map[string]bool) {
	first := map[string]string{}
	for i, r := range rules {
		at := item(path, i)
		l.policyProblems(at, policy.CheckRule(r, lists))
		l.twice(first, r.Name, at)
	}
}

// validateExclusions checks exclusions; what they mean is policy's to judge.
func (l *loader) validateExclusions(exclusions []policy.Exclusion, path string, inPolicy bool) {
	first := map[string]string{}
	for i, e := range exclusions {
		at := item(path, i)
		l.policyProblems(at, policy.CheckExclusion(e, inPolicy))
		l.twice(first, e.Name, at)
		if l.expired(e.Expires) {
			l.warn(key(at, "expires"), "%q expired on %s and has no effect", e.Name, e.Expires)
		}
	}
}

// twice reports a name that stands in one list twice.
func (l *loader) twice(first map[string]string, name, path string) {
	at := key(path, "name")
	if other, ok := first[name]; ok && name != "" {
		l.problem(at, "%q is defined twice; first at %s", name, l.places.find(other))
		return
	}
	first[name] = at
}

func (l *loader) policyProblems(path string, problems []policy.Problem) {
	for _, p := range problems {
		at := path
		if p.Path != "" {
			at = key(path, p.Path)
		}
		l.problem(at, "%s", p.Message)
	}
}

// validateSecLang checks custom rules against the allow-list, each problem at its own line.
func (l *loader) validateSecLang(p *Policy, path string) {
	inline, file := key(path, "seclang"), key(path, "seclang_file")
	if p.SecLangFile == "" {
		for _, e := range checkSecLang(p) {
			l.problemAt(l.blocks[inline].place(e.Line), inline, e.Message)
		}
		return
	}
	if l.written(inline) {
		l.problem(file, "stands beside seclang; write one of them")
		return
	}
	data, ok := l.readFile(file, p.SecLangFile)
	if !ok {
		return
	}
	p.SecLang = string(data)
	for _, e := range checkSecLang(p) {
		l.problemAt(Place{File: p.SecLangFile, Line: e.Line}, file, e.Message)
	}
}
