package proxy_test

import (
	"strings"
	"testing"

	"gatehouse/proxy/proxytest"
)

// TestSecretsInXML sends an attack in a password: what rules matched is recorded, and the password nowhere, whichever
// part of it the rules saw in whichever form. An attack beside it is shown.
func TestSecretsInXML(t *testing.T) {
	const attack = "&lt;script&gt;alert(1)&lt;/script&gt;"
	upstream := proxytest.NewUpstream(t)
	for _, mode := range []string{"block", "detect"} {
		g := proxytest.Start(t, application(upstream.URL, mode, "    policy: own\n")+`policies:
  - name: own
    seclang: |
      SecRule XML:/* "@rx (?i)secrettok" "id:1,phase:2,pass,log,capture,t:none,t:lowercase,t:removeWhitespace,msg:'seen %{TX.0}',logdata:'%{MATCHED_VAR}'"
      SecRule XML://@* "@rx SECRETTOK" "id:2,phase:2,pass,log,logdata:'in %{MATCHED_VAR_NAME}: %{MATCHED_VAR}'"
`)
		for _, document := range []string{
			"<a><password>SECRETTOKF" + attack + "</password></a>",
			"<a><password>SECRETTOKF<script>alert(1)</script></password></a>",
			"<a><s:Password xmlns:s='urn:s' Type='x'>SECRETTOKF" + attack + "</s:Password></a>",
			"<a><login password='SECRETTOKF" + attack + "'/></a>",
			"<a><m><name>password</name><value>SECRETTOKF " + attack + "</value></m></a>",
		} {
			exchange(t, g.URL, post("/x", "application/xml", document))
		}
		for _, e := range g.WaitEvents(5) {
			if len(e.Rules) == 0 {
				t.Errorf("%s: no rule is recorded", mode)
			}
		}
		if low := strings.ToLower(g.Records()); strings.Contains(low, "secrettok") {
			at := strings.Index(low, "secrettok")
			t.Errorf("%s: the secret is in ...%s", mode, low[max(0, at-300):at+60])
		}
		exchange(t, g.URL, post("/x", "application/xml", "<a><password>SECRETTOKF</password><comment>"+attack+"</comment></a>"))
		g.WaitEvents(6)
		if records := g.Records(); !strings.Contains(records, `"target":"xml:text","value":"<script>alert(1)</script>"`) && !strings.Contains(records, "<script>alert(1)</script>") {
			t.Errorf("%s: the attack beside a password is not shown", mode)
		}
		if low := strings.ToLower(g.Records()); strings.Contains(low, "secrettok") {
			t.Errorf("%s: the secret beside an attack is shown", mode)
		}
	}
}
