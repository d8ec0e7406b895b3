package media

import (
	"errors"
	"mime"
	"slices"
	"strings"
	"testing"
)

// FuzzContentType: what is accepted has one reading, which is that of the standard library, and a charset that rules can
// read. Written anew it is the same kind.
func FuzzContentType(f *testing.F) {
	for _, s := range []string{"application/json; charset=utf-8", "text/plain; charset*=utf-8''utf-7", `multipart/form-data; boundary="a;b"`, "a/b;;c=d", "text/xml; charset=\"utf-7\"", "TEXT/plain ; Charset=UTF-8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		kind, err := ParseContentType([]string{field})
		if err != nil {
			if !errors.Is(err, ErrContentType) && !errors.Is(err, ErrCharset) {
				t.Fatalf("%q: %v", field, err)
			}
			return
		}
		mediaType, parameters, err := mime.ParseMediaType(field)
		if err != nil {
			t.Fatalf("accepted %q: %v", field, err)
		}
		if charset, ok := parameters["charset"]; ok && !slices.Contains(Charsets, strings.ToLower(charset)) {
			t.Fatalf("accepted the charset of %q", field)
		}
		for name := range parameters {
			if strings.Contains(name, "*") {
				t.Fatalf("accepted %q", field)
			}
		}
		if again, err := ParseContentType([]string{mime.FormatMediaType(mediaType, parameters)}); mime.FormatMediaType(mediaType, parameters) != "" && err == nil && again != kind {
			t.Fatalf("%q is %v, written anew %v", field, kind, again)
		}
		if _, err := ParseContentType([]string{field, field}); err == nil {
			t.Fatalf("accepted %q twice", field)
		}
	})
}
