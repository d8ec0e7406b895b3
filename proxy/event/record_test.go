package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/body"
)

var update = flag.Bool("update", false, "write the golden files and the examples of docs/event-fields.md")

func sampleAccess() *Access {
	return &Access{
		Time: time.Date(2026, 7, 1, 12, 34, 56, 789012345, time.UTC), RequestID: "4f1c2a9e0b7d4e63", Incident: "GH-01HK-0Z7A-BC1D",
		Client: "203.0.113.7", ClientPort: 51724, Listener: "http", Application: "shop", Route: "/login", Method: "POST",
		Host: "shop.example.com", Path: "/login?next=%2Fcart&token=s3cr3t", Protocol: "HTTP/2.0", TLS: "1.3", Status: 403,
		AnsweredBy: "gateway", Verdict: Block, Reason: CRSScore, Score: 10, BytesIn: 43, BytesOut: 2731,
		Duration: 1874321 * time.Nanosecond, Inspection: 912 * time.Microsecond, UserAgent: "curl/8.5.0",
		Referer: "https://shop.example.com/?sid=42", TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		AmznTraceID: "Root=1-67891233-abcdef012345678912345678", Revision: "edge/42",
		Uninspected: []Uninspected{{Cause: "inspect_limit", Bytes: 1048576}}, Exclusions: []string{"order-notes"},
		Upstream: "internal-alb", UpstreamAddress: "10.0.3.17:80", UpstreamStatus: 200, UpstreamDuration: 1500 * time.Microsecond,
	}
}

func sampleEvent() *Event {
	return &Event{
		Time: time.Date(2026, 7, 1, 12, 34, 56, 789012345, time.UTC), Incident: "GH-01HK-0Z7A-BC1D", Verdict: Block, Reason: CRSScore,
		Detail: "the anomaly score reached the threshold", RequestID: "4f1c2a9e0b7d4e63", Client: "203.0.113.7", ClientPort: 51724,
		Listener: "http", Application: "shop", Route: "/login", Policy: "default", Mode: "block", Method: "POST",
		Host: "shop.example.com", Path: "/login", Query: "next=%2Fcart&token=s3cr3t", Protocol: "HTTP/2.0",
		ContentType: "application/x-www-form-urlencoded", UserAgent: "curl/8.5.0", Status: 403, AnsweredBy: "gateway",
		UpstreamStatus: 200, Revision: "edge/42", Exclusions: []string{"order-notes"},
		Scores: rules.Scores{
			Inbound: 10, InboundThreshold: 5, OutboundThreshold: 4, Detection: 13, Categories: map[string]int{"sql_injection": 5, "xss": 5},
		},
		Rules: []rules.Match{
			{
				Rule: 942100, Phase: rules.PhaseRequestBody, Message: "SQL Injection Attack Detected via libinjection",
				Data: "Matched Data: s&1 found within ARGS_POST:email: a' or 1=1", Severity: "CRITICAL",
				Tags: []string{"attack-sqli", "paranoia-level/1"}, File: "REQUEST-942-APPLICATION-ATTACK-SQLI.conf", Line: 46,
				Targets: []rules.MatchedTarget{{Variable: "ARGS_POST:email", Target: "form:email", Value: "a' or 1=1"}},
			},
			{
				Rule: 941100, Phase: rules.PhaseRequestBody, Message: "XSS Attack Detected via libinjection", Severity: "CRITICAL",
				Targets: []rules.MatchedTarget{{Variable: "ARGS_POST:password", Target: "form:password", Value: "<script>"}},
			},
			{
				Rule: 949110, Phase: rules.PhaseRequestBody, Message: "Inbound Anomaly Score Exceeded (Total Score: 10)", Disruptive: true,
				Targets: []rules.MatchedTarget{{Variable: "TX:blocking_inbound_anomaly_score", Value: "10"}},
			},
		},
		RulesDropped: 2,
	}
}

const fieldsPage = "../../docs/event-fields.md"

