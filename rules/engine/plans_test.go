package engine_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/engine"
)

// TestValuesOfEveryKind runs rules with many chains of transformations, each with many operators, on values of every kind:
// what a plan leaves out, because bytes or length tell that nothing can match, must not have matched.
func TestValuesOfEveryKind(t *testing.T) {
	chains := []string{
		"none", "lowercase", "uppercase", "removeWhitespace", "removeNulls", "replaceNulls", "compressWhitespace", "cmdLine",
		"urlDecodeUni", "urlDecode", "htmlEntityDecode", "jsDecode", "cssDecode", "escapeSeqDecode", "utf8toUnicode", "base64Decode",
		"base64DecodeExt", "hexDecode", "hexEncode", "base64Encode", "normalisePath", "normalisePathWin", "replaceComments", "removeComments",
		"removeCommentsChar", "length", "sha1", "trim",
		"urlDecodeUni,lowercase", "lowercase,urlDecodeUni,htmlEntityDecode,jsDecode", "jsDecode,removeWhitespace,base64Decode,urlDecodeUni,jsDecode",
		"urlDecodeUni,base64Decode,replaceComments", "utf8toUnicode,urlDecodeUni,removeNulls,cmdLine", "removeWhitespace,normalisePath",
		"htmlEntityDecode,cssDecode,removeNulls,lowercase", "base64Decode,lowercase,removeWhitespace,length", "normalisePath,urlDecodeUni,normalisePathWin",
	}
	operators := []string{
		`@rx ^$`, `@rx ^.?$`, `@rx <script`, `@rx \.\./`, `@rx ^[a-z]+$`, `@rx \x00`, `@rx \x{fffd}{2}`, `@rx ^/+$`, `@rx (?:;|\|)\s*cat`,
		`@streq attack`, `@streq ` + strings.Repeat("\ufffd", 2), `@contains /etc/passwd`, `@beginsWith <b>`, `@endsWith %3c`, `@pm select union`, `@pm - ; __proto__`,
		`@detectSQLi`, `@detectXSS`, `@validateByteRange 32-126`, `@validateUrlEncoding`, `@validateUtf8Encoding`, `@ge 4`, `!@rx ^[a-z]*$`, `!@contains /`,
	}
	values := []string{
		"", ".", "..", "/", "//", " ", "   ", "attack", "ATTACK", "at\x00tack", "a t t a c k", "\xff", "\xff\xff", "é", "\u0130", "\u2028", "\xa0", "&nGt;", "&lt;script&gt;",
		`\0`, `\3c script`, `\x3cscript`, `\u003cscript`, "%3cscript", "%253cscript", "%u003cscript", "+", "PHNjcmlwdA==", "PHNj cmlwdA==", "Ly4uL2V0Yy9wYXNzd2Q=",
		"X19wcm90b19f", "VU5JT04gU0VMRUNU", "X19w\r\ncm90b19f", "3c736372697074", "/a/../etc/passwd", `\a\..\etc\passwd`, "/etc//passwd", "/etc/passwd.", "c:/etc/passwd:x", "; c^at /etc/p'assw'd",
		"un/**/ion se/*x*/lect", "1' or 1=1 -- ", "1 union select a from b", "un--ion", "<b>", "b64.with.dots", "items.0.name", "1.5", "true", "12345678", "a", "zz..", "zz ", "<img src=x onerror=a()>",
		strings.Repeat("lorem ipsum ", 20) + "<script", strings.Repeat("Lorem", 30), strings.Repeat("é ", 60) + "/etc/passwd", strings.Repeat("A", 95) + "union", strings.Repeat("x", 200) + "../",
	}
	for _, multi := range []string{"", "multiMatch,"} {
		var text strings.Builder
		for i, chain := range chains {
			for j, operator := range operators {
				steps := "t:" + strings.ReplaceAll(chain, ",", ",t:")
				fmt.Fprintf(&text, "SecRule ARGS|ARGS_NAMES \"%s\" \"id:%d,phase:2,pass,log,%s%s\"\n", operator, 1+100*i+j, multi, steps)
			}
		}
		p := rules.Policy{Name: "values", Limits: rules.Limits{Arguments: 100, JSONDepth: 10}, Sources: []rules.Source{{Name: "text", Text: text.String()}}}
		program, reference := load(t, engine.Options{Target: target}, p), load(t, engine.Options{Mode: engine.Reference, Target: target}, p)
		compiled(t, program)
		matched := make(map[string]bool)
		for _, v := range values {
			wire := "GET /?" + url.QueryEscape(v) + "=" + url.QueryEscape(v) + " HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"
			got := judge(t, program, []byte(wire), false)
			for rule := range got.Matches {
				matched[strings.Fields(rule)[0]] = true
			}
			if diff := differ(t, reference, []byte(wire), false, got); diff != "" {
				t.Errorf("%q (-reference +program):\n%s", v, diff)
			}
		}
		if all := len(chains) * len(operators); len(matched) < all*6/10 {
			t.Errorf("%d of %d rules match something", len(matched), all)
		}
	}
}

