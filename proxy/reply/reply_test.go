package reply

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"gatehouse/proxy/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

func sample() Reply {
	return Reply{
		Status: 403, Reason: event.CRSScore, Incident: "GH-01HK-0Z7A-BC1D", Contact: "security@shop.example.com",
		Time: time.Date(2026, 7, 1, 14, 34, 56, 0, time.FixedZone("CEST", 7200)), Host: "shop.example.com",
	}
}

// write gives what a client gets that sends these headers (name, value, ...).
func write(t *testing.T, method string, p Reply, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://shop.example.com/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Write(w, r, p)
	return w.Result()
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGolden(t *testing.T) {
	upstream := sample()
	upstream.Status, upstream.Reason, upstream.Contact = 502, event.UpstreamDown, "https://status.example.com/"
	bare := Reply{Status: 400, Reason: event.BadRequest, Time: sample().Time}
	for name, p := range map[string]Reply{"refused": sample(), "upstream_down": upstream, "bare": bare} {
		for suffix, accept := range map[string]string{".html": "text/html", ".json": "*/*"} {
			t.Run(name+suffix, func(t *testing.T) {
				got := bodyOf(t, write(t, "GET", p, "Accept", accept))
				path := filepath.Join("testdata", name+suffix)
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), got); d != "" {
					t.Errorf("(-want +got), run go test -update if it is meant:\n%s", d)
				}
			})
		}
	}
}

func TestHeaders(t *testing.T) {
	p := sample()
	p.Status, p.Reason, p.RetryAfter, p.Allow, p.Close = 503, event.Shed, 1500*time.Millisecond, []string{"GET", "HEAD"}, true
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Set-Cookie", "a=b")
	w.Header().Set("Etag", `"x"`)
	w.Header().Set("Content-Length", "999")
	w.Header().Set("Location", "https://example.com/")
	Write(w, r, p)
	got := w.Result()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Gatehouse-Incident": p.Incident, "Retry-After": "2",
		"Allow": "GET, HEAD", "Connection": "close", "Vary": "Accept", "Content-Type": "text/html; charset=utf-8",
		"Content-Length": strconv.Itoa(w.Body.Len()), "Content-Encoding": "", "Set-Cookie": "", "Etag": "",
		"Location": "https://example.com/", "Referrer-Policy": "no-referrer",
	} {
		if v := got.Header.Get(name); v != want {
			t.Errorf("%s: got %q, want %q", name, v, want)
		}
	}
	if got.StatusCode != 503 {
		t.Errorf("status %d", got.StatusCode)
	}
}

func TestProblem(t *testing.T) {
	p := sample()
	p.Detail = "The key is <x>."
	got := write(t, "POST", p)
	var doc map[string]any
	if err := json.NewDecoder(got.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "about:blank", "title": "Forbidden", "status": 403.0, "instance": p.Incident, "incident": p.Incident,
		"detail":  "The request looked as if it could harm this site, so it was stopped. The key is <x>.",
		"time":    "2026-07-01T12:34:56Z",
		"contact": "security@shop.example.com",
	}
	if d := cmp.Diff(want, doc); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("type %q", got.Header.Get("Content-Type"))
	}
}

