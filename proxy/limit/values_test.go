package limit

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"gatehouse/proxy/route"
)

// one gives the value that a part of a key finds in a request.
func one(t testing.TB, text string, r Request) string {
	t.Helper()
	p, err := newPart(text)
	if err != nil {
		t.Fatal(err)
	}
	v := values{request: &r}
	return v.value(p)
}

// TestNames shows how names in keys are written and found.
func TestNames(t *testing.T) {
	request := Request{
		Header:   http.Header{"Cookie": {"a*b=star; c.d=dot"}},
		RawQuery: "a*b=star&c.d=dot&back\\slash=b&json=no&json.x=1&json=yes",
		Body: func() (string, []byte) {
			return "json", []byte(`{"a.b":1,"c":{"d.e":2,"f*":[{"g[0]":3},"4"]},"5":{"six":7},"Straße":8}`)
		},
	}
	for text, want := range map[string]string{
		`query:a\*b`: "star", `cookie:a\*b`: "star", "query:c.d": "dot", "cookie:c.d": "dot", `query:back\\slash`: "b",
		"query:json": "", "query:json.x": "1",
		`json:a\.b`: "1", "json:a.b": "", `json:c.d\.e`: "2", `json:c.f\*[0].g\[0\]`: "3", `json:c.f\*[0].g\[0]`: "3",
		`json:c.f\*[1]`: "4", `json:c.f\*`: "", "json:c": "", "json:[5].six": "7", "json:5.six": "7", "json:straße": "8", "json:x": "",
	} {
		if got := one(t, text, request); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// FuzzForm shows that a value counted in a form, query or cookie is what the standard library reads there.
func FuzzForm(f *testing.F) {
	for _, s := range []string{
		"email=a%40b.example&x=1", "email=a&email=b", "EMAIL=+A+", "%65mail=x", "email", "email=%zz", "a;email=b", "&&=&email=%00", "email=\"q\"", "email=a; b=c",
		strings.Repeat("a&", 1000) + "email=x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := Request{RawQuery: s, Header: http.Header{"Cookie": {s}}, Body: func() (string, []byte) { return "form", []byte(s) }}
		form, query := one(t, "form:email", r), one(t, "query:email", r)
		if form != query && len(s) <= MaxBody && !strings.HasPrefix(s, "?") {
			t.Fatalf("the form has %q, the query %q", form, query)
		}
		if got, err := url.ParseQuery(s); form != "" && err == nil {
			var values []string
			for name, v := range got {
				if strings.EqualFold(name, "email") {
					values = append(values, v...)
				}
			}
			if len(values) != 1 || normal(values[0]) != form {
				t.Fatalf("counted by %q, read as %q", form, values)
			}
		}
		cookie := one(t, "cookie:email", r)
		if got, err := http.ParseCookie(s); cookie != "" && err == nil {
			var values []string
			for _, c := range got {
				if strings.EqualFold(route.Decode(c.Name), "email") {
					values = append(values, normal(route.Decode(c.Value)))
				}
			}
			if len(values) != 1 || values[0] != cookie {
				t.Fatalf("counted by %q, read as %q", cookie, values)
			}
		}
	})
}

// FuzzJSON shows that a value counted in a JSON body is the one that the standard library reads there.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"email":"A@b.example"}`, `{"email":"a","email":"b"}`, `{"email":["a"]}`, `{"email":{"x":1}}`, `{"email":1.50}`, `{"\u0065mail":"\ud83d\ude00"}`, `{"email":true}`,
		`{"email":null}`, `[{"email":"a"}]`, `"email"`, `{"email":"a"}x`, `{"Email":"a","x":{"email":"b"}}`, "{\"email\":\"\xff\"}", `{"email.x":1,"email":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := one(t, "json:email", Request{Body: func() (string, []byte) { return "json", data }})
		one(t, "json:[0].email", Request{Body: func() (string, []byte) { return "ndjson", data }}) // does not fail
		if got == "" {
			return
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(data, &object); err != nil {
			t.Fatalf("counted by %q, but: %v", got, err)
		}
		var values []string
		for name, raw := range object {
			if !strings.EqualFold(name, "email") {
				continue
			}
			var s string
			if json.Unmarshal(raw, &s) != nil {
				s = string(raw)
			}
			values = append(values, normal(s))
		}
		if len(values) != 1 || values[0] != got {
			t.Fatalf("counted by %q, read as %q", got, values)
		}
	})
}

// FuzzMultipart shows that where a value is counted in a multipart form, the standard library reads no other one.
func FuzzMultipart(f *testing.F) {
	field := "--B\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nA@b.example\r\n"
	for _, s := range []string{
		field + "--B--\r\n", field + field + "--B--\r\n", "x" + field + "--B--\r\n", field + "--B--\r\nx", field,
		"--B\r\nContent-Disposition: form-data; name=email; filename=x\r\n\r\na\r\n--B--\r\n",
		"--B\r\nContent-Disposition: form-data; name=email\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--B--\r\n",
		"--B\nContent-Disposition: form-data; name=email\n\na\n--B--\n",
		"--B\r\nContent-Disposition: form-data; name=\"email\";=\r\n\r\na\r\n--B--\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := Request{
			Header: http.Header{"Content-Type": {"multipart/form-data; boundary=B"}},
			Body:   func() (string, []byte) { return "multipart", data },
		}
		got := one(t, "form:email", r)
		if got == "" {
			return
		}
		var values []string
		for reader := multipart.NewReader(bytes.NewReader(data), "B"); ; {
			p, err := reader.NextRawPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				return // refused by the library
			}
			content, err := io.ReadAll(p)
			if err != nil {
				return
			}
			if strings.EqualFold(p.FormName(), "email") && p.FileName() == "" {
				values = append(values, normal(string(content)))
			}
		}
		if len(values) > 1 || len(values) == 1 && values[0] != got {
			t.Fatalf("counted by %q, read as %q", got, values)
		}
	})
}

// FuzzFoldPath shows that a folded path stays what it is, and is a path.
func FuzzFoldPath(f *testing.F) {
	for _, s := range []string{"/", "/Login/", "/a;b/;c//d", "/;", "/\xff/Ä", "/İ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !strings.HasPrefix(s, "/") {
			s = "/" + s
		}
		got := FoldPath(s)
		if again := FoldPath(got); again != got && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 }) {
			t.Fatalf("%q becomes %q, and then %q", s, got, again)
		}
		if got[0] != '/' || strings.ContainsAny(got, ";") || len(got) > 1 && strings.HasSuffix(got, "/") {
			t.Fatalf("%q becomes %q", s, got)
		}
	})
}