// TestManyFields makes fields of TX by the names that a request has, more than are looked through one by one, changes some
// and unsets others.
func TestManyFields(t *testing.T) {
	text := `
SecRule ARGS_NAMES "@rx ." "id:1,phase:2,pass,nolog,setvar:'tx.n_%{MATCHED_VAR}=+1'"
SecRule ARGS "@rx ^gone" "id:2,phase:2,pass,nolog,setvar:'!tx.n_%{MATCHED_VAR}=0'"
SecRule ARGS "@rx ^more" "id:3,phase:2,pass,nolog,setvar:'tx.n_%{MATCHED_VAR}=+5'"
SecRule &TX:/n_/ "@gt 0" "id:4,phase:2,pass,log"
SecRule TX:/n_.*/ "@gt 1" "id:5,phase:2,pass,log"
SecRule TX:/^n_m/ "@gt 0" "id:6,phase:2,pass,log"
SecRule TX:/n_(.*)/ "@eq 1" "id:7,phase:2,pass,log"
`
	p := rules.Policy{Name: "fields", Limits: rules.Limits{Arguments: 500, JSONDepth: 10}, Sources: []rules.Source{{Name: "text", Text: text}}}
	program, reference := load(t, engine.Options{Target: target}, p), load(t, engine.Options{Mode: engine.Reference, Target: target}, p)
	compiled(t, program)
	for _, n := range []int{0, 3, 15, 16, 17, 18, 40, 200} {
		query := url.Values{}
		for i := range n {
			switch name := fmt.Sprintf("Field%d", i); i % 5 {
			case 1:
				query[name] = []string{"gone" + fmt.Sprint(i)}
				query["gone"+fmt.Sprint(i)] = []string{"x", "y"}
			case 2:
				query[name] = []string{"more" + fmt.Sprint(i)}
			default:
				query[name] = []string{"a", "b"}[:1+i%2]
			}
		}
		// The second request of the same kind finds nothing of the first.
		for range 2 {
			wire := []byte("GET /?" + query.Encode() + " HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
			if diff := differ(t, reference, wire, false, judge(t, program, wire, false)); diff != "" {
				t.Errorf("%d fields (-reference +program):\n%s", n, diff)
			}
		}
	}
}

// TestStepsAlone has steps with few patterns: what is needed of their texts is not what every text has. Some patterns are
// longer than the text of a step, others after it are not.
func TestStepsAlone(t *testing.T) {
	text := `
SecRule ARGS "@contains the_long_text_of_many_bytes" "id:1,phase:2,pass,log,t:none,t:base64Decode"
SecRule ARGS "@streq abc" "id:2,phase:2,pass,log,t:none,t:base64Decode,t:lowercase"
SecRule ARGS "@streq 3" "id:3,phase:2,pass,log,t:none,t:base64Decode,t:length"
SecRule ARGS "@contains the_long_text_of_many_bytes" "id:4,phase:2,pass,log,multiMatch,t:none,t:base64Decode,t:lowercase,t:hexEncode"
SecRule ARGS "@streq 616263" "id:5,phase:2,pass,log,t:none,t:base64Decode,t:lowercase,t:hexEncode"
SecRule ARGS "@pm select union" "id:6,phase:2,pass,log,t:none,t:base64DecodeExt"
SecRule ARGS "@pm <a> ;b" "id:7,phase:2,pass,log,t:none,t:urlDecodeUni,t:jsDecode"
SecRule ARGS "@contains ..x" "id:8,phase:2,pass,log,t:none,t:removeNulls,t:trim"
SecRule ARGS "@detectXSS" "id:9,phase:2,pass,log,t:none,t:htmlEntityDecode"
SecRule ARGS "@detectSQLi" "id:10,phase:2,pass,log,t:none,t:cssDecode"
SecRule ARGS "@rx <script" "id:11,phase:2,pass,log,t:none,t:hexDecode"
SecRule ARGS "@rx <script" "id:12,phase:2,pass,log,t:none,t:removeWhitespace,t:base64Decode"
SecRule ARGS "@rx <script" "id:13,phase:2,pass,log,t:none,t:removeWhitespace,t:base64Decode,t:jsDecode,t:urlDecodeUni"
`
	p := rules.Policy{Name: "short", Limits: rules.Limits{Arguments: 10, JSONDepth: 10}, Sources: []rules.Source{{Name: "text", Text: text}}}
	program, reference := load(t, engine.Options{Target: target}, p), load(t, engine.Options{Mode: engine.Reference, Target: target}, p)
	compiled(t, program)
	matched := 0
	for _, v := range []string{
		"QUJD", "Q", "", "QUJD.", "QUJD" + strings.Repeat(".", 60), "dGhlX2xvbmdfdGV4dF9vZl9tYW55X2J5dGVz", "VU5JT04gU0VMRUNU",
		"%253CA%253E", "%5Cx3cA>", "%253BB", ".%00.x", "%26lt;script>alert(1)", "1%5C27+or+1=1+--+",
		"3c736372697074", "PHNjcmlwdA==", "+P+H+N%0Aj%09cmlwdA", "PHNj%C2%A0cmlwdA", "PHNj%E2%80%83cmlwdA", "XHgzY3NjcmlwdA", "JTNjc2NyaXB0", "eDxzY3JpcHQ", "eHg8c2NyaXB0",
	} {
		wire := []byte("GET /?q=" + v + " HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
		got := judge(t, program, wire, false)
		matched += len(got.Matches)
		if diff := differ(t, reference, wire, false, got); diff != "" {
			t.Errorf("%q (-reference +program):\n%s", v, diff)
		}
	}
	if matched < 30 {
		t.Errorf("%d matches", matched)
	}
}

func compiled(t *testing.T, set rules.RuleSet) {
	t.Helper()
	if c := set.(interface{ Coverage() engine.Coverage }).Coverage(); len(c.Reference) > 0 {
		t.Fatalf("not compiled: %v", c.Reference)
	}
}
