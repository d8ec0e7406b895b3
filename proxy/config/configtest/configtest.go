// Package configtest reads the configurations that stand in test files of rules, for tests of engines.
package configtest

import (
	"fmt"
	"time"

	"gatehouse/proxy/config"
	"gatehouse/rules"
	"gatehouse/rules/policy"
	"gatehouse/rules/rulestest"
)

// Lower reads the configuration of a test file as a gateway would, at a time at which nothing has expired, and gives the
// rule text for its application. It has to have exactly one.
func Lower(f *rulestest.File) (rules.Policy, error) {
	options := config.Options{Now: func() time.Time { return time.Unix(0, 0) }}
	loaded, err := options.LoadBytes(f.Name, []byte(f.Configuration))
	if err != nil {
		return rules.Policy{}, err
	}
	if n := len(loaded.Config.Applications); n != 1 {
		return rules.Policy{}, fmt.Errorf("%s: the configuration has %d applications; on an engine alone, where no host is looked up, it has to have one", f.Name, n)
	}
	application := loaded.Config.Applications[0]
	set, err := loaded.ResolvePolicy(application.Policy)
	if err != nil {
		return rules.Policy{}, fmt.Errorf("%s: %w", f.Name, err)
	}
	return policy.Lower(set, policy.Application{Name: application.Name, Rules: application.Rules, Exclusions: application.Exclusions}, loaded.Lists())
}
