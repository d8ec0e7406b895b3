package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"gatehouse/cmd/gatehouse/tuning"
	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/crs/regress"
	"gatehouse/rules/policy"
)

const blockConfig = `
version: 1
upstreams: [{name: nowhere, url: "http://192.0.2.9"}]
applications:
  - name: shop
    hosts: [shop.example.com]
    mode: block
    upstream: nowhere
    routes: [{ path: /, traffic: [auto] }]
policies:
  - name: default
    crs: { version: "4.25.0", paranoia: 2 }
`

// inspector builds an inspector of blockConfig with exclusions added to the application.
func inspector(t *testing.T, exclusions string) *proxy.Inspector {
	t.Helper()
	text := strings.Replace(blockConfig, "policies:\n", exclusions+"policies:\n", 1)
	loaded, err := config.LoadBytes(filepath.Join(t.TempDir(), "gatehouse.yaml"), []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	i, err := proxy.NewInspector(loaded, zap.NewNop(), proxytest.Compiled(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

var testClient = netip.MustParseAddrPort("192.0.2.1:40000")

// judgeRaw judges a request and gives its event as a record would have it.
func judgeRaw(t *testing.T, i *proxy.Inspector, raw string) *event.Event {
	t.Helper()
	report, err := i.Inspect([]byte(raw), testClient)
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	return event.NewMasker().Event(eventOf(report, headerOf([]byte(raw), "Content-Type")))
}

func rawRequest(method, target, contentType, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n", method, target)
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if contentType != "" {
		fmt.Fprintf(&b, "Content-Type: %s\r\nContent-Length: %d\r\n", contentType, len(body))
	}
	return b.String() + "\r\n" + body
}

const (
	formType = "application/x-www-form-urlencoded"
	partType = "multipart/form-data; boundary=b"
	sqlWords = "1' OR '1'='1' UNION SELECT password FROM users--"
)

// TestSuggestedExclusions takes what Suggest says for requests of many kinds, puts all of it into the configuration as it is
// printed, and judges the requests again: each must pass, and others at the same place must not.
func TestSuggestedExclusions(t *testing.T) {
	escaped := strings.NewReplacer(" ", "+", "'", "%27", "=", "%3D").Replace(sqlWords)
	script := "%3Cscript%3Ealert(1)%3C/script%3E"
	cases := map[string]struct {
		raw  string
		also []string // passes too: the same, elsewhere in what the exclusion is for
		not  []string // stays refused
	}{
		"query": {
			raw:  rawRequest("GET", "/query/7?q="+escaped, "", ""),
			also: []string{rawRequest("GET", "/query/812?q="+escaped, "", "")},
			not: []string{
				rawRequest("GET", "/query/7?other="+escaped, "", ""), rawRequest("GET", "/query/7?q="+script, "", ""),
				rawRequest("GET", "/query/7/x?q="+escaped, "", ""), rawRequest("POST", "/query/7?q="+escaped, formType, "a=b"),
			},
		},
		"form": {
			raw: rawRequest("POST", "/form", formType, "a=b&text="+escaped),
			not: []string{
				rawRequest("POST", "/form", formType, "a="+escaped), rawRequest("POST", "/form?text="+escaped, formType, "a=b"),
				rawRequest("POST", "/form", formType, "text="+script),
			},
		},
		"multipart": {
			raw: rawRequest("POST", "/multipart", partType, "--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n"+sqlWords+"\r\n--b--\r\n"),
			not: []string{rawRequest("POST", "/multipart", partType, "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n"+sqlWords+"\r\n--b--\r\n")},
		},
		"json list": {
			raw:  rawRequest("POST", "/api/orders/77/notes", "application/json", `{"items":[{"comment":"`+sqlWords+`"}]}`),
			also: []string{rawRequest("POST", "/api/orders/9/notes", "application/json", `{"items":[{},{"comment":"`+sqlWords+`"}]}`)},
			not: []string{
				rawRequest("POST", "/api/orders/77/notes", "application/json", `{"items":[{"title":"`+sqlWords+`"}]}`),
				rawRequest("POST", "/api/orders/77/notes", "application/json", `{"items":[{"comment":"<script>alert(1)</script>"}]}`),
				rawRequest("POST", "/api/orders/77/notes", "application/json", `{"items":[{"comment":"; cat /etc/passwd"}]}`),
			},
		},
		"json key of an identifier": {
			raw:  rawRequest("PUT", "/api/answers", "application/json", `{"answers":{"7d444840-9dc0-11d1-b245-5ffdce74fad2":"`+sqlWords+`"}}`),
			also: []string{rawRequest("PUT", "/api/answers", "application/json", `{"answers":{"aaaaaaaa-9dc0-11d1-b245-5ffdce74fad2":"`+sqlWords+`"}}`)},
			not:  []string{rawRequest("PUT", "/api/answers", "application/json", `{"question":"`+sqlWords+`"}`)},
		},
		"json list beside a key with a dot": {
			raw:  rawRequest("POST", "/api/dotted", "application/json", `{"a.b":{"items":[{},{"comment":"`+sqlWords+`"}]}}`),
			also: []string{rawRequest("POST", "/api/dotted", "application/json", `{"a.b":{"items":[{},{},{"comment":"`+sqlWords+`"}]}}`)},
			not: []string{
				rawRequest("POST", "/api/dotted", "application/json", `{"a.b":{"items":[{},{"title":"`+sqlWords+`"}]}}`),
				rawRequest("POST", "/api/dotted", "application/json", `{"a.b":{"items":{"x":{"y":{"comment":"`+sqlWords+`"}}}}}`),
			},
		},
		"json root list": {
			raw: rawRequest("POST", "/api/batch", "application/json", `["a","`+sqlWords+`"]`),
		},
		"header": {
			raw: rawRequest("GET", "/header", "", "", "X-Trace: ${jndi:ldap://a/b}"),
			not: []string{rawRequest("GET", "/header", "", "", "X-Other: ${jndi:ldap://a/b}")},
		},
		"cookie": {
			raw: rawRequest("GET", "/cookie", "", "", "Cookie: prefs="+strings.ReplaceAll(sqlWords, " ", "+")),
			not: []string{rawRequest("GET", "/cookie", "", "", "Cookie: other="+strings.ReplaceAll(sqlWords, " ", "+"))},
		},
		"xml": {
			raw: rawRequest("POST", "/xml", "text/xml", `<a><b>`+sqlWords+`</b></a>`),
			not: []string{rawRequest("POST", "/xml", "text/xml", `<a><b>&lt;script>alert(1)&lt;/script></b></a>`)},
		},
		"two places": {
			raw: rawRequest("GET", "/two?a="+escaped+"&b="+escaped, "", ""),
			not: []string{rawRequest("GET", "/two?a="+escaped+"&c="+escaped, "", "")},
		},
		"two attacks": {
			raw: rawRequest("GET", "/mixed?a="+escaped+"&b="+script, "", ""),
			not: []string{rawRequest("GET", "/mixed?a="+script, "", ""), rawRequest("GET", "/mixed?b="+escaped, "", "")},
		},
		"path": {
			raw: rawRequest("GET", "/files/etc/passwd/.htaccess", "", ""),
			not: []string{rawRequest("GET", "/other/.htaccess", "", "")},
		},
		"file name": {
			raw: rawRequest("POST", "/upload/1", partType, "--b\r\nContent-Disposition: form-data; name=\"doc\"; filename=\"a.php\"\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n"),
			not: []string{rawRequest("POST", "/upload", partType, "--b\r\nContent-Disposition: form-data; name=\"doc\"; filename=\"a.php\"\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n")},
		},
		"a name in brackets": {
			raw:  rawRequest("POST", "/brackets", formType, "items%5B0%5D%5Btext%5D="+escaped),
			also: []string{rawRequest("POST", "/brackets", formType, "items%5B3%5D%5Btext%5D="+escaped)},
			not:  []string{rawRequest("POST", "/brackets", formType, "items%5B0%5D%5Btitle%5D="+escaped)},
		},
		"encoded path": {
			raw: rawRequest("GET", "/caf%C3%A9%20noir/x?q="+escaped, "", ""),
			not: []string{rawRequest("GET", "/cafe/x?q="+escaped, "", "")},
		},
		"text": {
			raw: rawRequest("POST", "/text", "text/plain", sqlWords),
			not: []string{rawRequest("POST", "/text?body="+escaped, "text/plain", "x")},
		},
	}
	before := inspector(t, "")
	now := time.Now()
	var all tuning.Suggestion
	all.Messages = map[int]string{}
	for name, c := range cases {
		e := judgeRaw(t, before, c.raw)
		if e.Verdict != event.Block {
			t.Errorf("%s: %s %s at first: %s", name, e.Verdict, e.Reason, e.Detail)
			continue
		}
		for _, raw := range c.not {
			if e := judgeRaw(t, before, raw); e.Verdict != event.Block {
				t.Errorf("%s: %s at first\n%s", name, e.Verdict, raw)
			}
		}
		s := tuning.Suggest(e, now)
		if len(s.Exclusions) == 0 {
			t.Errorf("%s: no exclusion: %s", name, s.Refused)
		}
		for _, x := range s.Exclusions {
			if problems := policy.CheckExclusion(x, false); len(problems) > 0 {
				t.Errorf("%s: %+v: %v", name, x, problems)
			}
			if x.WholeRequest {
				t.Errorf("%s: %v for the whole request", name, x.Rules)
			}
			all.Exclusions = append(all.Exclusions, x)
		}
	}
	after := inspector(t, all.YAML(4))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for _, raw := range append([]string{c.raw}, c.also...) {
				if e := judgeRaw(t, after, raw); e.Verdict != event.Pass {
					t.Errorf("still %s: %s %v\n%s", e.Verdict, tuning.Why(e), ruleIDs(e.Rules, 20), raw)
				}
			}
			for _, raw := range c.not {
				if e := judgeRaw(t, after, raw); e.Verdict != event.Block {
					t.Errorf("%s, and should be refused\n%s", e.Verdict, raw)
				}
			}
		})
	}
}

// TestSuggestedExclusionsForCRS takes a sample of CRS's own attacks: with what Suggest says, each passes.
func TestSuggestedExclusionsForCRS(t *testing.T) {
	cases, err := regress.Cases("")
	if err != nil {
		t.Fatal(err)
	}
	before := inspector(t, "")
	host := regexp.MustCompile(`(?i)\nHost:[^\r\n]*`)
	tried := 0
	for i := 0; i < len(cases) && tried < 12; i += 101 {
		raw := host.ReplaceAllString(string(cases[i].Stages[0].Request), "\nHost: shop.example.com")
		report, err := before.Inspect([]byte(raw), testClient)
		if err != nil {
			continue // not a request that rules would see
		}
		e := event.NewMasker().Event(eventOf(report, headerOf([]byte(raw), "Content-Type")))
		s := tuning.Suggest(e, time.Now())
		if e.Verdict != event.Block || e.Reason != event.CRSScore {
			continue
		}
		tried++
		if e := judgeRaw(t, inspector(t, s.YAML(4)), raw); e.Verdict != event.Pass {
			t.Errorf("still %s: %v\n%s\n%s", e.Verdict, ruleIDs(e.Rules, 20), raw, s.YAML(0))
		}
	}
	if tried < 12 {
		t.Errorf("only %d attacks were tried", tried)
	}
}