// TestExamplesOfTheDocument compares the example lines of the documentation with what the code writes.
func TestExamplesOfTheDocument(t *testing.T) {
	m := NewMasker()
	a := m.Access(*sampleAccess())
	page, err := os.ReadFile(fieldsPage)
	if err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string][]byte{"access": appendAccess(nil, &a), "event": appendEvent(nil, m.Event(sampleEvent()))} {
		var pretty bytes.Buffer
		if err := json.Compact(&pretty, bytes.TrimSpace(line)); err != nil {
			t.Fatal(err)
		}
		block := regexp.MustCompile("(?s)<!-- example: " + name + " -->\n```json\n(.*?)```")
		found := block.FindSubmatchIndex(page)
		if found == nil {
			t.Fatalf("the page has no example of %s", name)
		}
		if *update {
			page = append(append(append([]byte{}, page[:found[2]]...), line...), page[found[3]:]...)
			continue
		}
		if d := cmp.Diff(string(page[found[2]:found[3]]), string(line)); d != "" {
			t.Errorf("%s differs (-page +code), run go test -update:\n%s", name, d)
		}
	}
	if *update {
		if err := os.WriteFile(fieldsPage, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFieldsAreDocumented wants each field of a full record, and each reason, in a table of the page.
func TestFieldsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(fieldsPage)
	if err != nil {
		t.Fatal(err)
	}
	a := *sampleAccess()
	e := sampleEvent()
	for range 100 {
		e.Rules[0].Targets = append(e.Rules[0].Targets, e.Rules[0].Targets[0])
	}
	checked := 0
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if prefix == "event scores.categories." {
					return
				}
				checked++
				_, path, _ := strings.Cut(prefix+key, " ")
				if !strings.Contains(string(page), "\n| `"+path+"` |") {
					t.Errorf("%s%s is not in %s", prefix, key, fieldsPage)
				}
				walk(prefix+key+".", value)
			}
		case []any:
			for _, item := range v {
				walk(prefix, item)
			}
		}
	}
	for name, line := range map[string][]byte{"access ": appendAccess(nil, &a), "event ": appendEvent(nil, e)} {
		var v any
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		walk(name, v)
	}
	for _, r := range Reasons() {
		checked++
		if !strings.Contains(string(page), "\n| `"+string(r)+"` |") {
			t.Errorf("reason %s is not in %s", r, fieldsPage)
		}
	}
	for _, cause := range []string{DropQueueFull, DropWriteError, DropShutdown} {
		if !strings.Contains(string(page), "`"+cause+"`") {
			t.Errorf("drop cause %s is not in %s", cause, fieldsPage)
		}
	}
	if checked < 80 {
		t.Errorf("only %d names were checked", checked)
	}
}

// TestReasonsIsComplete compares Reasons with the constants in the source.
func TestReasonsIsComplete(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "record.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []Reason
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Reason" {
				want = append(want, Reason(strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)))
			}
		}
		return true
	})
	if d := cmp.Diff(want, Reasons()); d != "" || len(want) == 0 {
		t.Errorf("Reasons differs from the constants (-source +Reasons):\n%s", d)
	}
}

// TestEveryFieldIsWritten fills each field of the structs on its own and wants the line to change.
func TestEveryFieldIsWritten(t *testing.T) {
	checked := 0
	each := func(zero reflect.Value, line func(reflect.Value) []byte) {
		base := string(line(zero))
		for i := range zero.NumField() {
			v := reflect.New(zero.Type()).Elem()
			switch f := v.Field(i); f.Interface().(type) {
			case time.Time:
				f.Set(reflect.ValueOf(time.Unix(1e9, 0)))
			case rules.Scores:
				f.Set(reflect.ValueOf(rules.Scores{Detection: 1}))
			case []rules.Match:
				f.Set(reflect.ValueOf([]rules.Match{{Rule: 1}}))
			case []Uninspected:
				f.Set(reflect.ValueOf([]Uninspected{{"x", 1}}))
			case *body.XMLOrigins: // for masking alone
				continue
			case []string:
				f.Set(reflect.ValueOf([]string{"x"}))
			default:
				if f.Kind() == reflect.String {
					f.SetString("x")
				} else {
					f.SetInt(1_000_000)
				}
			}
			checked++
			if string(line(v)) == base {
				t.Errorf("%s.%s does not reach the line", zero.Type(), zero.Type().Field(i).Name)
			}
		}
	}
	each(reflect.ValueOf(Access{}), func(v reflect.Value) []byte { a := v.Interface().(Access); return appendAccess(nil, &a) })
	each(reflect.ValueOf(Event{}), func(v reflect.Value) []byte { e := v.Interface().(Event); return appendEvent(nil, &e) })
	if checked < 50 {
		t.Errorf("only %d fields were checked", checked)
	}
}

