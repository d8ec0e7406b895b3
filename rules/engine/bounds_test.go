package engine_test

import (
	"strings"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/engine"
	"gatehouse/rules/program"
)

// TestBounds judges requests below and above each bound. Those below are judged again and again: what one transaction does
// does not count for the next.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name, rule  string
		bounds      program.Bounds
		below, over string
	}{
		{"values", `ARGS "@rx attack" "id:1,phase:1,pass,log"`, program.Bounds{Values: 3}, "a=1&b=2&c=3", "a=1&b=2&c=3&d=4"},
		{
			"bytes", `ARGS "@rx attack$" "id:1,phase:1,pass,log"`,
			program.Bounds{Bytes: 400},
			"a=" + strings.Repeat("attack-", 30), "a=" + strings.Repeat("attack-", 100),
		},
		{
			"work", `ARGS "!@rx attack$" "id:1,phase:1,pass,log"`,
			program.Bounds{Work: 400},
			"a=" + strings.Repeat("attack-", 30), "a=" + strings.Repeat("attack-", 100),
		},
		{
			"work of captures", `ARGS "@rx (a+)" "id:1,phase:1,pass,log,capture"`,
			program.Bounds{Work: 4000},
			"a=" + strings.Repeat("a", 20), "a=" + strings.Repeat("a", 100),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := rules.Policy{Name: c.name, Sources: []rules.Source{{Name: "rules.conf", Text: "SecRule " + c.rule + "\n"}}}
			set := load(t, engine.Options{Bounds: c.bounds}, p)
			wire := func(query string) []byte {
				return []byte("GET /?" + query + " HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
			}
			for range 5 {
				if o := judge(t, set, wire(c.below), false); len(o.Errors) > 0 {
					t.Fatalf("below the bound: %v", o.Errors)
				}
			}
			if o := judge(t, set, wire(c.over), false); len(o.Errors) == 0 {
				t.Errorf("over the bound: %v", o.Matches)
			}
			if o := judge(t, set, wire(c.below), false); len(o.Errors) > 0 {
				t.Errorf("below the bound, after one that was over it: %v", o.Errors)
			}
		})
	}
}
