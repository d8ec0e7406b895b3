package policy_test

import (
	"sync"
	"testing"

	"gatehouse/rules/coraza"
	"gatehouse/rules/policy"
)

// TestExclusionsOfConcurrentRequests runs requests with different exclusions of the same rules side by side: the
// exclusion of one must never act on another.
func TestExclusionsOfConcurrentRequests(t *testing.T) {
	var s suite
	s.Policy.CRS.Paranoia = 2 // the rules whose lists of exceptions have room left are of this level
	for _, name := range []string{"a", "b", "c", "d"} {
		s.Policy.Exclusions = append(s.Policy.Exclusions, policy.Exclusion{
			Name: name, Tags: policy.Strings{"attack-sqli", "attack-rce"}, Path: "/" + name, Targets: policy.Strings{"cookie:" + name}, Reason: "test",
		})
	}
	set := loadSuite(t, coraza.New(coraza.Options{}), s)
	attack := "1' OR '1'='1"
	var wg sync.WaitGroup
	for i, name := range []string{"a", "b", "c", "d"} {
		other := []string{"b", "c", "d", "a"}[i]
		wg.Go(func() {
			for range 25 {
				c := testCase{Request: "GET /" + name, Headers: map[string]string{"Cookie": name + "=" + attack}, Want: "pass", Exclusions: []string{name}}
				d := testCase{Request: "GET /" + name, Headers: map[string]string{"Cookie": name + "=x; " + other + "=" + attack}, Want: "deny", Exclusions: []string{name}}
				for _, x := range []testCase{c, d} {
					for _, problem := range x.problems(x.run(t, set, false), false) {
						t.Errorf("%s: %s", x.Request, problem)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
