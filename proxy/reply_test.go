package proxy_test

import (
	"compress/flate"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// TestReplyHeader shows that replies arrive with the upstream's end-to-end fields and no others that describe them.
func TestReplyHeader(t *testing.T) {
	for _, tt := range []struct {
		name, answer, field string
		want                []string
	}{
		{"no Content-Type is guessed", "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>hi</html>", "Content-Type", nil},
		{"Content-Type is kept", "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\nok", "Content-Type", []string{"text/x"}},
		{"fields that Connection names end here", "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok", "X-Hop", nil},
		{"several values", "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok", "Set-Cookie", []string{"a=1", "b=2"}},
		{"an incident is the gateway's to tell", "HTTP/1.1 200 OK\r\nX-Gatehouse-Incident: GH-FAKE\r\nContent-Length: 2\r\n\r\nok", "X-Gatehouse-Incident", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			upstream := proxytest.NewUpstream(t)
			upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) { io.WriteString(w, tt.answer) }
			g := proxytest.Start(t, application(upstream.URL, "block", ""))
			response, _ := proxytest.Raw(t, g.URL, get("/"))
			if response == nil {
				t.Fatal("no response")
			}
			if got := response.Header[tt.field]; fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("%s: %q, want %q", tt.field, got, tt.want)
			}
		})
	}
}

// TestKeepAlive shows that a reply to a request without a body leaves the connection open, in every mode.
func TestKeepAlive(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	for _, mode := range []string{"disabled", "detect", "block"} {
		g := proxytest.Start(t, application(upstream.URL, mode, ""))
		if response, _ := proxytest.Raw(t, g.URL, get("/")+get("/", "Connection: close")); response == nil || response.Close {
			t.Errorf("mode %s: the connection ends with the first reply", mode)
		}
	}
}

// TestReplyTrailer shows that trailers arrive, without the fields that are the gateway's to write.
func TestReplyTrailer(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) {
		io.WriteString(w, "HTTP/1.1 200 OK\r\nTrailer: X-Sum, X-Gatehouse-Incident\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Gatehouse-Incident: GH-FAKE\r\n\r\n")
	}
	g := proxytest.Start(t, application(upstream.URL, "block", ""))
	response, body := proxytest.Raw(t, g.URL, get("/"))
	if response == nil {
		t.Fatal("no response")
	}
	if body != "ok" || response.Trailer.Get("X-Sum") != "1" {
		t.Errorf("body %q, trailer %v", body, response.Trailer)
	}
	if got := response.Trailer["X-Gatehouse-Incident"]; len(got) > 0 {
		t.Errorf("the client was told of incident %q", got)
	}
}

// TestClientGone shows that a client which leaves in the middle of a reply is not the upstream's fault: there is no
// event.
func TestClientGone(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	release := make(chan struct{})
	upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) {
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
		<-release
	}
	g := proxytest.Start(t, application(upstream.URL, "block", ""))
	defer close(release)
	c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, get("/")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	proxytest.Eventually(t, "the access record", func() bool { return strings.Contains(g.Records(), `"record":"access"`) })
	if events := g.Events(); len(events) > 0 {
		t.Errorf("event %s %s", events[0].Verdict, events[0].Reason)
	}
	if records := g.Records(); !strings.Contains(records, `"status":200,"answered_by":"upstream","verdict":"pass"`) {
		t.Errorf("record %s", records)
	}
}

// TestEarlyReply shows what is recorded when an upload goes wrong after the upstream has begun to answer it: the fault
// is the upload's, not the upstream's.
func TestEarlyReply(t *testing.T) {
	chunks := strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 8)
	for _, tt := range []struct {
		name, rest string
		reason     event.Reason
	}{
		{"over max_bytes", chunks + chunks, event.BodyTooLarge},
		{"malformed chunk", "no chunk\r\n", event.BadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, answered := answersEarly(t)
			g := proxytest.Start(t, application(address, "block", "    routes:\n      - { path: /, body: { max_bytes: 10KiB, inspect_bytes: 1KiB } }\n"))
			c, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			head, _, _ := strings.Cut(chunked("/", "text/plain", ""), "\r\n\r\n")
			if _, err := io.WriteString(c, head+"\r\n\r\n"+chunks); err != nil {
				t.Fatal(err)
			}
			<-answered
			if _, err := c.Read(make([]byte, 100)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, tt.rest); err != nil {
				t.Fatal(err)
			}
			e := g.WaitEvents(1)[0]
			if e.Reason != tt.reason || e.Verdict != event.Block || e.Status != 200 || e.AnsweredBy != "upstream" {
				t.Errorf("event %s %s, status %d by %s", e.Verdict, e.Reason, e.Status, e.AnsweredBy)
			}
		})
	}
}

// answersEarly is an upstream that begins to answer with the first bytes of a request, and never ends.
func answersEarly(t *testing.T) (url string, answered <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
		close(begun)
		io.Copy(io.Discard, c)
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return "http://" + l.Addr().String(), begun
}

