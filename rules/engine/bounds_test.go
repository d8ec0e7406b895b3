package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
			"bytes of names that came before", `ARGS_NAMES "@rx attack$" "id:1,phase:1,pass,log"`,
			program.Bounds{Bytes: 100},
			strings.Repeat("attack-", 5) + "=1", strings.Repeat("attack-", 9) + "=1&" + strings.Repeat("attack+", 9) + "=1",
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
			for range 4 {
				if o := judge(t, set, wire(c.over), false); len(o.Errors) == 0 {
					t.Errorf("over the bound: %v", o.Matches)
				}
			}
			if o := judge(t, set, wire(c.below), false); len(o.Errors) > 0 {
				t.Errorf("below the bound, after one that was over it: %v", o.Errors)
			}
		})
	}
}

// TestSearchesAreBounded judges values for which an operator would search its whole string again and again: each of these
// would take minutes.
func TestSearchesAreBounded(t *testing.T) {
	p := rules.Policy{Name: "searches", Sources: []rules.Source{{Name: "rules.conf", Text: "" +
		"SecRequestBodyAccess On\n" +
		`SecRule ARGS "@detectSQLi" "id:1,phase:2,pass,log"` + "\n" +
		`SecRule ARGS "@detectSQLi" "id:2,phase:2,pass,log,multiMatch,t:none,t:urlDecodeUni,t:removeNulls"` + "\n"}}}
	set := load(t, engine.Options{}, p)
	for _, value := range []string{
		`\"` + strings.Repeat(`\"`, 1<<18), `"` + strings.Repeat(`a""`, 1<<18), `1'` + strings.Repeat(`''`, 1<<18), strings.Repeat(`\'x`, 1<<18),
	} {
		body := "a=" + value
		wire := fmt.Sprintf("POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
			len(body), body)
		start := time.Now()
		o := judge(t, set, []byte(wire), false)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%.10q: %v", value, took)
		}
		if len(o.Errors) == 0 {
			t.Errorf("%.10q: no bound was met", value)
		}
	}
	// What is short, or has such quotes here and there, is judged.
	for _, value := range []string{`{"a":"{\"b\":\"c\"}"}` + strings.Repeat(` {\"b\":\"c\"}`, 500), strings.Repeat("it''s ", 1000), strings.Repeat("plain words ", 50_000)} {
		body := "a=" + value
		wire := fmt.Sprintf("POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
			len(body), body)
		if o := judge(t, set, []byte(wire), false); len(o.Errors) > 0 {
			t.Errorf("%.10q: %v", value, o.Errors)
		}
	}
}
