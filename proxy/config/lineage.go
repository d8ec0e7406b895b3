package config

import "slices"

// policyNamed finds a policy, or nil.
func (c *Config) policyNamed(name string) *Policy {
	for i := range c.Policies {
		if c.Policies[i].Name == name {
			return &c.Policies[i]
		}
	}
	return nil
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
