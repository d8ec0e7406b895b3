package transform

import (
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"
)

// answer is what a transformation does to a value. An error shows as a value that stays.
type answer struct {
	out     string
	changed bool
}

// reference asks Coraza: one rule looks at the transformed value, one, with multiMatch, at each value that the
// transformation reports.
type reference struct{ waf coraza.WAF }

func newReference(t testing.TB, name string) *reference {
	t.Helper()
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(fmt.Sprintf(`SecRuleEngine On
SecArgumentsLimit 10
SecRule ARGS_GET "@unconditionalMatch" "id:1,phase:1,pass,log,t:%[1]s"
SecRule ARGS_GET "@unconditionalMatch" "id:2,phase:1,pass,log,multiMatch,t:%[1]s"`, name)))
	if err != nil {
		t.Fatalf("load t:%s: %v", name, err)
	}
	if closer, ok := waf.(experimental.WAFCloser); ok {
		t.Cleanup(func() { closer.Close() })
	}
	return &reference{waf: waf}
}

func (r *reference) ask(t testing.TB, in string) answer {
	t.Helper()
	tx := r.waf.NewTransaction()
	defer tx.Close()
	tx.AddGetRequestArgument("v", in)
	tx.ProcessRequestHeaders()
	rules := tx.MatchedRules()
	if len(rules) != 2 {
		t.Fatalf("%d rules matched %q, want 2", len(rules), in)
	}
	one, many := rules[0].MatchedDatas(), rules[1].MatchedDatas()
	if len(one) != 1 || len(many) < 1 || len(many) > 2 || many[0].Value() != in {
		t.Fatalf("%d and %d values matched for %q", len(one), len(many), in)
	}
	a := answer{out: one[0].Value(), changed: len(many) == 2}
	if a.changed && many[1].Value() != a.out {
		t.Fatalf("two results for %q: %q and %q", in, a.out, many[1].Value())
	}
	return a
}

// names are all names of the table, aliases included.
func names() []string {
	var all []string
	for name := range table {
		if name != "none" {
			all = append(all, name)
		}
	}
	sort.Strings(all)
	return append(all, "None") // in this spelling it is a step like any other
}

// seeds are values that have made decoders go wrong. Disagreements found by fuzzing are kept at their end.
func seeds() []string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return append([]string{
		"", "a", "plain text", "Plain Text 123", "\x00", "a\x00b\x00\x00", " ", "  ", " a ", "a  b", "\t\n\v\f\r x \t\n\v\f\r",
		"a b", "a\tb", "/ (", "a / b ( c", "a /b (c", "C^md.e\"x'e /c, ;dir", "a,;b", ",", "/", "//", "///", ".", "..", "./", "../",
		"/.", "/..", "/../", "a/", "a//b", "a/./b", "a/../b", "a/../../b", "/a/../../b/", "../../a", "a/..", "a/../", "/a/b/c", "a.b/c.d",
		`C:\Windows\..\system32\`, "C:/a/b.txt::$DATA", "a:b/c:d/", "c:", "c:x", "a/b. /c . ./...", " /a", "/ /a/ ", "a\\b", `\`, `\\`, "x:y", "a. ",
		"%", "%4", "%41", "%4g", "%g1", "%%41", "%2541", "+", "a+b", "%u", "%u0", "%u004", "%u0041", "%U0041", "%uff1c", "%uFF1C%uff1e", "%u00a0", "%u0141",
		"%uff00", "%uff5f", "%ufeff", "%u2019", "%uzzzz", "%u00zz", "%u0041%", "%c0%af", "%e0%80%af", "%00", "a%0a%0d",
		`\u0041`, `\u{41}`, `\u{ff1c}`, `\u{0ff01}`, `\u{}`, `\u{1234567}`, `\u{41`, `\u004`, `\uff1c`, `\uFF5F`, `\uff00`, `\x41`, `\x4`, `\xzz`, `\0`, `\1`, `\12`,
		`\123`, `\377`, `\400`, `\777`, `\8`, `\n\r\t\a\b\f\v\?\'\"`, `\a`, `a\`, `\q`, `\X41`, `\x4142`, `\u`, `\x`, `\U0041`, `\08`, `\1234`,
		`\41 b`, `\000041b`, `\0000041`, `\110000`, `\d800`, `\0`, "\\0\n", `\ff1c`, `\zz`, "\\\n", "\\41\tb", `\fffffff`, "\\a\x80", `ja\vascript`,
		"&", "&amp", "&amp;", "&lt;script&gt;", "&lt", "&ltx", "&#60", "&#60;", "&#x3c;", "&#x3C", "&#X3c;", "&#", "&#x", "&#;", "&#x;", "&#0;", "&#128;", "&#xd800;",
		"&#1114112;", "&#99999999999999999999;", "&notit;", "&nGg;", "&ngg;", "&bogus;", "a=1&b=2&c=3", "a=1&lt=2", "&&amp;&", "&amp;amp;", "&AMP", "&copyx", "&NewLine;&Tab;&colon;",
		"/* a */b", "a/*b", "a/*b*/", "a/*b*/c", "/**/", "/*/", "/*/*/", "a<!-- b -->c", "<!--", "<!---->", "<!-->", "-->", "--", "a--b", "a#b", "#", "a-b", "*/", "/*b-->c", "<!--b*/c*/",
		"/**//**/x", "/* */--", "/* --> */", "a*b/c", "<!-", "--->", "/*a*/",
		"YWJj", "YWJjZA==", "YWJjZGU=", "YWJj\r\nZGVm", "YW Jj", "YWJj\u00a0ZGVm", "YWJj\xffZGVm", " YWJj\u2003ZGVm ", "Y.W.J.j", "YW-_", "YW+/", "Y", "YW", "YWJ", "=", "a=b", "YWJ*j", "YWJ\xffj", "eyJhIjoiYiJ9",
		"414243", "4142G3", "414", "4a4B", "zz",
		"\xff", "a\xffb", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc2", "\xc2\x85", "\xc2\xa0", "a\xa0b", "\xa0", "\x85", "\xe0\xa0", "\xe0\xa0\x80", "\xe2\x80\x83", "\u2028", "\u3000",
		"\u00e0\u00c5\u0105", "\u4f60\u597d", "\U0001f600", "\u0130", "\u0131", "\u212a\u017f", "\u023a\u2c65", "STRASSE \u00df \u1e9e", "\u01c5", "\ufffd", "\ufeffa", "\U0010ffff", "A\u00c9Z\xff",
		string(all), strings.Repeat("a", 5000), strings.Repeat("%41+", 3000), strings.Repeat("A \\x41&lt;/*x*/", 1000), strings.Repeat("\xff", 3000), strings.Repeat("../", 1000), strings.Repeat("&#x26;", 1000),
		"line one\nline two\r\nline three", "a&lt;%3Cb\\x3c\\u003c+%u003c&#x3c;",
	}, disagreements...)
}

// disagreements are inputs on which an earlier version and the reference did not agree.
var disagreements = []string{}
