package tuning

import (
	"testing"

	"gatehouse/rules/policy"
)

func TestPathPattern(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"root", "/", "/"},
		{"fixed", "/api/orders/search", "/api/orders/search"},
		{"a final slash stays", "/api/", "/api/"},
		{"number", "/api/orders/77/notes", "/api/orders/*/notes"},
		{"version", "/api/v2/orders", "/api/v2/orders"},
		{"UUID", "/u/7d444840-9dc0-11d1-b245-5FFDCE74FAD2/x", "/u/*/x"},
		{"hex", "/blob/deadbeef01", "/blob/*"},
		{"a word of hex letters", "/decade/facade", "/decade/facade"},
		{"a long word of hex letters", "/effaced/deadbeef", "/effaced/deadbeef"},
		{"token", "/t/eyJhbGciOiJIUzI1NiJ9abc12", "/t/*"},
		{"a long word", "/internationalization_settings", "/internationalization_settings"},
		{"date", "/log/2026-07-01/x", "/log/*/x"},
		{"word and number", "/order-12345", "/order-*"},
		{"number and extension", "/img/4711.png", "/img/*.png"},
		{"encoded", "/caf%C3%A9%20noir", "/café noir"},
		{"dots", "/a/./b/../c", "/a/c"},
		{"slashes", "/a//b", "/a/b"},
		{"a question mark in a segment", "/a/x%3Fy/b", "/a/*/b"},
		{"control characters", "/a/x%0Ay", "/a/*"},
		{"not UTF-8", "/a/%FF", "/a/*"},
		{"stars", "/a/**/b", "/a/*/b"},
		{"masked", "/a/***(12)/b", "/a/*/b"},
		{"cut", "/a/b/lo…(+100)", "/a/b/**"},
		{"no path", "", "/**"},
		{"asterisk", "*", "/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := PathPattern(c.in)
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			x := policy.Exclusion{Name: "x", Rules: []int{1}, Reason: "x", Targets: policy.Strings{"query:q"}, Path: got}
			if problems := policy.CheckExclusion(x, false); len(problems) > 0 {
				t.Errorf("%q: %v", got, problems)
			}
		})
	}
}
