package proxy_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/engine"
	"gatehouse/rules/policy"
)

// bodyCase is one way to write a request body.
type bodyCase struct {
	name, contentType string
	headers           []string
	// body writes a body around a value; what cannot be read needs none.
	body func(value string) string
	// reasons are those for which it is refused whatever it holds; without any it is inspected: a harmless value passes,
	// and the same body with an attack does not.
	reasons []event.Reason
	// attack is the value that has to be found, if it is not the table's.
	attack string
}

// The values of the tables.
const (
	harmlessValue = "blue shoes"
	attackValue   = "1' UNION SELECT password FROM users -- "
)

// bodySample is 1 if all ways to write a body are sent; under the race detector, which looks for something else, every
// bodySample-th is.
var bodySample = max(1, raceSample/4)

// refusal is the status of each reason for which bodies are refused.
var refusal = map[event.Reason]int{
	event.Charset: 415, event.ContentType: 415, event.ContentEncoding: 415, event.Doctype: 400, event.BodySyntax: 400,
	event.Arguments: 400, event.CRSScore: 403, event.BodyTooLarge: 413, event.BodyNotInspect: 413, event.BadRequest: 400,
}

// TestBodies sends every way to write a body that we know of to a gateway in mode block. Each is inspected, so that the
// attack in it is refused while the same with a harmless value passes, or it is refused whatever it holds. None goes by
// uninspected. With PARITY=long (make parity) the reference engine judges each of them too, and has to agree.
func TestBodies(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	differ := make(chan string, 1000)
	var options proxytest.Options
	var compared atomic.Int64
	if os.Getenv("PARITY") == "long" {
		both := engine.New(engine.Options{Target: policy.TargetOf, Mode: engine.Both, Compared: func(c engine.Comparison) {
			if c.Exchange.Body == nil { // the gateway refused it before the rules saw anything
				return
			}
			compared.Add(1)
			if c.Differ() {
				differ <- fmt.Sprintf("%q: %s", c.Exchange.Request.Headers, c.String())
			}
		}})
		options.Change = func(o *proxyOptions) { o.Engine = both }
	}
	g := proxytest.Start(t, application(upstream.URL, "block", ""), options)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	names := map[string]bool{}
	inspected := 0
	for _, list := range [][]bodyCase{
		encodingCases(t), charsetCases(), rawCharsetCases(), typeCases(), multipartCases(), xmlCases(), jsonCases(), formCases(),
	} {
		for i, c := range list {
			if i%bodySample != 0 {
				continue
			}
			if names[c.name] {
				t.Errorf("%s is in the tables twice", c.name)
			}
			names[c.name] = true
			attack := c.attack
			if attack == "" {
				attack = attackValue
			}
			if len(c.reasons) > 0 {
				for _, value := range []string{harmlessValue, attack} {
					expectRefusal(t, g, client, c, value, c.reasons)
				}
				continue
			}
			inspected++
			upstream.Forget()
			if status, _ := c.send(t, g, client, harmlessValue); status != 200 || len(upstream.Requests()) != 1 {
				t.Errorf("%s: with a harmless value: status %d, %d requests reached the upstream", c.name, status, len(upstream.Requests()))
			}
			upstream.Forget()
			expectRefusal(t, g, client, c, attack, []event.Reason{event.CRSScore})
			if n := len(upstream.Requests()); n != 0 {
				t.Errorf("%s: the attack reached the upstream", c.name)
			}
		}
	}
	for len(differ) > 0 {
		t.Errorf("the engines differ about %s", <-differ)
	}
	if n := compared.Load(); options.Change != nil && n < 600 {
		t.Errorf("%d requests were compared, want at least 600", n)
	}
	if bodySample == 1 && len(names) < 300 || bodySample == 1 && inspected < 100 {
		t.Errorf("%d cases, %d of them inspected, want at least 300 and 100", len(names), inspected)
	}
	t.Logf("%d of %d ways are inspected, the others refused", inspected, len(names))
}

