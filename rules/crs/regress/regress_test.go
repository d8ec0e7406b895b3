package regress

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
)

func TestRequestBytes(t *testing.T) {
	for _, c := range []struct{ name, input, want string }{
		{"defaults", "", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"},
		{"headers in order", "headers: {Z: 1, A: two}", "GET / HTTP/1.1\r\nZ: 1\r\nA: two\r\nConnection: close\r\n\r\n"},
		{
			"data", `{method: POST, uri: /x, data: "a=b c&d"}`,
			"POST /x HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\nContent-Length: 7\r\n\r\na=b+c&d",
		},
		{
			"encoded already", `{method: POST, data: "a=b%20c"}`,
			"POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nConnection: close\r\nContent-Length: 7\r\n\r\na=b%20c",
		},
		{
			"other type", `{method: POST, data: "a=b c", headers: {content-type: text/plain}}`,
			"POST / HTTP/1.1\r\ncontent-type: text/plain\r\nConnection: close\r\nContent-Length: 5\r\n\r\na=b c",
		},
		{
			"multipart", `{method: POST, data: "x\ny", headers: {Content-Type: "multipart/form-data; boundary=b"}}`,
			"POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nConnection: close\r\nContent-Length: 4\r\n\r\nx\r\ny",
		},
		{"nothing added", `{method: POST, version: "", data: "a=b c", autocomplete_headers: false}`, "POST / \r\n\r\na=b c"},
		{"length of nothing", "method: PUT", "PUT / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{"own headers", "headers: {Connection: keep-alive, Content-Length: 3}", "GET / HTTP/1.1\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n"},
		{"encoded request", "encoded_request: R0VUIC8KCg==", "GET /\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			input := c.input
			if !strings.HasPrefix(input, "{") {
				input = "{" + input + "}"
			}
			files := fstest.MapFS{"x.yaml": {Data: []byte("rule_id: 1\ntests:\n- test_id: 2\n  stages:\n  - input: " + input + "\n    output: {status: 200, log: {expect_ids: [3], no_expect_ids: [4], match_regex: a, no_match_regex: b}}\n")}}
			cases, err := readFile(files, "x.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if len(cases) != 1 || cases[0].ID != "1-2" {
				t.Fatalf("got %+v", cases)
			}
			stage := cases[0].Stages[0]
			if diff := cmp.Diff(c.want, string(stage.Request)); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
			e := stage.Expect
			if fmt.Sprint(e.Rules, e.Absent, e.Statuses, e.Log, e.NoLog, e.Failure) != "[3] [4] [200] a b false" {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func TestExpectations(t *testing.T) {
	outcome := Outcome{Status: 200, Matches: []rules.Match{{Rule: 7, Message: "hello", Targets: []rules.MatchedTarget{{Variable: "ARGS:x"}}}}}
	for _, c := range []struct {
		name   string
		expect Expect
		fails  bool
	}{
		{"nothing", Expect{}, false},
		{"rule", Expect{Rules: []int{7}}, false},
		{"other rule", Expect{Rules: []int{7, 8}}, true},
		{"absent", Expect{Absent: []int{8}}, false},
		{"not absent", Expect{Absent: []int{7}}, true},
		{"status", Expect{Statuses: []int{400, 200}}, false},
		{"other status", Expect{Statuses: []int{400}}, true},
		{"log", Expect{Log: regexp.MustCompile(`\[id "7"\].*\[msg "hello"\].*found within ARGS:x`)}, false},
		{"other log", Expect{Log: regexp.MustCompile(`bye`)}, true},
		{"not in the log", Expect{NoLog: regexp.MustCompile(`bye`)}, false},
		{"in the log", Expect{NoLog: regexp.MustCompile(`hello`)}, true},
	} {
		if wrong := c.expect.Check(outcome); (len(wrong) > 0) != c.fails {
			t.Errorf("%s: %q", c.name, wrong)
		}
	}
	if wrong := (Expect{}).Check(Outcome{}); len(wrong) == 0 {
		t.Error("no reply is taken for one")
	}
	if wrong := (Expect{Failure: true}).Check(Outcome{}); len(wrong) != 0 {
		t.Errorf("a failure that is expected: %q", wrong)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ wire, line, headers, body string }{
		{"GET /a b HTTP/1.1\r\nHost: x\r\nA:  b \r\nnone\r\n\r\nrest", "GET|/a b|HTTP/1.1", "[{Host x} {A b}]", ""},
		{"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabc", "POST|/|HTTP/1.1", "[{Content-Length 2}]", "ab"},
		{"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", "POST|/|HTTP/1.1", "[{Content-Length 9}]", "abc"},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "POST|/|HTTP/1.1", "[{Transfer-Encoding chunked}]", "abc"},
		{"GET /\n\n", "GET|/|", "[]", ""},
	} {
		p, err := Parse([]byte(c.wire))
		if err != nil {
			t.Errorf("%q: %v", c.wire, err)
			continue
		}
		if got := p.Method + "|" + p.Target + "|" + p.Protocol; got != c.line || fmt.Sprint(p.Headers) != c.headers || string(p.Body) != c.body {
			t.Errorf("%q: got %s %v %q", c.wire, got, p.Headers, p.Body)
		}
	}
}

func TestUpstream(t *testing.T) {
	server := httptest.NewServer(Upstream())
	defer server.Close()
	for _, c := range []struct{ path, body, want string }{
		{"/get", "x", "200 text/plain  "},
		{"/reflect", `{"status":404,"headers":{"X-A":"b","content-type":"text/html"},"body":"gone"}`, "404 text/html b gone"},
		{"/reflect", `{"encodedBody":"aGk="}`, "200 text/plain  hi"},
		{"/reflect", `{`, "400 text/plain  "},
	} {
		reply, err := http.Post(server.URL+c.path, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reply.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := reply.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%d %s %s %s", reply.StatusCode, reply.Header.Get("Content-Type"), reply.Header.Get("X-A"), text); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.path, c.body, got, c.want)
		}
	}
}

func TestCasesOfUnknownRelease(t *testing.T) {
	if _, err := Cases("1.0"); err == nil {
		t.Error("a release that is not embedded has tests")
	}
}