func TestAppendString(t *testing.T) {
	for name, c := range map[string]struct {
		in    string
		limit int
		want  string
	}{
		"plain":              {"abc", 10, `"abc"`},
		"empty":              {"", 10, `""`},
		"quotes":             {`a"b\c`, 10, `"a\"b\\c"`},
		"controls":           {"a\x00\n\x1b[31m\x7f", 99, "\"a\\u0000\\u000a\\u001b[31m\\u007f\""},
		"invalid UTF-8":      {"a\xff\xc0b", 99, `"a\\xff\\xc0b"`},
		"UTF-8":              {"grün 漢 🙂", 99, `"grün 漢 🙂"`},
		"replacement itself": {"\ufffd", 99, "\"\ufffd\""},
		"directions":         {"a\u202eb\u2028c\ufeff", 99, "\"a\\u202eb\\u2028c\\ufeff\""},
		"html":               {"<script>&", 99, `"<script>&"`},
		"cut":                {"abcdef", 4, `"abcd…(+2)"`},
		"cut before a rune":  {"abc漢字", 5, `"abc…(+6)"`},
		"cut at an escape":   {"ab\x00\x00", 8, "\"ab\\u0000…(+1)\""},
		"exact":              {"abcd", 4, `"abcd"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(appendString(nil, c.in, c.limit))
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if !json.Valid([]byte(got)) || !utf8.ValidString(got) {
				t.Errorf("%s is not JSON", got)
			}
		})
	}
}

func TestLineIsBounded(t *testing.T) {
	nasty := strings.Repeat("\x00\xff\u202e\"", 4000)
	e := &Event{
		Detail: nasty, RequestID: nasty, Client: nasty, Listener: nasty, Application: nasty, Route: nasty, Policy: nasty, Mode: nasty,
		Method: nasty, Host: nasty, Path: nasty, Query: nasty, Protocol: nasty, ContentType: nasty, UserAgent: nasty, Revision: nasty,
		RulesDropped: 7,
	}
	for i := range 300 {
		m := rules.Match{Rule: i, Message: nasty, Data: nasty, File: nasty, Disruptive: i == 299}
		for range 100 {
			m.Tags = append(m.Tags, nasty)
			m.Targets = append(m.Targets, rules.MatchedTarget{Variable: nasty, Target: nasty, Value: nasty})
		}
		e.Rules = append(e.Rules, m)
	}
	line := appendEvent(nil, e)
	if len(line) > capLine {
		t.Errorf("the line has %d bytes", len(line))
	}
	var got struct {
		Rules []struct {
			ID             int
			TargetsDropped int `json:"targets_dropped"`
			Targets        []any
		}
		RulesDropped int `json:"rules_dropped"`
	}
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rules) < 2 || len(got.Rules)+got.RulesDropped != 307 || got.Rules[len(got.Rules)-1].ID != 299 {
		t.Errorf("%d rules, %d dropped, last %d", len(got.Rules), got.RulesDropped, got.Rules[len(got.Rules)-1].ID)
	}
	if r := got.Rules[0]; len(r.Targets)+r.TargetsDropped != 100 {
		t.Errorf("%d targets, %d dropped", len(r.Targets), r.TargetsDropped)
	}
	a := &Access{Path: nasty, UserAgent: nasty, Referer: nasty, Host: nasty, RequestID: nasty, TraceParent: nasty}
	for range 1000 {
		a.Exclusions = append(a.Exclusions, nasty)
	}
	if line := appendAccess(nil, a); len(line) > capLine || !json.Valid(line) {
		t.Errorf("the access line has %d bytes, valid: %v", len(line), json.Valid(line))
	}
}

func TestReadEventsRoundTrip(t *testing.T) {
	full := sampleEvent()
	full.Rules[0].Data = "é \"\\ \u202e"
	minimal := &Event{Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Incident: "GH-0000-0000-0001"}
	var text []byte
	text = append(text, "{\"level\":\"info\",\"msg\":\"started\"}\nplain text\n\n"...)
	text = appendAccess(text, sampleAccess())
	text = appendEvent(text, full)
	text = append(text, "{\"record\":\"event\",\"incident\":\n{\"record\":\"event\"}\n{\"record\":\"event\",\"status\":\"x\"}\n{\"record\":\"access\n"...)
	text = append(text, `{"record":"event","x":"`+strings.Repeat("y", 2<<20)+"\"}\n"...)
	text = append(text, "  { \"record\" : \"event\", \"time\":\"2026-01-01T00:00:00Z\", \"incident\":\"GH-0000-0000-0001\", \"new_field\":[1] }\r\n"...)
	text = append(text, bytes.TrimSpace(appendEvent(nil, minimal))...) // no newline at the end
	var stats ReadStats
	var got []*Event
	for e, err := range ReadEvents(iotest.OneByteReader(bytes.NewReader(text)), &stats) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	want := *full
	want.Time = want.Time.Truncate(time.Microsecond)
	if d := cmp.Diff([]*Event{&want, minimal, minimal}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(ReadStats{Events: 3, Other: 5, Malformed: 4, Foreign: 3}, stats); d != "" {
		t.Errorf("stats (-want +got):\n%s", d)
	}
}

func TestReadEventsSaysErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	n := 0
	for e, err := range ReadEvents(iotest.ErrReader(broken), nil) {
		n++
		if e != nil || !errors.Is(err, broken) {
			t.Errorf("got %v, %v", e, err)
		}
	}
	if n != 1 {
		t.Errorf("%d results", n)
	}
	for range ReadEvents(bytes.NewReader(append(appendEvent(nil, sampleEvent()), appendEvent(nil, sampleEvent())...)), nil) {
		break // stopping early is fine
	}
}

func TestReadable(t *testing.T) {
	clean := &Event{Time: sampleEvent().Time, Verdict: Error, Incident: "GH-01HK-0Z7A-BC1D", Reason: UpstreamDown, Detail: "dial 10.0.0.1:80: refused", Method: "GET", Host: "shop.example.com", Path: "/", Status: 502, Client: "203.0.113.7"}
	hostile := &Event{Time: sampleEvent().Time, Verdict: Detect, Method: "GE\x1b[2JT", Host: "a\nb", Path: "/\u202e\xff" + strings.Repeat("x", 500), Reason: Rule}
	masked := NewMasker().Event(sampleEvent())
	large := *masked // rules matched too, below the threshold
	tooLarge := &large
	tooLarge.Status, tooLarge.Reason, tooLarge.Detail, tooLarge.Client = 413, BodyTooLarge, "body.max_bytes 10MiB", "203.0.113.7"
	connect := &Event{Time: sampleEvent().Time, Verdict: Block, Incident: "GH-01HK-0Z7A-BC1D", Reason: MethodRefused, Detail: "CONNECT is never forwarded", Method: "CONNECT", Host: "foo:80", Path: "foo:80", Status: 405}
	early := &Event{Time: sampleEvent().Time, Verdict: Block, Incident: "GH-01HK-0Z7A-BC1D", Reason: BadRequest, Detail: "malformed", Status: 400, Client: "203.0.113.7"}
	for name, c := range map[string]struct {
		in    *Event
		color Color
		want  string
	}{
		"score":        {masked, NoColor, "12:34:56 BLOCK  GH-01HK-0Z7A-BC1D POST shop.example.com/login?next=%2Fcart&token=***(6) -> 403 crs_score (score 10 of 5): 942100 SQL Injection Attack Detected via libinjection in form:email; 941100 XSS Attack Detected via libinjection in form:password from 203.0.113.7\n"},
		"detail":       {clean, NoColor, "12:34:56 ERROR  GH-01HK-0Z7A-BC1D GET shop.example.com/ -> 502 upstream_down: dial 10.0.0.1:80: refused from 203.0.113.7\n"},
		"colour":       {clean, ANSI, "\x1b[2m12:34:56\x1b[0m \x1b[1m\x1b[31mERROR \x1b[0m \x1b[1mGH-01HK-0Z7A-BC1D\x1b[0m GET shop.example.com/ -> 502 \x1b[31mupstream_down\x1b[0m: dial 10.0.0.1:80: refused \x1b[2mfrom 203.0.113.7\x1b[0m\n"},
		"hostile":      {hostile, NoColor, "12:34:56 DETECT  GE\\u{1b}[2JT a\\u{a}b/\\u{202e}\\xff" + strings.Repeat("x", 114) + "… -> 0 rule\n"},
		"own refusal":  {tooLarge, NoColor, "12:34:56 BLOCK  GH-01HK-0Z7A-BC1D POST shop.example.com/login?next=%2Fcart&token=***(6) -> 413 body_too_large: body.max_bytes 10MiB from 203.0.113.7\n"},
		"authority":    {connect, NoColor, "12:34:56 BLOCK  GH-01HK-0Z7A-BC1D CONNECT foo:80 -> 405 method_refused: CONNECT is never forwarded\n"},
		"not readable": {early, NoColor, "12:34:56 BLOCK  GH-01HK-0Z7A-BC1D -> 400 bad_request: malformed from 203.0.113.7\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := Readable(&b, c.in, c.color); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, b.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestColorFor(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if ColorFor(f) != NoColor {
		t.Error("a file gets colours")
	}
}

func BenchmarkAccess(b *testing.B) {
	m, a := NewMasker(), sampleAccess()
	b.ReportAllocs()
	var line []byte
	for b.Loop() {
		shown := m.Access(*a)
		line = appendAccess(line[:0], &shown)
	}
	if !json.Valid(line) {
		b.Fatal("no JSON")
	}
}
