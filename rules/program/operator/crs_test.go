package operator

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"

	"gatehouse/rules/crs"
	"gatehouse/rules/seclang"
)

// crsOperators are the operators of a release that are not in seen yet, those with macros aside.
func crsOperators(t *testing.T, release crs.Release, seen map[string]bool) []seclang.Operator {
	t.Helper()
	var all []seclang.Operator
	for _, source := range release.Rules {
		file, errs := seclang.Parse(source)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		for _, d := range file.Directives {
			if d.Rule == nil {
				continue
			}
			for _, link := range append([]*seclang.Directive{d}, d.Rule.Links...) {
				op := link.Rule.Operator
				if op == nil || strings.Contains(op.Arg, "%{") || seen[op.Name+" "+op.Arg] {
					continue
				}
				seen[op.Name+" "+op.Arg] = true
				all = append(all, *op)
			}
		}
	}
	return all
}

// TestCRSAgreesWithReference runs values through every operator of each embedded release, in one rule set: verdicts and
// captures are those of the reference.
func TestCRSAgreesWithReference(t *testing.T) {
	seen := make(map[string]bool)
	total, matches := 0, 0
	for _, version := range crs.Versions() {
		t.Run(version, func(t *testing.T) {
			release, err := crs.Load(version)
			if err != nil {
				t.Fatal(err)
			}
			operators := crsOperators(t, release, seen)
			total += len(operators)
			data := Data{File: func(name string) ([]byte, error) { return fs.ReadFile(release.Data, name) }}
			ours := make([]Operator, len(operators))
			var text strings.Builder
			text.WriteString("SecRuleEngine On\nSecRxPreFilter Off\n")
			for i, op := range operators {
				if ours[i], err = Compile(op.Name, op.Arg, data); err != nil {
					t.Fatalf("%s: %v", op.Position, err)
				}
				fmt.Fprintf(&text, "SecAction \"id:%d,phase:1,pass,nolog", 10_000+i)
				for field := range 10 {
					fmt.Fprintf(&text, ",setvar:tx.%d=%s", field, unset)
				}
				argument := strings.ReplaceAll(op.Arg, `"`, `\"`)
				fmt.Fprintf(&text, "\"\nSecRule ARGS_GET \"@%s %s\" \"id:%d,phase:1,pass,log,capture,setvar:'tx.r%d=%s'\"\n", op.Name, argument, i+1, i+1,
					"%{tx.0}|%{tx.1}|%{tx.2}|%{tx.3}|%{tx.4}|%{tx.5}|%{tx.6}|%{tx.7}|%{tx.8}|%{tx.9}")
			}
			waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(release.Data).WithDirectives(text.String()))
			if err != nil {
				t.Fatal(err)
			}
			defer waf.(experimental.WAFCloser).Close()
			for _, value := range crsValues() {
				tx := waf.NewTransaction()
				tx.AddGetRequestArgument("v", value)
				tx.ProcessRequestHeaders()
				variables := tx.(plugintypes.TransactionState).Variables()
				for i, op := range operators {
					var c Captures
					got := "no match"
					if ours[i].Match(value, &c) {
						matches++
						fields := make([]string, 10)
						for field := range fields {
							fields[field] = unset
							if text, ok := c.Field(field); ok {
								fields[field] = text
							}
						}
						got = strings.Join(fields, "|")
					}
					want := "no match"
					if texts := variables.TX().Get(fmt.Sprintf("r%d", i+1)); len(texts) > 0 {
						want = texts[0]
					}
					if got != want {
						t.Errorf("@%s %q on %q: %q, want %q", op.Name, op.Arg, value, got, want)
					}
				}
				tx.Close()
			}
		})
	}
	if total < 300 || matches < 1000 {
		t.Errorf("%d operators and %d matches, want at least 300 and 1000", total, matches)
	}
}

// crsValues are short values, and what chance makes of pieces of attacks.
func crsValues() []string {
	pieces := strings.Split("union|select|' or 1=1|--|<script>|alert(|)|/etc/passwd|../|;|cat |`|$(|${jndi:ldap://|}|eval(|base64_decode|php://input|<?php|system(|\x00|\xff|\u00e9|%0a|\n|\r\n|Host: |http://1.2.3.4|wget |sleep(5)|"+
		"javascript:|onerror=|<img src=x |document.cookie|{{|}}|#{|@java.lang.Runtime|() { :; };|cmd.exe|powershell|dir c:|\\\\|\"|'|&&|| |a|1|=|,|text/html|gzip, deflate|bytes=0-1,2-3|GET /|HTTP/1.1|.git/|.bak|waf_test", "|")
	random := rand.New(rand.NewPCG(1, 2))
	var out []string
	for i, value := range values() {
		if len(value) < 300 && i%2 == 0 {
			out = append(out, value)
		}
	}
	for range 60 {
		var s strings.Builder
		for range 1 + random.IntN(6) {
			s.WriteString(pieces[random.IntN(len(pieces))])
		}
		out = append(out, s.String())
	}
	return out
}
