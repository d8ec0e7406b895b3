package limit

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var day = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

// login is the example of the documentation.
var login = config.RateLimit{
	Name: "login", Path: "/login", Methods: []string{"POST"}, Key: []string{"client", "form:email"},
	Limit: config.Rate{Count: 10, Per: time.Minute}, Burst: 5,
}

// limits reads rate limits as a configuration holds them.
func limits(t testing.TB, text string) []config.RateLimit {
	t.Helper()
	l, err := config.LoadBytes("g.yaml", []byte("applications: [{ hosts: [a.example], upstream: \"http://a.internal\" }]\npolicies:\n  - name: default\n    rate_limits:\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return l.Config.RateLimits("default")
}

func newLimiter(t testing.TB, c *Counters, limits ...config.RateLimit) *Limiter {
	t.Helper()
	l, err := New("default", limits, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func client(addr string) clientip.Client {
	return clientip.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 4711)}
}

// post is a login.
func post(now time.Time, addr, form string) Request {
	return Request{
		Time: now, Client: client(addr), Method: "POST", Path: "/login",
		Body: func() (string, []byte) { return "form", []byte(form) },
	}
}

// run sends n requests and counts those within the limits.
func run(l *Limiter, r Request, n int) (within int) {
	for range n {
		if l.Evaluate(r).Outcome == Within {
			within++
		}
	}
	return within
}

// TestPace shows what limit: 10/1m with burst: 5 means: five at once, then one every six seconds.
func TestPace(t *testing.T) {
	l := newLimiter(t, NewCounters(0), login)
	at := func(s float64) Request {
		return post(day.Add(time.Duration(s*float64(time.Second))), "192.0.2.1", "email=a@example.com&password=x")
	}
	if got := run(l, at(0), 8); got != 5 {
		t.Errorf("%d at once, want 5", got)
	}
	want := Decision{
		Outcome: Exceeded, Limit: "login", RetryAfter: 5500 * time.Millisecond,
		Detail: "more requests than rate_limits.login allows (limit 10/1m, burst 5, per client and form:email)",
	}
	got := l.Evaluate(at(0.5))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
	if got.RetryAfterSeconds() != 6 {
		t.Errorf("Retry-After: %d", got.RetryAfterSeconds())
	}
	for _, tt := range []struct {
		at   float64
		want int
	}{{5.999, 0}, {6, 1}, {11.9, 0}, {24, 3}, {24, 0}, {90, 5}} {
		if got := run(l, at(tt.at), 8); got != tt.want {
			t.Errorf("at %v s: %d within, want %d", tt.at, got, tt.want)
		}
	}
	if s := (Decision{RetryAfter: time.Nanosecond}).RetryAfterSeconds(); s != 1 {
		t.Errorf("Retry-After of a nanosecond: %d", s)
	}
}

// TestKeys shows what counts together: each case sends one request to a limit of one, and then others.
func TestKeys(t *testing.T) {
	type req struct{ client, method, path, host, query, header, kind, body string }
	base := req{client: "192.0.2.1", method: "GET", path: "/", host: "a.example"}
	tests := []struct {
		name, limit   string
		first         req
		same, another []req // counted with the first, or not
	}{
		{
			"client", "key: [client]", base,
			[]req{{client: "192.0.2.1", path: "/x", method: "POST"}, {client: "::ffff:192.0.2.1"}},
			[]req{{client: "192.0.2.2"}, {client: "2001:db8::1"}},
		},
		{
			"IPv6 by its /64", "key: [client]",
			req{client: "2001:db8:0:1::1"},
			[]req{{client: "2001:db8:0:1:ffff::1"}},
			[]req{{client: "2001:db8:0:2::1"}, {client: "32.1.13.184"}},
		},
		{
			"header", `key: ["header:x-api-key"]`,
			req{header: "X-Api-Key: K"},
			[]req{{header: "X-Api-Key: k", client: "192.0.2.2"}, {header: "X-Api-Key:  k "}},
			[]req{{header: "X-Api-Key: l"}, {header: "X-Api-Key: k|X-Api-Key: k"}, {}},
		},
		{
			"host", `key: ["header:host"]`, req{host: "A.example"}, []req{{host: "a.example"}}, []req{{host: "b.example", header: "Host: a.example"}},
		},
		{
			"cookie", `key: ["cookie:sid"]`,
			req{header: "Cookie: a=1; sid=abc; b=2"},
			[]req{{header: "Cookie: sid=ABC"}, {header: `Cookie: sid="abc"`}, {header: "Cookie: sid=a%62c"}, {header: "Cookie: SID=abc"}, {header: "Cookie: a=1|Cookie: sid=abc"}},
			[]req{{header: "Cookie: sid=abcd"}, {header: "Cookie: xsid=abc"}, {header: "Cookie: sid=abc; sid=abc"}, {}},
		},
		{
			"query", `key: ["query:q"]`,
			req{query: "?q=a+b&r=1"},
			[]req{{query: "q=a%20b"}, {query: "x=1&Q=A%20B"}, {query: "%71=a+b"}},
			[]req{{query: "q=ab"}, {query: "q=a+b&q=a+b"}, {query: "r=1"}},
		},
		{
			"form", `key: ["form:email"]`,
			req{kind: "form", body: "email=a%40example.com&p=1"},
			[]req{{kind: "form", body: "p=2&email=+A@example.com"}},
			[]req{{kind: "form", body: "email=b@example.com"}, {kind: "text", body: "email=a@example.com"}, {query: "email=a@example.com"}},
		},
		{
			"form in multipart", `key: ["form:email"]`,
			req{kind: "form", body: "email=a"},
			[]req{{kind: "multipart", header: "Content-Type: multipart/form-data; boundary=B", body: "--B\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nA\r\n--B--\r\n"}},
			[]req{{kind: "multipart", header: "Content-Type: multipart/form-data; boundary=B", body: "--B\r\nContent-Disposition: form-data; name=\"email\"; filename=\"x\"\r\n\r\na\r\n--B--\r\n"}},
		},
		{
			"json", `key: ["json:user.email"]`,
			req{kind: "json", body: `{"user":{"email":"A@example.com","x":[1]}}`},
			[]req{{kind: "json", body: `{"n":1,"user":{"email":"a@ex\u0061mple.com"}}`}},
			[]req{{kind: "json", body: `{"email":"a@example.com"}`}, {kind: "json", body: `{"user":{"email":["a@example.com"]}}`}, {kind: "json", body: `{"user":{"email":{"a@example.com":1}}}`}},
		},
		{
			"json index", `key: ["json:[0].id"]`,
			req{kind: "json", body: `[{"id":7},{"id":8}]`},
			[]req{{kind: "json", body: `[{"id":"7"}]`}, {kind: "ndjson", body: "{\"id\":7}\n{\"id\":9}\n"}},
			[]req{{kind: "json", body: `[{"id":8},{"id":7}]`}},
		},
		{
			"json scalar", `key: ["json:[0]"]`, req{kind: "json", body: `"a"`}, []req{{kind: "json", body: ` "A" `}}, []req{{kind: "json", body: `"b"`}},
		},
		{
			"composite", `key: [client, "form:email"]`,
			req{client: "192.0.2.1", kind: "form", body: "email=a"},
			[]req{{client: "192.0.2.1", kind: "form", body: "email=a&x=1"}},
			[]req{{client: "192.0.2.2", kind: "form", body: "email=a"}, {client: "192.0.2.1", kind: "form", body: "email=b"}, {client: "192.0.2.1"}},
		},
		{
			"parts do not run into each other", `key: ["query:a", "query:b"]`, req{query: "a=xy&b=z"}, nil, []req{{query: "a=x&b=yz"}, {query: "a=xyz"}, {query: "b=xyz"}},
		},
		{
			"what has no value is one", `key: ["form:email"]`,
			req{kind: "form", body: "p=1"},
			[]req{
				{},
				{kind: "form", body: "email="},
				{kind: "form", body: "email=a&email=b"},
				{kind: "form", body: "email=a&EMAIL=b"},
				{kind: "form", body: "email[]=a"},
				{kind: "form", body: "email=a&pad=" + strings.Repeat("x", MaxBody)},
				{kind: "json", body: `{"email":"a"}`},
				{kind: "xml", body: "<email>a</email>"},
				{kind: "form", body: strings.Repeat("x&", 1001) + "email=a"},
				{kind: "multipart", body: "--B\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\na\r\n--B--\r\n"},
				{kind: "multipart", header: "Content-Type: multipart/form-data; boundary=B", body: "--B\r\nContent-Disposition: form-data; name=\"x\"; name=\"email\"\r\n\r\na\r\n--B--\r\n"},
			},
			[]req{{kind: "form", body: "email=a"}},
		},
		{
			"what has no value in JSON is one", `key: ["json:email"]`,
			req{kind: "json", body: `{}`},
			[]req{
				{kind: "json", body: `{"email":"a","email":"b"}`},
				{kind: "json", body: `{"email":"a","Email":"b"}`},
				{kind: "json", body: `{"email":"a"`},
				{kind: "json", body: `{"email":null}`},
				{kind: "json", body: `{"email":["a","b"]}`},
				{kind: "json", body: `{"email":["a","b","c"]}`},
				{kind: "json", body: `{"email":"a"} x`},
				{kind: "json", body: strings.Repeat("[", 200)},
			},
			[]req{{kind: "json", body: `{"email":"a"}`}},
		},
		{
			"methods", "key: [client], methods: [POST]", req{method: "POST"}, []req{{method: "POST"}}, []req{{method: "GET"}, {method: "PUT"}},
		},
		{
			"GET is HEAD too", "key: [client], methods: [GET]", req{method: "GET"}, []req{{method: "HEAD"}}, []req{{method: "POST"}},
		},
		{
			"path", "key: [client], path: /login",
			req{path: "/login"},
			[]req{{path: "/Login"}, {path: "/login/"}, {path: "/login;v=1"}, {path: "/login;v=1/;w"}},
			[]req{{path: "/"}, {path: "/loginx"}, {path: "/login/x"}, {path: ";/login/x"}},
		},
		{
			"path pattern", "key: [client], path: \"/API/orders/*/notes\"", req{path: "/api/orders/1/notes"}, []req{{path: "/api/orders/2/Notes/"}}, []req{{path: "/api/orders/notes"}},
		},
		{
			"path and below", "key: [client], path: \"/admin/**\"", req{path: "/admin"}, []req{{path: "/admin/"}, {path: "/ADMIN/x/y"}}, []req{{path: "/administrator"}},
		},
		{
			"root", "key: [client], path: /", req{path: "/"}, []req{{path: "/;x"}}, []req{{path: "/x"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := limits(t, "      - { name: x, limit: 1/1h, "+tt.limit+" }\n")
			send := func(l *Limiter, r req) Outcome {
				if r.client == "" {
					r.client = base.client
				}
				if r.path == "" {
					r.path = base.path
				}
				if r.method == "" {
					r.method = base.method
				}
				h := http.Header{}
				for field := range strings.SplitSeq(r.header, "|") {
					name, value, _ := strings.Cut(field, ":")
					h[name] = append(h[name], value)
				}
				out := Request{Time: day, Client: client(r.client), Method: r.method, Path: r.path, Host: r.host, Header: h, RawQuery: r.query}
				if r.kind != "" {
					out.Body = func() (string, []byte) { return r.kind, []byte(r.body) }
				}
				return l.Evaluate(out).Outcome
			}
			for _, r := range tt.same {
				l := newLimiter(t, NewCounters(0), config...)
				if send(l, tt.first) != Within || send(l, r) != Exceeded {
					t.Errorf("%+.300v is not counted with the first", r)
				}
				_ = l.Close()
			}
			for _, r := range tt.another {
				l := newLimiter(t, NewCounters(0), config...)
				if send(l, tt.first) != Within || send(l, r) != Within {
					t.Errorf("%+.300v is counted with the first", r)
				}
				_ = l.Close()
			}
		})
	}
}

// TestSharedClient shows that a trusted proxy's own address is never limited: it is left out of keys.
func TestSharedClient(t *testing.T) {
	one := config.Rate{Count: 1, Per: time.Hour}
	byClient := config.RateLimit{Name: "c", Key: []string{"client"}, Limit: one}
	byBoth := config.RateLimit{Name: "b", Key: []string{"client", "form:email"}, Limit: one}
	shared := func(form string) Request {
		r := post(day, "10.0.0.1", form)
		r.Client.Shared = true
		return r
	}
	l := newLimiter(t, NewCounters(0), byClient)
	if got := run(l, shared("email=a"), 100); got != 100 {
		t.Errorf("by client: %d of 100", got)
	}
	l = newLimiter(t, NewCounters(0), byBoth)
	if got := run(l, shared("x=1"), 100); got != 100 {
		t.Errorf("without another value: %d of 100", got)
	}
	if got := run(l, shared("email=a"), 100); got != 1 {
		t.Errorf("by what is left of the key: %d of 100", got)
	}
	if got := run(l, shared("email=b"), 100); got != 1 {
		t.Errorf("another value: %d of 100", got)
	}
	if got := run(l, post(day, "10.0.0.1", "x=1"), 100); got != 1 {
		t.Errorf("an ordinary client without a value: %d of 100", got)
	}
}

// TestStages shows that limits which need no body are evaluated first, and that the body is asked for only if a limit
// that takes the request needs it.
func TestStages(t *testing.T) {
	l := newLimiter(t, NewCounters(0), limits(t, `
      - { name: body, path: /login, key: ["form:email"], limit: 2/1h }
      - { name: other, path: /other, key: ["json:a", "form:b"], limit: 1/1h }
      - { name: all, key: [client], limit: 3/1h }
`)...)
	if !l.NeedsBody() {
		t.Error("no limit needs the body")
	}
	asked := 0
	r := post(day, "192.0.2.1", "")
	r.Body = func() (string, []byte) { asked++; return "form", []byte("email=a") }
	if got := l.EvaluateHeaders(r).Outcome; got != Within || asked != 0 {
		t.Errorf("headers: %v, the body was asked for %d times", got, asked)
	}
	r.Path = "/"
	if got := l.Evaluate(r).Outcome; got != Within || asked != 0 {
		t.Errorf("another path: %v, the body was asked for %d times", got, asked)
	}
	r.Path = "/login"
	var got []string
	for range 3 {
		got = append(got, l.EvaluateBody(r).Limit)
	}
	if diff := cmp.Diff([]string{"", "", "body"}, got); diff != "" || asked != 3 {
		t.Errorf("body: asked %d times, limits (-want +got):\n%s", asked, diff)
	}
	got = nil
	for range 2 {
		got = append(got, l.Evaluate(r).Limit)
	}
	if diff := cmp.Diff([]string{"body", "all"}, got); diff != "" || asked != 4 {
		t.Errorf("both: asked %d times, limits (-want +got):\n%s", asked, diff)
	}
	if newLimiter(t, NewCounters(0), limits(t, "      - { name: all, key: [client], limit: 3/1h }\n")...).NeedsBody() {
		t.Error("a limit by client needs the body")
	}
}

// TestReload shows that a limit whose definition did not change goes on counting with a new limiter, and that one which
// changed, or that nobody used any more, begins anew.
func TestReload(t *testing.T) {
	c := NewCounters(0)
	build := func(scope string, x config.RateLimit) *Limiter {
		l, err := New(scope, []config.RateLimit{x}, c)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	r := post(day, "192.0.2.1", "email=a")
	first := build("default", login)
	if got := run(first, r, 8); got != 5 {
		t.Fatalf("%d within", got)
	}
	second := build("default", login)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil { // once more does nothing
		t.Fatal(err)
	}
	if got := run(second, r, 8); got != 0 {
		t.Errorf("after a reload %d within", got)
	}
	if got := run(first, r, 8); got != 0 {
		t.Errorf("the old limiter's last requests: %d within", got)
	}
	if got := run(build("other", login), r, 8); got != 5 {
		t.Errorf("another policy: %d within", got)
	}
	changed := login
	changed.Burst = 7
	third := build("default", changed)
	if got := run(third, r, 8); got != 7 {
		t.Errorf("changed: %d within", got)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if got := run(build("default", login), r, 8); got != 5 {
		t.Errorf("after nobody used it: %d within", got)
	}
	if got := len(c.tables); got != 3 {
		t.Errorf("%d tables", got)
	}
}

// TestNewRefuses shows what New does not take; nothing is left behind then.
func TestNewRefuses(t *testing.T) {
	good := config.RateLimit{Name: "g", Key: []string{"client"}, Limit: config.Rate{Count: 1, Per: time.Second}}
	with := func(change func(*config.RateLimit)) []config.RateLimit {
		bad := good
		bad.Name = "bad"
		change(&bad)
		return []config.RateLimit{good, bad}
	}
	for name, tt := range map[string]struct {
		limits []config.RateLimit
		want   string
	}{
		"no rate":        {with(func(x *config.RateLimit) { x.Limit = config.Rate{} }), `rate limit "bad": limit: count and time span must be more than 0`},
		"no key":         {with(func(x *config.RateLimit) { x.Key = nil }), `rate limit "bad": key: is missing`},
		"unknown key":    {with(func(x *config.RateLimit) { x.Key = []string{"method"} }), `rate limit "bad": key: "method" is nothing that can be counted`},
		"no path":        {with(func(x *config.RateLimit) { x.Path = "/a/**/b" }), `rate limit "bad": path: "/a/**/b": ** stands for`},
		"negative burst": {with(func(x *config.RateLimit) { x.Burst = -1 }), `rate limit "bad": burst: -1 is less than 0`},
		"twice":          {with(func(x *config.RateLimit) { x.Name = "g" }), `rate limit "g": there are two of this name`},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewCounters(0)
			_, err := New("default", tt.limits, c)
			if !strings.HasPrefix(fmt.Sprint(err), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if len(c.tables) != 0 {
				t.Errorf("%d tables are left", len(c.tables))
			}
		})
	}
}
