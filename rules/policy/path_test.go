package policy

import (
	"regexp"
	"testing"
)

// TestCompilePath shows which paths a pattern takes, and that it agrees with the expression that rules are lowered to.
func TestCompilePath(t *testing.T) {
	tests := []struct {
		pattern    string
		takes, not []string
	}{
		{"/login", []string{"/login"}, []string{"/", "/login/", "/Login", "/login/x", "/xlogin"}},
		{"/", []string{"/"}, []string{"", "/x"}},
		{"/admin/**", []string{"/admin", "/admin/", "/admin/a/b", "/admin/a\nb"}, []string{"/adminx", "/", "/x/admin"}},
		{"/**", []string{"/", "/x", "/x/y"}, nil},
		{"/api/orders/*/notes", []string{"/api/orders/1/notes", "/api/orders/\xff/notes"}, []string{"/api/orders//notes", "/api/orders/1/2/notes", "/api/orders/notes"}},
		{"/img/*.png", []string{"/img/a.png", "/img/.png"}, []string{"/img/a/b.png", "/img/axpng"}},
		{"/a.b(c)", []string{"/a.b(c)"}, []string{"/axb(c)", "/a.bc"}},
		{"/bücher/*", []string{"/bücher/1"}, []string{"/bucher/1"}},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) {
			p, err := CompilePath(tt.pattern)
			if err != nil {
				t.Fatal(err)
			}
			lowered := regexp.MustCompile(`(?s)\A(?:` + pathRegex(tt.pattern, strictly) + `)\z`)
			check := func(path string, want bool) {
				if got := p.Match(path); got != want {
					t.Errorf("Match(%q) = %v", path, got)
				}
				if got := lowered.MatchString(path); got != want {
					t.Errorf("lowered, %q is matched: %v", path, got)
				}
			}
			for _, path := range tt.takes {
				check(path, true)
			}
			for _, path := range tt.not {
				check(path, false)
			}
		})
	}
	for _, bad := range []string{"", "login", "/a?b", "/a/**/b", "/a//b", "/a/.."} {
		if _, err := CompilePath(bad); err == nil {
			t.Errorf("%q compiles", bad)
		}
	}
}
