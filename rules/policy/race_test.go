package policy_test

import (
	"strings"
	"sync"
	"testing"

	"gatehouse/rules/policy"
)

// TestExclusionsOfConcurrentRequests runs requests with different exclusions of the same rules side by side: the
// exclusion of one must never act on another.
func TestExclusionsOfConcurrentRequests(t *testing.T) {
	// The rules whose lists of exceptions have room left are of paranoia level 2.
	policies := policy.Set{Name: "default", CRS: policy.CRS{Paranoia: 2}}
	for _, name := range []string{"a", "b", "c", "d"} {
		policies.Exclusions = append(policies.Exclusions, policy.Exclusion{
			Name: name, Tags: policy.Strings{"attack-sqli", "attack-rce"}, Path: "/" + name, Targets: policy.Strings{"cookie:" + name}, Reason: "test",
		})
	}
	set := mustLoad(t, mustLower(t, policies, policy.Application{}, nil))
	var wg sync.WaitGroup
	for i, name := range []string{"a", "b", "c", "d"} {
		cases := parseCases(t, strings.NewReplacer("NAME", name, "OTHER", []string{"b", "c", "d", "a"}[i]).Replace(`
-- request NAME where it is excluded --
GET /NAME
Cookie: NAME=1' OR '1'='1

-- expect --
pass
exclusions NAME

-- request OTHER beside it --
GET /NAME
Cookie: NAME=x; OTHER=1' OR '1'='1

-- expect --
block
exclusions NAME
`))
		wg.Go(func() {
			for range 25 {
				checkCases(t, set, cases)
				if t.Failed() {
					return
				}
			}
		})
	}
	wg.Wait()
}
