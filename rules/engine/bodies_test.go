package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/engine"
)

// TestBodiesAgree holds the compiled engine against the reference on how callers hand over bodies.
func TestBodiesAgree(t *testing.T) {
	const text = `
SecRule REQUEST_BODY_LENGTH|REQBODY_PROCESSOR|INBOUND_DATA_ERROR|MULTIPART_STRICT_ERROR|REQUEST_BODY "@rx ^" "id:1,phase:2,pass,log"
SecRule ARGS_POST|ARGS_POST_NAMES "@rx ." "id:2,phase:2,pass,log"
SecRule OUTBOUND_DATA_ERROR|RESPONSE_BODY|RESPONSE_CONTENT_LENGTH "@rx ^" "id:3,phase:4,pass,log"
SecRule ARGS_GET:refuse "@streq yes" "id:4,phase:1,deny,log"
SecRule ARGS_POST|REQUEST_BODY_LENGTH|RESPONSE_STATUS|RESPONSE_BODY "@rx ." "id:5,phase:5,pass,log"
`
	const form, multipart = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"
	p := rules.Policy{Name: "bodies", Sources: []rules.Source{{Name: "rules.conf", Text: text}}}
	program, reference := load(t, engine.Options{}, p), load(t, engine.Options{Mode: engine.Reference}, p)
	for _, c := range []struct {
		name, target, body   string
		types                []string
		length               int64
		none, request, reply bool // no reader, a request or reply that is cut
	}{
		{name: "of a known length", types: []string{form}, body: "a=b", length: 3},
		{name: "of a length that is not known", types: []string{form}, body: "a=b", length: -1},
		{name: "of another length", types: []string{form}, body: "a=b", length: 30},
		{name: "none", types: []string{form}, none: true},
		{name: "none, of a length", types: []string{form}, none: true, length: 30},
		{name: "cut", types: []string{form}, body: "a=b", length: 30, request: true},
		{name: "a cut reply", types: []string{form}, body: "a=b", length: 3, reply: true},
		{name: "of no type", body: "a=b", length: -1},
		{name: "of two types", types: []string{multipart, form}, body: "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nx=y\r\n--b--\r\n", length: -1},
		{name: "of two types, the other first", types: []string{form, multipart}, body: "a=b", length: -1},
		{name: "after a refusal", target: "?refuse=yes", types: []string{form}, body: "a=b", length: -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := func(set rules.RuleSet) string {
				r := &rules.Request{ID: "test", Method: "POST", Target: "/" + c.target, Protocol: "HTTP/1.1"}
				for _, contentType := range c.types {
					r.Headers = append(r.Headers, rules.Header{Name: "Content-Type", Value: contentType})
				}
				tx := set.Begin(r)
				var out strings.Builder
				note := func(i *rules.Interruption, err error) { fmt.Fprintln(&out, i, err) }
				note(tx.RequestHeaders())
				b := rules.Body{Length: c.length, Truncated: c.request}
				if !c.none {
					b.Reader = strings.NewReader(c.body)
				}
				note(tx.RequestBody(b))
				note(tx.ResponseHeaders(&rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{{Name: "Content-Type", Value: "text/html"}}}))
				note(tx.ResponseBody(rules.Body{Reader: strings.NewReader("reply"), Length: 5, Truncated: c.reply}))
				result := tx.Close()
				for _, m := range result.Matches {
					fmt.Fprintln(&out, m.Rule, m.Phase)
					for _, target := range m.Targets {
						fmt.Fprintf(&out, "\t%s=%q\n", target.Variable, target.Value)
					}
				}
				return out.String()
			}
			got := run(program)
			if diff := cmp.Diff(run(reference), got); diff != "" {
				t.Errorf("(-reference +program):\n%s", diff)
			}
			if !strings.Contains(got, "\t") {
				t.Errorf("nothing matched: %s", got)
			}
		})
	}
}
