package operator

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"gatehouse/rules/crs"
	"gatehouse/rules/program/byteset"
)

// BenchmarkOperator decides 500 distinct values in turn.
func BenchmarkOperator(b *testing.B) {
	release, err := crs.Load(crs.Versions()[0])
	if err != nil {
		b.Fatal(err)
	}
	data := Data{File: func(name string) ([]byte, error) { return fs.ReadFile(release.Data, name) }}
	kinds := map[string][]string{"ordinary": nil, "hostile": nil, "number": nil, "address": nil}
	for i := range 500 {
		kinds["ordinary"] = append(kinds["ordinary"], fmt.Sprintf("order %d of %d for the house at %d High Street, delivered by noon", i, i*7, i%90))
		kinds["hostile"] = append(kinds["hostile"], strings.Repeat(fmt.Sprintf("/etc/pass %d unio sele ../..%d/", i, i), 4))
		kinds["number"] = append(kinds["number"], fmt.Sprint(i))
		kinds["address"] = append(kinds["address"], fmt.Sprintf("10.1.%d.%d", i%7, i%250))
	}
	for _, test := range []struct{ name, argument, kind string }{
		{"pm", "union select insert update delete drop", "ordinary"},
		{"pm", "union select insert update delete drop", "hostile"},
		{"pmFromFile", "lfi-os-files.data", "ordinary"},
		{"pmFromFile", "lfi-os-files.data", "hostile"},
		{"pmFromFile", "unix-shell.data", "hostile"},
		{"rx", `(?i)union\s+(?:all\s+)?select`, "ordinary"},
		{"rx", `(?i)union\s+(?:all\s+)?select`, "hostile"},
		{"streq", "GET", "ordinary"},
		{"within", "GET POST HEAD OPTIONS", "number"},
		{"ge", "250", "number"},
		{"ge", "250", "ordinary"},
		{"ipMatch", "10.0.0.0/8,192.0.2.0/24,2001:db8::/32", "address"},
		{"validateByteRange", "32-126,128-255", "hostile"},
		{"validateUrlEncoding", "", "hostile"},
		{"detectSQLi", "", "ordinary"},
		{"detectXSS", "", "ordinary"},
	} {
		b.Run("name="+test.name+"/value="+test.kind, func(b *testing.B) {
			op, err := Compile(test.name, test.argument, data)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			values, matches, i := kinds[test.kind], 0, 0
			for b.Loop() {
				if op.Match(values[i%len(values)], nil) {
					matches++
				}
				i++
			}
			b.ReportMetric(float64(matches)/float64(i), "matches/op")
		})
	}
}

// BenchmarkOrdinary decides what most values are, with the sets of their bytes; method=Match is without.
func BenchmarkOrdinary(b *testing.B) {
	for _, kind := range []struct {
		name   string
		values []string
	}{
		{"agent", ordinaryAgents},
		{"referer", ordinaryReferers},
		{"search", ordinarySearches},
		{"cookie", ordinaryCookies},
		{"field", ordinaryFields},
	} {
		for _, test := range []struct{ name, argument string }{
			{"detectSQLi", ""}, {"detectXSS", ""}, {"validateByteRange", "32-126,128-255"}, {"validateUrlEncoding", ""}, {"validateUtf8Encoding", ""}, {"rx", "^.*$"},
		} {
			op, err := Compile(test.name, test.argument, Data{})
			if err != nil {
				b.Fatal(err)
			}
			var masks []byteset.Set
			for _, value := range kind.values {
				masks = append(masks, byteset.Of(value))
			}
			run := func(method string, match func(value string, mask byteset.Set, c *Captures) bool) {
				b.Run("values="+kind.name+"/name="+test.name+"/method="+method, func(b *testing.B) {
					b.ReportAllocs()
					var captures *Captures
					if CanCapture(test.name) {
						captures = new(Captures)
					}
					i := 0
					for b.Loop() {
						if match(kind.values[i], masks[i], captures) && test.name != "rx" {
							b.Fatalf("@%s matches %q", test.name, kind.values[i])
						}
						if i++; i == len(masks) {
							i = 0
						}
					}
				})
			}
			run("Match", func(value string, _ byteset.Set, c *Captures) bool { return op.Match(value, c) })
			if masked, ok := op.(Masked); ok {
				run("Masked", masked.MatchMasked)
			}
		}
	}
}
