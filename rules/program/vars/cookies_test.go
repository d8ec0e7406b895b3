package vars

import (
	"net/http"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/program/variable"
)

// FuzzCookies: every cookie that net/http reads in a header is among ours, and every byte of the header that is neither
// white space, a control character, a separator nor an equals sign is shown to rules.
func FuzzCookies(f *testing.F) {
	for _, s := range []string{"a=b; c=d", "=abc", ";;=;", " a = b ;\tc", "a=\"b;c\"", "a=b=c", "\x00a=\x7f", "ö=ü; a=%41"} {
		f.Add(s)
	}
	v := &Vars{}
	f.Fuzz(func(t *testing.T, header string) {
		v.Request(&rules.Request{Method: "GET", Target: "/", Protocol: "HTTP/1.1", Headers: []rules.Header{{Name: "Cookie", Value: header}}}, rules.Limits{}, false)
		got := map[string]int{}
		size := 0
		for _, c := range v.Lists[variable.RequestCookies] {
			got[c.Key+"="+c.Value]++
			size += shown(c.Key + c.Value)
		}
		if want := shown(header); size != want {
			t.Fatalf("%q: %d bytes in %q, want %d", header, size, v.Lists[variable.RequestCookies], want)
		}
		read, err := http.ParseCookie(header)
		if err != nil {
			return
		}
		for _, c := range read {
			value := c.Value
			if c.Quoted {
				value = `"` + value + `"`
			}
			if got[trim(c.Name)+"="+trim(value)] == 0 { // a space may stand in a value there, at its end too
				t.Fatalf("%q: %s=%s is missing in %q", header, c.Name, value, v.Lists[variable.RequestCookies])
			}
		}
	})
}

// shown counts the bytes that may not be missing.
func shown(s string) (n int) {
	for i := range len(s) {
		if c := s[i]; c > ' ' && c != 0x7f && c != ';' && c != '=' {
			n++
		}
	}
	return n
}