// send sends a case with a value and gives the status and the incident.
func (c bodyCase) send(t *testing.T, g *proxytest.Gateway, client *http.Client, value string) (int, string) {
	t.Helper()
	body := ""
	if c.body != nil {
		body = c.body(value)
	}
	r, err := http.NewRequest(http.MethodPost, g.URL+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if c.contentType != "" {
		r.Header.Set("Content-Type", c.contentType)
	}
	r.Host = "shop.example.com"
	r.Header.Set("Accept", "*/*")
	for _, h := range c.headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	response.Body.Close()
	return response.StatusCode, response.Header.Get("X-Gatehouse-Incident")
}

// expectRefusal sends a case and looks for its status and its event.
func expectRefusal(t *testing.T, g *proxytest.Gateway, client *http.Client, c bodyCase, value string, reasons []event.Reason) {
	t.Helper()
	status, incident := c.send(t, g, client, value)
	if incident == "" {
		t.Errorf("%s: status %d, want a refusal: %v", c.name, status, reasons)
		return
	}
	e := waitIncident(t, g, incident)
	for _, reason := range reasons {
		if e.Reason == reason && status == refusal[reason] {
			return
		}
	}
	t.Errorf("%s: status %d, %s (%s), want %v", c.name, status, e.Reason, e.Detail, reasons)
}

// waitIncident waits for the event of an incident. It looks at what was written since the last call alone.
func waitIncident(t *testing.T, g *proxytest.Gateway, incident string) *event.Event {
	t.Helper()
	var line string
	proxytest.Eventually(t, "the event "+incident, func() bool {
		records := g.Records()
		at := strings.LastIndex(records, `"incident":"`+incident)
		for at >= 0 {
			start := strings.LastIndexByte(records[:at], '\n') + 1
			end := strings.IndexByte(records[start:], '\n')
			if end < 0 {
				return false
			}
			if line = records[start : start+end]; strings.Contains(line, `"record":"event"`) {
				return true
			}
			at = strings.LastIndex(records[:at], `"incident":"`+incident)
		}
		return false
	})
	for e, err := range event.ReadEvents(strings.NewReader(line+"\n"), nil) {
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	t.Fatalf("no event in %q", line)
	return nil
}

// The ways to write a value into a body of each type.
var (
	asForm      = func(v string) string { return "a=1&q=" + formEscape(v) }
	asJSON      = func(v string) string { return `{"a":1,"q":` + jsonString(v) + `}` }
	asNDJSON    = func(v string) string { return "{\"a\":1}\n{\"q\":" + jsonString(v) + "}\n" }
	asXML       = func(v string) string { return "<a><b>1</b><q>" + xmlEscape(v) + "</q></a>" }
	asText      = func(v string) string { return v }
	asMultipart = func(v string) string {
		return "--xyz\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n" + v + "\r\n--xyz--\r\n"
	}
)

// plainBodies are the types of body that are read value by value.
var plainBodies = []bodyCase{
	{name: "form", contentType: "application/x-www-form-urlencoded", body: asForm},
	{name: "multipart", contentType: "multipart/form-data; boundary=xyz", body: asMultipart},
	{name: "json", contentType: "application/json", body: asJSON},
	{name: "ndjson", contentType: "application/x-ndjson", body: asNDJSON},
	{name: "xml", contentType: "application/xml", body: asXML},
	{name: "text", contentType: "text/plain", body: asText},
	{name: "csv", contentType: "text/csv", body: func(v string) string { return "a,b\n1," + v + "\n" }},
}

// formEscape escapes every byte that is no letter or digit.
func formEscape(v string) string {
	var b strings.Builder
	for i := range len(v) {
		if c := v[i]; c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

func jsonString(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

func xmlEscape(v string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;").Replace(v)
}

// TestOverlongQuery: a character of a query in more bytes than it needs is read as lenient decoders do; text in another
// charset that only looks like it is no attack by that.
func TestOverlongQuery(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", ""))
	for target, want := range map[string]int{
		"/?q=caf%C3%A9+%E2%82%AC": 200, "/?q=%C0%B4%D7%D4%C0%C9": 200, "/?q=%E0%80%41%C0": 200,
		"/?q=%c0%bcscript%c0%be": 403, "/?q=/%c1%a5tc/p%c1%a1sswd": 403, "/?q=%e0%80%bcscript%e0%80%be": 403, "/?%f0%80%80%bcscript%f0%80%80%be=1": 403,
		"/?q=1+%c1%95NION+%c1%93ELECT+password+FROM+users": 403,
	} {
		if status, _ := exchange(t, g.URL, get(target)); status != want {
			t.Errorf("%q: status %d, want %d", target, status, want)
		}
	}
}
