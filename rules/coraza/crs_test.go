package coraza_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/crs"
)

// baseText chooses body processors and refuses what could not be parsed, in the words of the tests' own policies.
const baseText = `
SecRule TX:gatehouse_detect "@eq 1" "id:100001,phase:1,pass,nolog,t:none,tag:'gatehouse/internal',ctl:ruleEngine=DetectionOnly"
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:application(?:/soap\+|/)|text/)xml" "id:100002,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/(?:[a-z0-9.-]+\+)?json" "id:100003,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/x-ndjson" "id:100004,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=NDJSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^text/(?:plain|csv)" "id:100005,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=TEXT"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/octet-stream" "id:100006,phase:1,pass,nolog,t:none,t:lowercase,ctl:requestBodyProcessor=RAW"
SecRule REQBODY_ERROR "!@eq 0" "id:100010,phase:2,deny,status:400,log,msg:'body',logdata:'%{reqbody_error_msg}'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:100011,phase:2,deny,status:400,log,msg:'multipart'"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:100012,phase:1,deny,status:400,log,msg:'arguments'"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:100013,phase:2,deny,status:400,log,msg:'arguments'"
`

// crsPolicy is the newest CRS with its stock setup and some text in front of it.
func crsPolicy(t testing.TB, text string) rules.Policy {
	t.Helper()
	release, err := crs.Load("")
	if err != nil {
		t.Fatal(err)
	}
	p := rules.Policy{Name: "test", Limits: rules.Limits{Arguments: 1000, JSONDepth: 32}}
	p.Sources = append(p.Sources,
		rules.Source{Name: "base", Text: baseText},
		rules.Source{Name: "custom", Text: text},
		rules.Source{Name: release.Dir() + "/crs-setup.conf", Text: release.SetupExample},
	)
	p.Sources = append(p.Sources, release.Rules...)
	return p
}

func mustLoad(t testing.TB, e *coraza.Engine, p rules.Policy) rules.RuleSet {
	t.Helper()
	set, err := e.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return set
}

// request is a plain request with further headers, "Name: value" each.
func request(method, target string, headers ...string) *rules.Request {
	r := &rules.Request{
		ID: "test", Time: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC),
		Client: netip.MustParseAddrPort("198.51.100.7:40000"), Server: netip.MustParseAddrPort("192.0.2.1:8080"),
		Method: method, Target: target, Protocol: "HTTP/1.1", Host: "shop.example.com", Path: target,
		Application: "shop", Route: "/", Traffic: "auto",
		Headers: []rules.Header{
			{Name: "Host", Value: "shop.example.com"}, {Name: "User-Agent", Value: "Mozilla/5.0"}, {Name: "Accept", Value: "*/*"},
		},
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Headers = append(r.Headers, rules.Header{Name: name, Value: value})
	}
	return r
}

// inspect runs phases 1, 2 and 5, and 3 and 4 if nothing was interrupted, and returns the result and the interruption
// that the caller saw.
func inspect(t testing.TB, set rules.RuleSet, r *rules.Request, b rules.Body) (*rules.Result, *rules.Interruption) {
	t.Helper()
	tx := set.Begin(r)
	closed := false
	defer func() {
		if !closed {
			tx.Close()
		}
	}()
	phases := []func() (*rules.Interruption, error){
		tx.RequestHeaders,
		func() (*rules.Interruption, error) { return tx.RequestBody(b) },
		func() (*rules.Interruption, error) {
			return tx.ResponseHeaders(&rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{{Name: "Content-Type", Value: "text/html"}}})
		},
		func() (*rules.Interruption, error) {
			return tx.ResponseBody(rules.Body{Reader: strings.NewReader("<p>fine</p>"), Length: 11})
		},
	}
	for _, phase := range phases {
		i, err := phase()
		if err != nil {
			t.Fatal(err)
		}
		if i != nil {
			closed = true
			return tx.Close(), i
		}
	}
	closed = true
	return tx.Close(), nil
}

func body(text string) rules.Body {
	return rules.Body{Reader: strings.NewReader(text), Length: int64(len(text))}
}

func TestCRS(t *testing.T) {
	set := mustLoad(t, coraza.New(coraza.Options{}), crsPolicy(t, ""))
	if set.Rules() < 600 {
		t.Errorf("only %d rules", set.Rules())
	}
	for _, c := range []struct {
		name    string
		request *rules.Request
		body    string
		rule    int // the one that interrupts
	}{
		{name: "clean", request: request("GET", "/?q=shoes")},
		{name: "SQL injection in the query", request: request("GET", "/?id=1%27+union+select+1,2,3--+-"), rule: 949110},
		{name: "Log4Shell in a header", request: request("GET", "/", "X-A: ${jndi:ldap://x}"), rule: 949110},
		{
			name: "SQL injection in JSON", request: request("POST", "/", "Content-Type: application/json", "Content-Length: 40"),
			body: `{"items":[{"comment":"1' union select 1,2,3-- -"}]}`, rule: 949110,
		},
		{
			name: "clean JSON", request: request("POST", "/", "Content-Type: application/json", "Content-Length: 40"),
			body: `{"items":[{"comment":"a nice pair of shoes"}]}`,
		},
		{
			name: "no JSON", request: request("POST", "/", "Content-Type: application/json", "Content-Length: 40"),
			body: `{"items":[`, rule: 100010,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, seen := inspect(t, set, c.request, body(c.body))
			got := 0
			if result.Interruption != nil {
				got = result.Interruption.Rule
			}
			if got != c.rule || (seen != nil) != (c.rule != 0) {
				t.Errorf("rule %d interrupted, want %d (seen: %v)\n%+v", got, c.rule, seen, result)
			}
		})
	}
}
