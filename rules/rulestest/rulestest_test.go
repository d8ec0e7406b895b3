package rulestest_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/rulestest"
)

var update = flag.Bool("update", false, "write the golden files")

func TestParseErrors(t *testing.T) {
	const request = "-- request a --\nGET /\n\n"
	for _, c := range []struct {
		name, text, want string
	}{
		{"empty", "", "f:1: the file has no request"},
		{"unknown section", "-- rule --\n", `f:1: there is no section "rule"; write configuration, policy, crs, limits, headers, given, request, body, response or expect`},
		{"no name", "-- request --\nGET /\n", "f:1: the request needs a name: -- request a clean search --"},
		{"name twice", request + "-- expect --\npass\n" + request, `f:6: the name "a" is taken by the request in line 1`},
		{"no expectation", request, `f:1: the request "a" has no expect section`},
		{"no expectation before the next", request + "-- request b --\nGET /\n", `f:1: the request "a" has no expect section`},
		{"empty expectation", request + "-- expect --\n# nothing\n", "f:4: nothing is expected; begin with a verdict: pass, block, detect or error"},
		{"verdict not first", request + "-- expect --\nabsent 1\n", "f:5: a verdict (pass, block, detect or error) has to stand in the first line, and there only"},
		{"verdict twice", request + "-- expect --\npass\nblock\n", "f:6: a verdict (pass, block, detect or error) has to stand in the first line, and there only"},
		{"unknown expectation", request + "-- expect --\npass\nmaches 1\n", `f:6: "maches" cannot be expected; write a verdict, by, phase, action, location, matches, only, absent, match, message, tag, score, threshold, exclusion, exclusions, inspected or uninspected`},
		{"no number", request + "-- expect --\npass\nabsent x\n", `f:6: absent "x" is not a number`},
		{"no rules", request + "-- expect --\npass\nabsent\n", "f:6: absent needs rule ids"},
		{"no target", request + "-- expect --\npass\nmatch 1\n", "f:6: match needs a rule id and a target"},
		{"pass with status", request + "-- expect --\npass 200\n", `f:5: pass takes no "200"`},
		{"words behind the verdict", request + "-- expect --\nblock 403 # why\n", `f:5: block takes no "403 # why"`},
		{"score", request + "-- expect --\npass\nscore inbound\n", "f:6: score inbound: write score inbound 5, or score inbound >= 5"},
		{"request line", "-- request a --\nGET\n", `f:2: "GET" is not a request line; write METHOD TARGET HTTP/1.1`},
		{"header", "-- request a --\nGET / HTTP/1.1\nHost\n", `f:2: "Host" is not a header; write Name: value, and a blank line before the body`},
		{"body before request", "-- body --\nx\n", "f:1: body belongs to a request, and there is none before it"},
		{"policy after request", request + "-- expect --\npass\n-- policy --\n", "f:6: policy has to come before the first request"},
		{"quoted body", request + "-- body quoted --\n\"a\"\nb\n", "f:6: the line is not a string in double quotes or backticks"},
		{"limit", "-- limits --\narguments many\n", `f:2: arguments "many" is not a number above 0`},
		{"unknown limit", "-- limits --\nbytes 5\n", `f:2: there is no limit "bytes"; write arguments or json_depth`},
		{"status line", request + "-- response --\n200 OK\n", `f:5: "200 OK" is not a status line; write HTTP/1.1 200 OK`},
		{"no tag", request + "-- expect --\npass\ntag\n", "f:6: tag needs a tag"},
		{"no exclusion", request + "-- expect --\npass\nexclusion\n", "f:6: exclusion needs a name; exclusions takes several, or none"},
		{"threshold", request + "-- expect --\npass\nthreshold 5\n", `f:6: threshold 5: write threshold inbound 5, or threshold outbound 4`},
		{"inspected by what", request + "-- expect --\npass\ninspected twice\n", `f:6: inspected takes no "twice"`},
		{"in no mode", request + "-- expect --\npass\nin disabled absent 1\n", `f:6: "disabled" is not a mode; write in block or in detect, and what is expected there`},
		{"verdict in a mode", request + "-- expect --\nin block pass\n", "f:5: a verdict (pass, block, detect or error) has to stand in the first line, and there only"},
		{"expectation of nobody", request + "-- expect --\npass\n-- expect somebody --\npass\n", `f:6: an expect section is for every engine, or for the reference alone (-- expect reference --), not for "somebody"`},
		{"reference first", request + "-- expect reference --\npass\n", "f:4: expect reference has to follow the expect section of its request"},
		{"reference twice", request + "-- expect --\npass\n-- expect reference --\npass\n-- expect reference --\npass\n", "f:8: expect reference has to follow the expect section of its request"},
		{"reference expects nothing", request + "-- expect --\npass\n-- expect reference --\n", "f:6: nothing is expected; begin with a verdict: pass, block, detect or error"},
		{"given too late", request + "-- expect --\npass\n-- given --\n", "f:6: given has to stand before the first request, for all of them, or between a request and its expect"},
		{"given client", "-- given --\n# who\nclient somebody\n", `f:3: client "somebody" is not an address`},
		{"given time", "-- given --\ntime noon\n", `f:2: time "noon" is not a time; write 2027-06-30T23:59:59Z`},
		{"given traffic", "-- given --\ntraffic soap\n", `f:2: traffic "soap" is none; write auto, api, websocket or grpc`},
		{"given application", "-- given --\napplication\n", "f:2: application needs a name"},
		{"given anything", "-- given --\nhost a\n", `f:2: "host" cannot be given; write client, time, traffic, application or response`},
		{"given response", "-- given --\nresponse none\n", `f:2: response "none" is none; write headers`},
		{"headers", "-- headers --\nHost\n", `f:1: "Host" is not a header; write Name: value, and a blank line before the body`},
		{"empty configuration", "-- configuration --\n\n", "f:1: the configuration is empty"},
		{"configuration twice", "-- configuration --\na: 1\n-- configuration --\na: 1\n", "f:3: a configuration stands alone: it already says what policy, crs and limits would"},
		{"configuration beside limits", "-- limits --\narguments 5\n-- configuration --\na: 1\n", "f:3: a configuration stands alone: it already says what policy, crs and limits would"},
		{"policy beside a configuration", "-- configuration --\na: 1\n-- policy --\n", "f:3: policy cannot stand beside a configuration, which already says it"},
		{"configuration after request", request + "-- configuration --\n", "f:4: configuration has to come before the first request"},
		{"CRS", "-- crs 2.2.9 --\n", `f:1: CRS "2.2.9" is not embedded; choose one of 4.25.0, 4.22.0, or leave the version empty for the newest`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rulestest.Parse("f", c.text)
			var parse *rulestest.ParseError
			if !errors.As(err, &parse) {
				t.Fatalf("got %v, want a ParseError", err)
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParse(t *testing.T) {
	f, err := rulestest.Parse("f", strings.Join([]string{
		"A comment.", "-- policy one --", "SecAction \"id:1,phase:1,pass\"", "", "-- limits --", "arguments 7",
		"-- request short --", "POST /a b?c", "Content-Type: text/plain", "", "one", "", "two", "", "",
		"-- expect --", "# a comment", "block   403", "",
		"-- request long --", "GET / HTTP/1.0", "Host: a", "Host: b", "", "-- body quoted --", `"x\x00\r\n"`, "`y`",
		"-- response --", "HTTP/1.1 404 Not Found", "A: b", "", "gone", "", "-- expect --", "detect", "by 1",
	}, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]rules.Source{{Name: "one", Text: `SecAction "id:1,phase:1,pass"`}}, f.Sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if f.Limits.Arguments != 7 || len(f.Cases) != 2 {
		t.Fatalf("got limits %+v and %d cases", f.Limits, len(f.Cases))
	}
	short, long := f.Cases[0], f.Cases[1]
	if got, want := string(short.Request.Wire()), "POST /a b?c HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\none\n\ntwo"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, want := string(long.Request.Wire()), "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\nContent-Length: 5\r\n\r\nx\x00\r\ny"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if long.Response == nil || long.Response.Status != 404 || string(long.Response.Body) != "gone" || len(long.Response.Headers) != 1 {
		t.Errorf("got response %+v", long.Response)
	}
	if short.Verdict() != rulestest.VerdictBlock || short.Line != 7 || short.Expect[0].Line != 18 || short.Expect[0].Text != "block 403" {
		t.Errorf("got %+v", short)
	}
	if long.Verdict() != rulestest.VerdictDetect {
		t.Errorf("got verdict %s", long.Verdict())
	}
}

func TestParseSurroundings(t *testing.T) {
	f, err := rulestest.Parse("f", strings.Join([]string{
		"-- configuration --", "version: 1", "", "lists: []", "", "-- headers --", "Host: shop.example.com", "Accept: */*",
		"-- given --", "client 192.0.2.1", "traffic api",
		"-- request one --", "GET /", "accept: text/html", "X-A: b", "-- expect --", "block 403", "in detect matches 1", "-- expect reference --", "error",
		"-- request two --", "GET / HTTP/1.1", "-- given --", "client 2001:db8::1", "time 2027-06-30T00:00:00Z", "application shop", "-- expect --", "pass",
	}, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("\nversion: 1\n\nlists: []\n", f.Configuration); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if got, want := string(f.Cases[0].Request.Wire()), "GET / HTTP/1.1\r\nHost: shop.example.com\r\naccept: text/html\r\nX-A: b\r\n\r\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, want := string(f.Cases[1].Request.Wire()), "GET / HTTP/1.1\r\nHost: shop.example.com\r\nAccept: */*\r\n\r\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for i, want := range []string{"192.0.2.1 api  true", "2001:db8::1 api shop false"} {
		g := f.Cases[i].Given
		if got := fmt.Sprintf("%s %s %s %t", g.Client, g.Traffic, g.Application, g.Time.IsZero()); got != want {
			t.Errorf("case %d: got %s, want %s", i, got, want)
		}
	}
	for _, c := range []struct {
		mode   rulestest.Mode
		runner rulestest.Runner
		want   string
	}{
		{rulestest.ModeBlock, rulestest.AnyEngine, "block 403"},
		{rulestest.ModeDetect, rulestest.AnyEngine, "detect 403"},
		{rulestest.ModeBlock, rulestest.ReferenceEngine, "error"},
		{rulestest.ModeDetect, rulestest.ReferenceEngine, "error"},
	} {
		if got := f.Cases[0].In(c.mode, c.runner).Expect[0].Text; got != c.want {
			t.Errorf("in %s, for runner %d: got %s, want %s", c.mode, c.runner, got, c.want)
		}
	}
}

// TestDifferences shows that every kind of expectation can fail, in every mode, and what it says then.
func TestDifferences(t *testing.T) {
	f, err := rulestest.ReadFile(filepath.Join("testdata", "wrong.rules"))
	if err != nil {
		t.Fatal(err)
	}
	set, err := coraza.New(coraza.Options{}).Load(rules.Policy{Name: f.Name, Sources: f.Sources, Limits: f.Limits})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	}()
	var got strings.Builder
	for i := range f.Cases {
		differences, _ := rulestest.CheckCase(set, &f.Cases[i], rulestest.ReferenceEngine)
		for _, d := range differences {
			got.WriteString(d.String() + "\n")
		}
	}
	golden := filepath.Join("testdata", "wrong.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
}

func TestFiles(t *testing.T) {
	if _, err := rulestest.Files(t.TempDir()); err == nil {
		t.Error("a directory without tests is accepted")
	}
	if _, err := rulestest.Files("nosuch"); err == nil {
		t.Error("a path that does not exist is accepted")
	}
	files, err := rulestest.Files("testdata")
	if err != nil || len(files) < 5 {
		t.Errorf("got %q, %v", files, err)
	}
}

// TestDifferencesOfTheReference: what is expected of the reference alone is decided, and written down by the file's name.
func TestDifferencesOfTheReference(t *testing.T) {
	decision, err := os.ReadFile(filepath.Join("..", "..", "docs", "decisions", "0017-where-engines-differ.md"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := rulestest.Files(filepath.Join("testdata", "engine"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range names {
		f, err := rulestest.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range f.Cases {
			if c.Reference == nil {
				continue
			}
			found++
			if !strings.Contains(string(decision), "`"+filepath.Base(name)+"`") {
				t.Errorf("%s:%d: the decision does not name the file", name, c.Line)
			}
		}
	}
	if found == 0 {
		t.Error("no file expects anything of the reference alone")
	}
}
