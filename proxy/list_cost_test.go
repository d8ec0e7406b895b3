package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// TestLargeList shows that a list of 100,000 addresses costs a request what one of 100 does, that it refuses who is on it,
// and that entries end with their day.
func TestLargeList(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	start := func(n int) *proxytest.Gateway {
		var list strings.Builder
		for i := range n { // with gaps, so that no two are one range
			fmt.Fprintf(&list, "10.%d.%d.%d\n", i>>15&255, i>>7&255, i&127*2)
		}
		text := `listeners:
  - { name: http, address: "127.0.0.1:0", trusted_hops: 1 }
` + strings.Replace(application(upstream.URL, "block", `    rules:
      - { name: banned, when: { client: banned }, then: block, stage: enforce }
      - { name: for-a-while, when: { client: temporary }, then: block, stage: enforce }
`), "lists:\n", `lists:
  - { name: banned, file: banned.txt }
  - { name: temporary, addresses: [{ address: 198.51.100.1, expires: 2020-01-01 }, { address: 198.51.100.2, expires: 2120-01-01 }] }
`, 1)
		return proxytest.Start(t, text, proxytest.Options{Files: map[string]string{"banned.txt": list.String()}})
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	ask := func(g *proxytest.Gateway, from string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Forwarded-For", from)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	cost := func(g *proxytest.Gateway) time.Duration {
		best := time.Hour
		for range 100 {
			begin := time.Now()
			if status := ask(g, "192.0.2.7"); status != 200 {
				t.Fatalf("status %d", status)
			}
			best = min(best, time.Since(begin))
		}
		return best
	}
	large := start(100_000)
	for address, want := range map[string]int{
		"10.0.0.0": 403, "10.3.13.62": 403, "10.3.13.64": 200, "10.0.0.1": 200, "198.51.100.1": 200, "198.51.100.2": 403,
	} {
		if status := ask(large, address); status != want {
			t.Errorf("%s: %d, want %d", address, status, want)
		}
	}
	for _, e := range large.WaitEvents(3) {
		if e.Reason != event.List {
			t.Errorf("event %s: %s", e.Reason, e.Detail)
		}
	}
	few, many := cost(start(100)), cost(large)
	t.Logf("a request takes %v with a list of 100 entries, %v with one of 100,000", few, many)
	if many > 2*few { // a search through the list would take milliseconds
		t.Errorf("a request takes %v with a list of 100 entries, and %v with one of 100,000", few, many)
	}
}