func TestForce(t *testing.T) {
	for name, c := range map[string]struct {
		force   Format
		headers []string
		want    string
	}{
		"api to a browser":       {ProblemJSON, []string{"Accept", "text/html"}, "application/problem+json"},
		"page to a program":      {HTML, []string{"Accept", "application/json"}, "text/html; charset=utf-8"},
		"api to gRPC":            {ProblemJSON, []string{"Content-Type", "application/grpc"}, "application/problem+json"},
		"gRPC":                   {GRPC, nil, "application/grpc"},
		"gRPC by type":           {Negotiated, []string{"Content-Type", "application/grpc+proto", "Accept", "text/html"}, "application/grpc"},
		"gRPC, capitals":         {Negotiated, []string{"Content-Type", "Application/GRPC"}, "application/grpc"},
		"gRPC, broken parameter": {Negotiated, []string{"Content-Type", "application/grpc; ="}, "application/grpc"},
		"gRPC-Web":               {Negotiated, []string{"Content-Type", "application/grpc-web-text"}, "application/grpc-web+proto"},
		"not quite gRPC":         {Negotiated, []string{"Content-Type", "application/grpcx"}, "application/problem+json"},
	} {
		t.Run(name, func(t *testing.T) {
			p := sample()
			p.Force = c.force
			if got := write(t, "POST", p, c.headers...).Header.Get("Content-Type"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	for in, want := range map[int]int{0: 403, 99: 403, 100: 403, 199: 403, 200: 200, 302: 302, 403: 403, 599: 599, 600: 403, -1: 403} {
		p := sample()
		p.Status = in
		got := write(t, "GET", p)
		if got.StatusCode != want || bodyOf(t, got) == "" {
			t.Errorf("%d: got %d", in, got.StatusCode)
		}
	}
	for _, in := range []int{204, 304} {
		p := sample()
		p.Status = in
		got := write(t, "GET", p)
		if got.StatusCode != in || bodyOf(t, got) != "" || got.Header.Get("X-Gatehouse-Incident") == "" {
			t.Errorf("%d: got %d, %v", in, got.StatusCode, got.Header)
		}
	}
}

// TestOverRealConnections looks at what net/http makes of a reply: its length, HEAD, and the end of the connection.
func TestOverRealConnections(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := sample()
		p.Close = r.URL.Path == "/close"
		Write(w, r, p)
	}))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	for _, method := range []string{"GET", "HEAD", "DELETE"} {
		for _, path := range []string{"/", "/close"} {
			r, err := http.NewRequest(method, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body := bodyOf(t, got)
			got.Body.Close()
			if got.StatusCode != 403 || got.ContentLength < 100 || got.Close != (path == "/close") {
				t.Errorf("%s %s: %d, length %d, close %v", method, path, got.StatusCode, got.ContentLength, got.Close)
			}
			if want := method != "HEAD"; (body != "") != want || want && int64(len(body)) != got.ContentLength {
				t.Errorf("%s %s: %d bytes of body, length %d", method, path, len(body), got.ContentLength)
			}
		}
	}
}

// TestGRPCClient lets a real client say what it understands.
func TestGRPCClient(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var p Reply
	server := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { Write(w, r, p) }),
		Protocols: new(http.Protocols),
	}
	server.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { server.Close(); <-served }()
	client, err := grpc.NewClient("passthrough:///"+listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for name, c := range map[string]struct {
		status int
		reason event.Reason
		want   codes.Code
	}{
		"refused":         {403, event.CRSScore, codes.PermissionDenied},
		"own status":      {200, event.Rule, codes.PermissionDenied},
		"teapot":          {418, event.Rule, codes.PermissionDenied},
		"bad":             {400, event.BodySyntax, codes.InvalidArgument},
		"unauthenticated": {401, event.Rule, codes.Unauthenticated},
		"no route":        {404, event.NoRoute, codes.Unimplemented},
		"method":          {405, event.MethodNoRoute, codes.Unimplemented},
		"slow client":     {408, event.BodyTimeout, codes.DeadlineExceeded},
		"large":           {413, event.BodyTooLarge, codes.ResourceExhausted},
		"type":            {415, event.ContentType, codes.InvalidArgument},
		"host":            {421, event.UnknownHost, codes.Unimplemented},
		"rate":            {429, event.RateLimit, codes.ResourceExhausted},
		"headers":         {431, event.HeaderTooLarge, codes.ResourceExhausted},
		"fault":           {500, event.Internal, codes.Internal},
		"down":            {502, event.UpstreamDown, codes.Unavailable},
		"busy":            {503, event.Shed, codes.Unavailable},
		"timeout":         {504, event.UpstreamTimeout, codes.DeadlineExceeded},
		"other 5xx":       {520, event.Rule, codes.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			p = sample()
			p.Status, p.Reason, p.Detail = c.status, c.reason, "100 % ä\n"
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			err := client.Invoke(ctx, "/echo.Echo/Say", &emptypb.Empty{}, &emptypb.Empty{})
			got := status.Convert(err)
			want := describe(c.reason, c.status).text + " 100 % ä\n Incident " + p.Incident
			if got.Code() != c.want || got.Message() != want {
				t.Errorf("got  %v %q\nwant %v %q", got.Code(), got.Message(), c.want, want)
			}
			stream, err := client.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/echo.Echo/Stream")
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.RecvMsg(&emptypb.Empty{}); status.Code(err) != c.want {
				t.Errorf("stream: got %v", err)
			}
		})
	}
}

func TestRawHTTP1(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Reply)
		typ    string
		status string
	}{
		"page":      {func(*Reply) {}, "text/html; charset=utf-8", "400 Bad Request"},
		"problem":   {func(p *Reply) { p.Force = ProblemJSON }, "application/problem+json", "400 Bad Request"},
		"own code":  {func(p *Reply) { p.Status = 499 }, "text/html; charset=utf-8", "499 Refused"},
		"no body":   {func(p *Reply) { p.Status = 204 }, "text/html; charset=utf-8", "204 No Content"},
		"injection": {func(p *Reply) { p.Incident = "x\r\nSet-Cookie: a=b\r\n\r\n<script>" }, "text/html; charset=utf-8", "400 Bad Request"},
	} {
		t.Run(name, func(t *testing.T) {
			p := sample()
			p.Status, p.Reason = 400, event.BadRequest
			c.change(&p)
			raw := RawHTTP1(p)
			r := bufio.NewReader(bytes.NewReader(raw))
			got, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("%v in %q", err, raw)
			}
			body := bodyOf(t, got)
			if got.Status != c.status || !got.Close || got.Header.Get("Content-Type") != c.typ || got.Header.Get("Date") == "" {
				t.Errorf("got %s, %v", got.Status, got.Header)
			}
			if len(got.Cookies()) > 0 || strings.Contains(body, "<script>x") {
				t.Error("the incident ID became a header")
			}
			if got.StatusCode != 204 && int64(len(body)) != got.ContentLength {
				t.Errorf("%d bytes, length %d", len(body), got.ContentLength)
			}
			if rest, _ := io.ReadAll(r); len(rest) > 0 {
				t.Errorf("bytes after the reply: %q", rest)
			}
		})
	}
}

// TestEveryReason wants a title and a sentence of its kind for each reason, and nothing in them that tells how the
// gateway judges.
func TestEveryReason(t *testing.T) {
	fallback := describe("", 403)
	for _, reason := range event.Reasons() {
		m := describe(reason, 403)
		if m == fallback || m.title == "" || !strings.HasSuffix(m.text, ".") {
			t.Errorf("%s: %+v", reason, m)
		}
		for _, word := range []string{"rule", "score", "CRS", "threshold", "list", "WAF", "upstream", "Gatehouse", string(reason)} {
			if word != "rate_limit" && strings.Contains(" "+m.title+" "+m.text, " "+word+" ") {
				t.Errorf("%s tells of %q", reason, word)
			}
		}
	}
	if describe(event.CRSScore, 403) != describe(event.Rule, 403) || describe(event.List, 403) != describe(event.Rule, 403) {
		t.Error("a client can tell a list from a rule")
	}
}
