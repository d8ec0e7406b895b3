package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"gatehouse/rules"
	"gatehouse/rules/policy"
	"gatehouse/rules/seclang"
)

// warnOfNoEffect looks for what can be used and has no effect. It runs once all files are read.
func (l *loader) warnOfNoEffect() {
	tags := l.tags()
	for i, a := range l.cfg.Applications {
		path := item("applications", i)
		l.warnExclusions(a.Exclusions, key(path, "exclusions"), tags)
		l.warnReplyRules(&l.cfg.Applications[i])
	}
	for i, p := range l.cfg.Policies {
		l.warnExclusions(p.Exclusions, key(item("policies", i), "exclusions"), tags)
	}
}

// tags gives the tags that rules of any policy carry, nil if they are not known.
func (l *loader) tags() map[string]bool {
	all := map[string]bool{}
	for _, p := range l.cfg.Policies {
		release, err := policy.ReleaseTags(p.CRS.Version)
		if err != nil { // a problem of its own
			return nil
		}
		maps.Copy(all, release)
		for _, t := range policy.TextTags(p.SecLang) {
			all[t] = true
		}
	}
	return all
}

// regexRE finds what only a regular expression has: the characters stand for themselves in a path.
var regexRE = regexp.MustCompile(`^\^|\$$|[|\\]|/\.[*+]|[)\]][*+?{]|[)\]]\.[*+]|\[[^\]/]*\]|\(\?`)

// warnExclusions warns of exclusions that never act.
func (l *loader) warnExclusions(exclusions []policy.Exclusion, path string, tags map[string]bool) {
	for i, e := range exclusions {
		at := item(path, i)
		for j, t := range e.Tags {
			if tags == nil || t == "" || tags[t] {
				continue
			}
			meant := ""
			if best := closest(t, slices.Sorted(maps.Keys(tags))); best != "" {
				meant = fmt.Sprintf("; did you mean %q?", best)
			}
			l.warn(item(key(at, "tags"), j), "has no effect: no rule has the tag %q%s", t, meant)
		}
		if found := regexRE.FindString(e.Path); found != "" {
			l.warn(key(at, "path"), "%q looks like a regular expression, and %q stands for itself here; * is one segment or a part of it, ** is the rest of the path", e.Path, found)
		}
	}
}

// warnReplyRules warns of custom rules about replies, in an application that inspects none.
func (l *loader) warnReplyRules(a *Application) {
	off := a.Mode == ModeDisabled
	for _, r := range a.Routes {
		if r.Response.Inspect {
			return
		}
		off = off && (r.Mode == "" || r.Mode == ModeDisabled)
	}
	p := l.cfg.policyNamed(a.Policy)
	if off || p == nil {
		return
	}
	for _, q := range l.cfg.lineage(p) {
		text, errs := seclang.Parse(rules.Source{Name: sourceName(q), Text: q.SecLang})
		if errs != nil { // a problem of its own
			continue
		}
		for _, d := range text.Directives {
			if d.Rule == nil {
				continue
			}
			if phase := d.Rule.Phase(); phase == 3 || phase == 4 {
				l.warnRule(q, d.Line, "rule %d is of phase %d and never runs for application %s: no route of it has response: { inspect: true }", d.Rule.ID(), phase, a.Name)
			}
		}
	}
}

// warnRule warns of a line of a policy's rule text.
func (l *loader) warnRule(p *Policy, line int, format string, args ...any) {
	i := slices.IndexFunc(l.cfg.Policies, func(q Policy) bool { return q.Name == p.Name })
	path := key(item("policies", i), "seclang")
	at := l.blocks[path].place(line)
	if p.SecLangFile != "" {
		path = key(item("policies", i), "seclang_file")
		at = Place{File: p.SecLangFile, Line: line}
	}
	l.warnings = append(l.warnings, Problem{at, path, fmt.Sprintf(format, args...)})
}
