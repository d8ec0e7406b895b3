package coraza_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
)

// TestRepeatedNames sends one attack among values under the same name. Each value has to be looked at every time.
func TestRepeatedNames(t *testing.T) {
	const attack = "${jndi:ldap://x}"
	multipart := func(values ...string) string {
		var b strings.Builder
		for _, v := range values {
			b.WriteString("--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + v + "\r\n")
		}
		for _, name := range []string{"p", "q", "r", "s"} {
			b.WriteString("--xyz\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n1\r\n")
		}
		return b.String() + "--xyz--\r\n"
	}
	// noise are other names: with them the position of a value differs from one visit to the next.
	const noise = "&p=1&q=2&r=3&s=4&t=5"
	headers := func(name string, values ...string) *rules.Request {
		r := request("GET", "/", "P: 1", "Q: 2", "R: 3", "S: 4")
		for _, v := range values { // the same name in the same memory
			r.Headers = append(r.Headers, rules.Header{Name: name, Value: v})
		}
		return r
	}
	const escaped = "%24%7Bjndi:ldap://x%7D"
	set := mustLoad(t, coraza.New(coraza.Options{}), rules.Policy{
		Limits: rules.Limits{Arguments: 100, JSONDepth: 10},
		// Several rules with transformations in common, as in CRS: that is what makes one rule see what another cached.
		Sources: []rules.Source{{Name: "base", Text: baseText}, {Name: "rules", Text: `
SecRule REQUEST_HEADERS|!REQUEST_HEADERS:Cookie|REQUEST_COOKIES|ARGS "@rx never1" "id:1,phase:2,pass,log,t:none,t:urlDecodeUni,t:lowercase"
SecRule REQUEST_HEADERS|!REQUEST_HEADERS:Cookie|REQUEST_COOKIES|ARGS "@rx never2" "id:2,phase:2,pass,log,t:none,t:urlDecodeUni,t:htmlEntityDecode"
SecRule REQUEST_HEADERS|!REQUEST_HEADERS:Cookie|REQUEST_COOKIES|ARGS|XML:/* "@rx \$\{jndi:" "id:3,phase:2,deny,log,t:none,t:urlDecodeUni,t:lowercase"
`}},
	})
	for _, c := range []struct {
		name    string
		request *rules.Request
		body    string
	}{
		{name: "header", request: headers("X-A", "one", attack, "three")},
		{name: "header in different case", request: request("GET", "/", "X-A: one", "x-a: "+attack, "X-a: three")},
		{name: "cookie", request: request("GET", "/", "Cookie: a=one; a="+attack+"; a=three; p=1; q=2; r=3; s=4")},
		{name: "cookie in two headers", request: request("GET", "/", "Cookie: a=one; a=two", "Cookie: a="+attack+"; p=1; q=2; r=3; s=4")},
		{name: "cookie without a name", request: request("GET", "/", "Cookie: =one; ="+attack+"; =three; p=1; q=2; r=3; s=4")},
		{name: "query", request: request("GET", "/?a=one&a="+escaped+"&a=three"+noise)},
		{name: "query in different case", request: request("GET", "/?a=one&A="+escaped+"&a=three"+noise)},
		{name: "query without a name", request: request("GET", "/?=one&="+escaped+"&=three"+noise)},
		{name: "form", request: request("POST", "/", "Content-Type: application/x-www-form-urlencoded"), body: "a=one&a=" + escaped + "&a=three" + noise},
		{name: "form in different case", request: request("POST", "/", "Content-Type: application/x-www-form-urlencoded"), body: "a=one&A=" + escaped + "&a=three" + noise},
		{name: "multipart", request: request("POST", "/", "Content-Type: multipart/form-data; boundary=xyz"), body: multipart("one", attack, "three")},
		{
			name: "JSON", request: request("POST", "/", "Content-Type: application/json"),
			body: `{"a.b":"one","a":{"b":"` + attack + `","B":"three"},"p":1,"q":2,"r":3,"s":4}`,
		},
		{name: "XML", request: request("POST", "/", "Content-Type: text/xml"), body: "<r><a>one</a><a>" + attack + "</a><a>three</a></r>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 1000 {
				result, seen := inspect(t, set, c.request, body(c.body))
				if seen == nil || seen.Rule != 3 {
					t.Fatalf("run %d: not refused: %+v", i, result)
				}
			}
		})
	}
}

// TestSameResultEveryTime compares everything in a result over many runs with CRS.
func TestSameResultEveryTime(t *testing.T) {
	set := mustLoad(t, coraza.New(coraza.Options{}), crsPolicy(t, `SecAction "id:1000,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=4"`))
	r := request("POST", "/?q=1&q=%3Cscript%3E&q=a'b", "Content-Type: application/x-www-form-urlencoded", "Cookie: s=x; s=' or 1=1", "X-Api: ../../etc/passwd", "X-Api: b")
	var first string
	for i := range 50 {
		result, _ := inspect(t, set, r, body("n=1&n=sleep(5)&m=/bin/sh&n=<b>"))
		var ids []string
		for _, m := range result.Matches {
			ids = append(ids, fmt.Sprintf("%d:%d", m.Rule, len(m.Targets)))
		}
		got := fmt.Sprint(ids, result.Scores, *result.Interruption)
		if first == "" {
			first = got
		}
		if got != first {
			t.Fatalf("run %d differs:\n got %s\nwant %s", i, got, first)
		}
	}
	if !strings.Contains(first, "942") {
		t.Errorf("no SQL injection rule among %s", first)
	}
}
