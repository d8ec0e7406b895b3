package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules/policy"
)

// TestRateLimits shows that limits are inherited, the parent's first, and that a name is a parent's limit replaced.
func TestRateLimits(t *testing.T) {
	l, err := LoadBytes("g.yaml", []byte(`
applications: [{ hosts: [a.example], upstream: "http://a.internal", policy: child }]
policies:
  - name: child
    extends: parent
    rate_limits:
      - { name: search, path: /search, key: [client, "cookie:sid"], limit: 5/1s, burst: 20 }
      - { name: login, path: /login, key: [client], limit: 3/1m }
  - name: parent
    rate_limits:
      - { name: login, path: /login, key: ["form:email"], limit: 10/1m, burst: 5 }
      - { name: keys, key: ["header:X-Api-Key"], limit: 100/1h }
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []RateLimit{
		{Name: "login", Path: "/login", Key: []string{"client"}, Limit: Rate{3, time.Minute}, Burst: 3},
		{Name: "keys", Key: []string{"header:X-Api-Key"}, Limit: Rate{100, time.Hour}, Burst: 100},
		{Name: "search", Path: "/search", Key: []string{"client", "cookie:sid"}, Limit: Rate{5, time.Second}, Burst: 20},
	}
	if diff := cmp.Diff(want, l.Config.RateLimits("child")); diff != "" {
		t.Errorf("child (-want +got):\n%s", diff)
	}
	if got := l.Config.RateLimits("parent")[0]; got.Burst != 5 || got.Key[0] != "form:email" {
		t.Errorf("the child changed its parent: %+v", got)
	}
	if got := l.Config.RateLimits("nobody"); got != nil {
		t.Errorf("an unknown policy has limits %v", got)
	}
	var warnings []string
	for _, w := range l.Warnings {
		if strings.Contains(w.Path, "rate_limits") {
			warnings = append(warnings, w.String())
		}
	}
	wantWarning := "g.yaml:12:28: policies[1].rate_limits[1].key: requests without header:X-Api-Key are all counted together; add client to count them by client"
	if diff := cmp.Diff([]string{wantWarning}, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestParseRateKey shows what can be counted; an empty want is an error.
func TestParseRateKey(t *testing.T) {
	tests := map[string]string{
		"client": "client", "header:X-Api-Key": "header:x-api-key", "cookie:sid": "cookie:sid", "query:q": "query:q",
		"form:email": "form:email", "form:": "form:", "json:user.email": "json:user.email", "json:items[0].id": "json:items[0].id",
		`form:a\*b`: `form:a\*b`, `form:a\\`: `form:a\\`,
		"": "", "clint": "", "client:x": "", "query": "", "header": "", "form": "", "json": "", "json:": "", "header:a b": "", "cookie:": "",
		"json:items[*].id": "", "form:a*": "", `form:a\\*`: "", `form:a\`: "", "method": "", "path": "", "reply_status": "", "xml:text": "",
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			got, err := ParseRateKey(text)
			if (err != nil) != (want == "") {
				t.Fatalf("got %v, error %v", got, err)
			}
			if err == nil && got.String() != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	if _, err := ParseRateKey("clint"); !strings.Contains(fmt.Sprint(err), `did you mean "client"?`) {
		t.Errorf("no suggestion: %v", err)
	}
	if got, _ := ParseRateKey("client"); got != (policy.Target{Kind: policy.KindClient}) {
		t.Errorf("client is %+v", got)
	}
}
