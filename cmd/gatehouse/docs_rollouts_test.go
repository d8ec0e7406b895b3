package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"gatehouse/mgmt/rollout"
)

// TestPageRollouts: the thresholds on the page are those that a manager has.
func TestPageRollouts(t *testing.T) {
	data, err := os.ReadFile("../../docs/rollouts.md")
	if err != nil {
		t.Fatal(err)
	}
	page, th := strings.Join(strings.Fields(string(data)), " "), rollout.DefaultThresholds()
	for _, want := range []string{
		fmt.Sprintf("has not reported for %v", th.Silence),
		fmt.Sprintf("does not serve the revision after %v", th.Acknowledge),
		fmt.Sprintf("not ready for traffic after %v", th.Acknowledge),
		fmt.Sprintf("and %d MiB more", th.Memory>>20),
		fmt.Sprintf("%g standard errors higher", th.Score),
		fmt.Sprintf("the gateway's own answers of 5xx | %g %%", 100*th.Own5xx),
		fmt.Sprintf("and those to its faults | %g %%", 100*th.Upstream5xx),
		fmt.Sprintf("would have blocked in detect | %g %%", 100*th.Blocked),
		fmt.Sprintf("| %d times the others', and more than %v", th.Slower, th.SlowerThan),
		fmt.Sprintf("once there were %d requests", th.Compared),
		fmt.Sprintf("once there were %d on either side", 20*th.Compared),
		fmt.Sprintf("fewer than %d requests", th.Requests),
	} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/rollouts.md does not say %q", want)
		}
	}
}
