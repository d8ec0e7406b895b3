package proxy_test

import (
	"testing"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// TestRuleActions shows what the disruptive actions of an operator's own rules do on the wire: drop closes the
// connection without a reply, redirect sends elsewhere, deny answers with its status; in detect all of them pass.
func TestRuleActions(t *testing.T) {
	const policies = `policies:
  - name: own
    seclang: |
      SecRule REQUEST_URI "@beginsWith /drop" "id:10,phase:1,drop,log,msg:'dropped'"
      SecRule REQUEST_URI "@beginsWith /redirect" "id:11,phase:1,redirect:'https://shop.example.com/sorry',status:302,log,msg:'sent away'"
      SecRule REQUEST_URI "@beginsWith /deny" "id:12,phase:2,deny,status:429,log,msg:'denied'"
`
	for _, mode := range []string{"block", "detect"} {
		upstream := proxytest.NewUpstream(t)
		g := proxytest.Start(t, application(upstream.URL, mode, "    policy: own\n")+policies)
		for i, tt := range []struct {
			path     string
			status   int // in block; 0 for a closed connection
			location string
		}{
			{"/drop", 0, ""},
			{"/redirect", 302, "https://shop.example.com/sorry"},
			{"/deny", 429, ""},
		} {
			response, body := proxytest.Raw(t, g.URL, get(tt.path))
			e := g.WaitEvents(i + 1)[i]
			if e.Reason != event.Rule || len(e.Rules) != 1 || e.Rules[0].Rule != 10+i {
				t.Errorf("%s %s: event %s %+v", mode, tt.path, e.Reason, e.Rules)
			}
			switch {
			case mode == "detect":
				if response == nil || response.StatusCode != 200 || e.Verdict != event.Detect {
					t.Errorf("detect %s: %v, verdict %s", tt.path, response, e.Verdict)
				}
			case tt.status == 0:
				if response != nil {
					t.Errorf("block %s: got a reply: %d %s", tt.path, response.StatusCode, body)
				}
			case response == nil || response.StatusCode != tt.status || response.Header.Get("Location") != tt.location:
				t.Errorf("block %s: %v", tt.path, response)
			}
		}
		if want := map[string]int{"block": 0, "detect": 3}[mode]; len(upstream.Requests()) != want {
			t.Errorf("%s: %d requests reached the upstream, want %d", mode, len(upstream.Requests()), want)
		}
	}
}
