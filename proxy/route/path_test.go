package route

import (
	"errors"
	"testing"
)

func TestParsePath(t *testing.T) {
	tests := []struct {
		raw, forward, canonical string
		slash                   bool
		err                     error
	}{
		{raw: "/", forward: "/", canonical: "/"},
		{raw: "*", forward: "*", canonical: "/"},
		{raw: "/a/b", forward: "/a/b", canonical: "/a/b"},
		{raw: "/a/b/", forward: "/a/b/", canonical: "/a/b/"},
		{raw: "/a%20b", forward: "/a%20b", canonical: "/a b"},
		{raw: "/%7euser", forward: "/%7euser", canonical: "/~user"},
		{raw: "/a//b", forward: "/a//b", canonical: "/a/b"},
		{raw: "//host/a", forward: "//host/a", canonical: "/host/a"},
		{raw: "/a/./b", forward: "/a/b", canonical: "/a/b"},
		{raw: "/a/../b", forward: "/b", canonical: "/b"},
		{raw: "/a/%2e%2E/b%20c", forward: "/b%20c", canonical: "/b c"},
		{raw: "/a/b/..", forward: "/a/", canonical: "/a/"},
		{raw: "/a/b/.", forward: "/a/b/", canonical: "/a/b/"},
		{raw: "/.well-known/x", forward: "/.well-known/x", canonical: "/.well-known/x"},
		{raw: "/...", forward: "/...", canonical: "/..."},
		{raw: "/a;v=1/b", forward: "/a;v=1/b", canonical: "/a;v=1/b"},
		{raw: "/%zz%4", forward: "/%zz%4", canonical: "/%zz%4"},
		{raw: "/%252e%252e/", forward: "/%252e%252e/", canonical: "/%2e%2e/"},
		{raw: "/a%2Fb", forward: "/a%2Fb", canonical: "/a/b", slash: true},
		{raw: "/a%5cb", forward: "/a%5cb", canonical: `/a\b`, slash: true},
		{raw: "/a%00", err: ErrNUL},
		{raw: `/a\b`, err: ErrBackslash},
		{raw: "/a/..;/b", err: ErrDotParams},
		{raw: "/a/.;x=1/b", err: ErrDotParams},
		{raw: "/a/%2e%2e%3bx/b", err: ErrDotParams},
		{raw: "/..", err: ErrAboveRoot},
		{raw: "/a/../../b", err: ErrAboveRoot},
		{raw: "/a%2f..%2fb", err: ErrEncodedDots},
		{raw: "/a%5c..%5cb", err: ErrEncodedDots},
		{raw: "", err: ErrNotAbsolute},
		{raw: "a/b", err: ErrNotAbsolute},
	}
	for _, tt := range tests {
		t.Run(tt.raw, func(t *testing.T) {
			got, err := ParsePath(tt.raw)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err == nil && (got.Forward != tt.forward || got.Canonical != tt.canonical || got.EncodedSlash != tt.slash) {
				t.Errorf("got %+v, want forward %q, canonical %q, encoded slash %v", got, tt.forward, tt.canonical, tt.slash)
			}
		})
	}
}

// FuzzParsePath checks that a canonical path is a fixed point: reading it again changes nothing.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "//x//..//y", "/%2e%2e/", "/a%2f%2e", "/..;/", "/a/./b/..", "/%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := ParsePath(raw)
		if err != nil || raw == "*" {
			return
		}
		again, err := ParsePath(p.Forward)
		if err != nil {
			t.Fatalf("%q is forwarded as %q, which is refused: %v", raw, p.Forward, err)
		}
		if again.Forward != p.Forward || again.Canonical != p.Canonical {
			t.Errorf("%q: first %+v, then %+v", raw, p, again)
		}
	})
}
