package config

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/policy"
)

// policyNamed finds a policy, or nil.
func (c *Config) policyNamed(name string) *Policy {
	for i := range c.Policies {
		if c.Policies[i].Name == name {
			return &c.Policies[i]
		}
	}
	return nil
}

// usedPolicies are the names of the policies that applications have.
func (c *Config) usedPolicies() map[string]bool {
	used := map[string]bool{}
	for i := range c.Applications {
		used[c.Applications[i].Policy] = true
	}
	return used
}

// lineage lists p and the policies that it extends, the furthest parent first. It stops at a name that does not
// exist and where it would go round.
func (c *Config) lineage(p *Policy) []*Policy {
	chain := []*Policy{p}
	for p.Extends != "" {
		p = c.policyNamed(p.Extends)
		if p == nil || slices.Contains(chain, p) {
			break
		}
		chain = append(chain, p)
	}
	slices.Reverse(chain)
	return chain
}

// ResolvePolicy merges a policy with those that it extends: the CRS settings of the policy itself, which are complete
// in a loaded configuration, and the rules, SecLang texts and exclusions of all, the furthest parent first.
func (c *Config) ResolvePolicy(name string) (policy.Set, error) {
	p := c.policyNamed(name)
	if p == nil {
		return policy.Set{}, fmt.Errorf("there is no policy %q", name)
	}
	set := policy.Set{Name: p.Name, CRS: p.CRS}
	for _, q := range c.lineage(p) {
		set.Rules = append(set.Rules, q.Rules...)
		set.Exclusions = append(set.Exclusions, q.Exclusions...)
		if q.SecLang != "" {
			set.SecLang = append(set.SecLang, rules.Source{Name: sourceName(q), Text: q.SecLang})
		}
	}
	return set, nil
}

// RateLimits gives the rate limits of a policy and of those that it extends, the furthest parent first. A limit takes
// the place of a parent's of the same name. A policy that does not exist has none.
func (c *Config) RateLimits(name string) []RateLimit {
	p := c.policyNamed(name)
	if p == nil {
		return nil
	}
	var limits []RateLimit
	for _, q := range c.lineage(p) {
		for _, x := range q.RateLimits {
			if i := slices.IndexFunc(limits, func(y RateLimit) bool { return y.Name == x.Name }); i >= 0 {
				limits[i] = x
				continue
			}
			limits = append(limits, x)
		}
	}
	return limits
}

// ResolvePolicy is like Config.ResolvePolicy.
func (l *Loaded) ResolvePolicy(name string) (policy.Set, error) { return l.Config.ResolvePolicy(name) }

// Lists gives the networks of every list, without the entries that have expired by now.
func (l *Loaded) Lists() map[string]policy.List {
	today := l.now().UTC().Format(time.DateOnly)
	lists := map[string]policy.List{}
	for _, x := range l.Config.Lists {
		networks := policy.List{}
		for _, e := range x.Addresses {
			if e.Expires == "" || string(e.Expires) >= today {
				networks = append(networks, policy.ListEntry{Prefix: e.Address.Prefix, Expires: e.Expires})
			}
		}
		lists[x.Name] = networks
	}
	return lists
}

// Place gives the problems of a policy's text, as the engine or policy.Lower reports them, their places in the files
// that the operator wrote. It answers nil for errors of another kind.
func (l *Loaded) Place(err error) Problems {
	var byValue rules.TextErrors
	var byPointer *rules.TextErrors
	if errors.As(err, &byPointer) && byPointer != nil {
		byValue = *byPointer
	} else if !errors.As(err, &byValue) {
		return nil
	}
	var problems Problems
	for _, e := range byValue {
		path, place := l.textPlace(e.Source, e.Line)
		problems = append(problems, Problem{place, path, e.Message})
	}
	return sortProblems(problems)
}

// textPlace finds the key and the place of a line of rule text by the name of its source.
func (l *Loaded) textPlace(source string, line int) (path string, place Place) {
	for i := range l.Config.Policies {
		p := &l.Config.Policies[i]
		if p.SecLang == "" || sourceName(p) != source {
			continue
		}
		if p.SecLangFile != "" {
			return key(item("policies", i), "seclang_file"), Place{File: source, Line: line}
		}
		path = key(item("policies", i), "seclang")
		return path, l.blocks[path].place(line)
	}
	return "", Place{File: source, Line: line}
}