// TestRefusalInDetect shows that a reply which the gateway makes in every mode is recorded by its own reason, with
// what inspection has noted beside it.
func TestRefusalInDetect(t *testing.T) {
	g := proxytest.Start(t, application("http://127.0.0.1:1", "detect", ""))
	status, body := exchange(t, g.URL, get("/?q=%3Cscript%3Ealert(1)%3C/script%3E"))
	e := g.WaitEvents(1)[0]
	if status != 502 || e.Verdict != event.Error || e.Reason != event.UpstreamDown || !strings.Contains(e.Detail, "127.0.0.1:1") {
		t.Errorf("status %d, event %s %s %q", status, e.Verdict, e.Reason, e.Detail)
	}
	if len(e.Rules) == 0 || e.Scores.Inbound < 5 || !strings.Contains(body, e.Incident) {
		t.Errorf("%d rules, score %d, reply %s", len(e.Rules), e.Scores.Inbound, body)
	}
}

// TestReplyInspection shows that the rules see replies decoded, in block and in detect.
func TestReplyInspection(t *testing.T) {
	leak := "<html>You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version near '1'</html>"
	raw := compress(t, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, 6) }, leak)
	for _, tt := range []struct {
		name, answer string
	}{
		{"encoded as few do", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n%s", len(raw), raw)},
		{"with a length", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\nContent-Length: %d\r\n\r\n%s", len(leak), leak)},
		{"in chunks", fmt.Sprintf("HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(leak), leak)},
		{"encoded", fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(gzipped(t, leak)), gzipped(t, leak))},
	} {
		for _, mode := range []string{"block", "detect"} {
			t.Run(tt.name+"/"+mode, func(t *testing.T) {
				upstream := proxytest.NewUpstream(t)
				upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) { io.WriteString(w, tt.answer) }
				g := proxytest.Start(t, application(upstream.URL, mode, "    routes:\n      - { path: /, response: { inspect: true } }\n"))
				response, body := proxytest.Raw(t, g.URL, get("/"))
				if response == nil {
					t.Fatal("no response")
				}
				e := g.WaitEvents(1)[0]
				if e.Reason != event.CRSScore || string(e.Verdict) != mode || e.UpstreamStatus == 0 {
					t.Errorf("event %s %s", e.Verdict, e.Reason)
				}
				if !strings.Contains(e.Detail, "outbound") {
					t.Errorf("the detail %q does not say that it was the reply", e.Detail)
				}
				if mode == "block" && (!strings.Contains(body, "reply") || strings.Contains(body, "The request looked")) {
					t.Errorf("the client is blamed: %s", body)
				}
				refused := response.StatusCode == 403 && strings.Contains(body, e.Incident) && response.Header.Get("Set-Cookie") == ""
				unchanged := strings.Contains(tt.answer, body)
				if mode == "block" && !refused || mode == "detect" && (!unchanged || response.Header.Get("X-Gatehouse-Incident") != "") {
					t.Errorf("status %d %v: %.100q", response.StatusCode, response.Header, body)
				}
			})
		}
	}
}

// TestReplyRule shows that a refusal by the operator's own rule of phase 3 is recorded as one of the reply.
func TestReplyRule(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) {
		io.WriteString(w, "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nok")
	}
	for _, mode := range []string{"block", "detect"} {
		g := proxytest.Start(t, application(upstream.URL, mode, "    policy: own\n    routes:\n      - { path: /, response: { inspect: true } }\n")+`policies:
  - name: own
    seclang: 'SecRule RESPONSE_STATUS "@streq 500" "id:20,phase:3,deny,log,status:503"'
`)
		status, body := exchange(t, g.URL, get("/"))
		e := g.WaitEvents(1)[0]
		if e.Reason != event.Rule || string(e.Verdict) != mode || e.Detail != "outbound: rule 20" {
			t.Errorf("%s: event %s %s %q", mode, e.Verdict, e.Reason, e.Detail)
		}
		if mode == "block" && (status != 503 || strings.Contains(body, "The request looked") || !strings.Contains(body, "reply")) {
			t.Errorf("status %d: %s", status, body)
		}
	}
}

// TestReplyConnectionCost shows that an upstream's Connection field costs no more for all that it may name in 32 KiB.
func TestReplyConnectionCost(t *testing.T) {
	var fields strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&fields, "F%03x:\r\n", i)
	}
	cost := func(connection string) time.Duration {
		upstream := proxytest.NewUpstream(t)
		upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) {
			io.WriteString(w, "HTTP/1.1 200 OK\r\nConnection: "+connection+"\r\n"+fields.String()+"Content-Length: 2\r\n\r\nok")
		}
		g := proxytest.Start(t, application(upstream.URL, "disabled", ""))
		best := time.Hour
		for range 3 {
			start := time.Now()
			if response, _ := proxytest.Raw(t, g.URL, get("/", "Connection: close")); response == nil || response.StatusCode != 200 {
				t.Fatalf("got %+v", response)
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	one, many := cost("keep-alive"), cost(strings.Repeat("g000,", 3000)+"g000")
	t.Logf("2,000 fields: %v with one name in Connection, %v with 3,001", one, many)
	if many > 10*one {
		t.Errorf("a reply takes %v with 3,001 names in Connection, %v with one", many, one)
	}
}
