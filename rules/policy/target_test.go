package policy

import (
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]string{ // to the canonical text
		"query:q": "query:q", "query": "query", "form:email": "form:email", "form:": "form:",
		"json:items[*].comment": "json:items[*].comment", "json:items[0].comment": "json:items[0].comment",
		"json:items.0.comment": "json:items[0].comment", "json:[3].a": "json:[3].a", "json:a[0][1]": "json:a[0][1]",
		`json:a\[b.c\*`: `json:a\[b.c\*`, "json:": "json:", "json:a..b": "json:a..b",
		"header:User-Agent": "header:user-agent", "cookie:sid": "cookie:sid", "cookie:_ga*": "cookie:_ga*",
		"xml:/*": "xml:text", "xml://@*": "xml:attributes", "xml:text": "xml:text",
		"file": "file", "file:photo": "file:photo", "method": "method", "body": "body", "form:a:b": "form:a:b",
	} {
		got, err := ParseTarget(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
		if again, err := ParseTarget(got.String()); err != nil || again != got {
			t.Errorf("%s: its text parses to %v, %v", text, again, err)
		}
	}
	for text, words := range map[string]string{
		"": "known place", "ARGS:q": "known place", "method:GET": "stands alone", "header": "needs a name",
		"header:": "needs a name", "query:": "the whole is written query", "header:a b": "cannot stand in a header name",
		"xml:order/item": "xml:text and xml:attributes", "json:a[b]": "index", "json:a[0": "index", "json:a[0]b": "after ]",
		"json:.a": "begins with a dot", "json:a.[0]": "without a dot", `form:a\`: "lone backslash",
	} {
		if got, err := ParseTarget(text); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, %v, want an error with %q", text, got, err, words)
		}
	}
}

func TestTargetOf(t *testing.T) {
	for _, c := range []struct{ variable, key, processor, want string }{
		{"ARGS_GET", "q", "", "query:q"},
		{"ARGS_GET", "a*b", "", `query:a\*b`},
		{"ARGS_POST", "email", "URLENCODED", "form:email"},
		{"ARGS_POST", "email", "MULTIPART", "form:email"},
		{"ARGS_POST", "", "URLENCODED", "form:"},
		{"ARGS_POST", "json.items.0.comment", "JSON", "json:items[0].comment"},
		{"ARGS_POST", "json.0.a", "NDJSON", "json:[0].a"},
		{"ARGS_POST", "json.a[b]*", "JSON", `json:a\[b]\*`},
		{"ARGS_POST", "json", "JSON", "json:"},
		{"ARGS_POST", "json:a.0.b*", "JSON", `json:a\.0\.b\*`},
		{"ARGS", "json:a.b", "JSON", `json:a\.b`},
		{"ARGS_POST", "json.items.0.comment", "URLENCODED", "form:json.items.0.comment"},
		{"ARGS_POST", "body", "TEXT", "body"},
		{"ARGS", "json.a", "JSON", "json:a"},
		{"ARGS", "q", "JSON", "query:q"},
		{"ARGS", "q", "", "query:q"},
		{"ARGS", "q", "URLENCODED", ""}, // query or body: only the driver can know
		{"ARGS_NAMES", "q", "", "query_name:q"},
		{"ARGS_NAMES", "json.a", "JSON", "json_name:a"},
		{"ARGS_POST_NAMES", "a", "URLENCODED", "form_name:a"},
		{"REQUEST_HEADERS", "User-Agent", "", "header:user-agent"},
		{"REQUEST_HEADERS_NAMES", "X-A", "", "header_name:x-a"},
		{"REQUEST_COOKIES", "sid", "", "cookie:sid"},
		{"REQUEST_COOKIES_NAMES", "sid", "", "cookie_name:sid"},
		{"XML", "/*", "XML", "xml:text"},
		{"XML", "//@*", "XML", "xml:attributes"},
		{"FILES", "", "MULTIPART", "file"},
		{"MULTIPART_FILENAME", "photo", "MULTIPART", "file:photo"},
		{"MULTIPART_PART_HEADERS", "photo", "MULTIPART", "part:photo"},
		{"REQUEST_FILENAME", "", "", "path"},
		{"REQUEST_URI", "", "", "uri"},
		{"QUERY_STRING", "", "", "query"},
		{"REQUEST_METHOD", "", "", "method"},
		{"RESPONSE_BODY", "", "", "reply_body"},
		{"RESPONSE_HEADERS", "Server", "", "reply:server"},
		{"TX", "score", "", ""},
	} {
		got := TargetOf(c.variable, c.key, c.processor)
		if got != c.want {
			t.Errorf("%s:%s (%s): got %q, want %q", c.variable, c.key, c.processor, got, c.want)
		}
		if got == "" {
			continue
		}
		if _, err := ParseTarget(got); err != nil {
			t.Errorf("%s:%s: its target does not parse: %v", c.variable, c.key, err)
		}
	}
}

func TestTargetKeys(t *testing.T) {
	for text, want := range map[string]string{
		"query:q":               "q",
		"form:Email":            "email",
		"json:items[0].Comment": "json.items.0.comment",
		"json:items[*].comment": `/^json\x{2e}items\x{2e}[0-9]+\x{2e}comment$/`,
		"json:a.*":              `/^json\x{2e}a\x{2e}[^.]+$/`,
		"json:a.b*":             `/^json\x{2e}a\x{2e}b[^.]*$/`,
		`json:a\.b.c`:           `/^json\x{3a}a\x{2e}b\x{2e}c$/`,
		`json:a[*].b\.c`:        `/^json\x{3a}a\x{2e}[0-9]+\x{2e}b\x{2e}c$/`,
		`form:a\*b`:             `/^a\x{2a}b$/`,
		"form:a,b|c/d'e\"f":     `/^a\x{2c}b\x{7c}c\x{2f}d\x{27}e\x{22}f$/`,
		"form:":                 "/^$/",
		"cookie:_ga*":           "/^_ga(?s:.*)$/",
		"query:*":               "/^(?s:.*)$/",
		"xml:text":              "/*",
	} {
		target, err := ParseTarget(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := target.key(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// FuzzTargetOf: what a request's key becomes parses, and is the same target again.
func FuzzTargetOf(f *testing.F) {
	f.Add("ARGS_POST", "json.a.0[x]*\\", "JSON")
	f.Add("ARGS_POST", "json:a.0[x]*\\", "JSON")
	f.Add("ARGS_GET", `\*`, "")
	f.Fuzz(func(t *testing.T, variable, key, processor string) {
		text := TargetOf(variable, key, processor)
		if text == "" || strings.HasPrefix(text, string(KindHeader)) || strings.HasPrefix(text, string(KindReply)) {
			return // a header's name has other characters than a client may send
		}
		target, err := ParseTarget(text)
		if err != nil {
			t.Fatalf("%s:%q is written %q: %v", variable, key, text, err)
		}
		if target.String() != text {
			t.Fatalf("%s:%q is written %q, then %q", variable, key, text, target)
		}
	})
}
