package coraza_test

import (
	"testing"

	"gatehouse/rules/coraza"
	"gatehouse/rules/policy"
)

// TestTargetOfArguments shows that a match in ARGS names the place of its value: the query or the body.
func TestTargetOfArguments(t *testing.T) {
	const attack = "1%27+union+select+1,2,3--+-"
	set := mustLoad(t, coraza.New(coraza.Options{Target: policy.TargetOf}), crsPolicy(t, ""))
	for _, c := range []struct{ name, target, contentType, body, want string }{
		{"query", "/?q=" + attack, "", "", "query:q"},
		{"form", "/", "application/x-www-form-urlencoded", "q=" + attack, "form:q"},
		{"form, upper case", "/", "application/x-www-form-urlencoded", "Q=" + attack, "form:Q"},
		{"form beside the same name in the query", "/?q=fine", "application/x-www-form-urlencoded", "q=" + attack, "form:q"},
		{"query beside the same name in the form", "/?q=" + attack, "application/x-www-form-urlencoded", "q=fine", "query:q"},
		{"multipart", "/", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n1' union select 1,2,3-- -\r\n--b--\r\n", "form:q"},
		{"JSON", "/", "application/json", `{"q":["1' union select 1,2,3-- -"]}`, "json:q[0]"},
		{"text", "/", "text/plain", "1' union select 1,2,3-- -", "body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request("POST", c.target)
			if c.contentType != "" {
				r = request("POST", c.target, "Content-Type: "+c.contentType, "Content-Length: 100")
			}
			result, _ := inspect(t, set, r, body(c.body))
			for _, m := range result.Matches {
				if m.Rule != 942100 {
					continue
				}
				if got := m.Targets[0].Target; got != c.want {
					t.Errorf("%s: target %q, want %q", m.Targets[0].Variable, got, c.want)
				}
				return
			}
			t.Error("rule 942100 did not match")
		})
	}
}
