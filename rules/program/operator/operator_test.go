package operator

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatehouse/rules/program/byteset"
)

// arguments are the operators under test, with arguments of each.
var arguments = map[string][]string{
	"rx": {
		"", "a", "^.*$", ".*", "^.*", ".*$", "^(.*)$", "(?i)union\\s+select", "^GET$", "^$", "a.b", "(a)(b)?(c)", "(1)(2)(3)(4)(5)(6)(7)(8)(9)(10)", "(a|ab)(c|bcd)(d*)", "[^a-z]", `\xff`, `\x{ff}`, `[\x80-\xff]`, `\xc3\xa9`, `(\xe9)(x)?`,
		`\x41`, `\x{263a}`, `\u`, `(`, `\\xff`, `\x{ffff}`, `(?i)k`, `(?i)s`, `.`, `\bfoo\b`, `^\xff$`, `\x{4}1`, `\x`, `\xg`, `é`, `[\x{ff}\x41]`, `%`, `a{2,3}`, `\x{fgx}`, `\x{}abc`,
		// A dot that matches a line end tells which package decides.
		`\x{ff00}|a.b`, `\x{c3a9}|a.b`, `\x{2028}|a.b`, `\x{0e9}|a.b`, `\x{e9}|a.b`, `\xc3\x{a9}|a.b`, `\\xe9|a.b`, `\x{c}|a.b`, `\x{e|a.b}`, "\xe9|a.b", "\u00e9|a.b",
	},
	"pm":                   {"", "a", "union select", "abcd bcde c", "UNION Select union", "a  b", "a  bc", "ab  abc b", "ab  ac ad", "a  b c d", "a  b c d e", "\u00e9  b", "\u00e9 b", "\u212a x", "aa aaa aaaa", "/etc/passwd .git", "@ `", "[ {", "ab cd ef gh", "a\tb", "\xff b", "ß ẞ", "aab  b", "xy  1", "abcd bce", "aab  1"},
	"pmFromFile":           {"words.data", "empty.data", "missing.data", "single.data"},
	"pmf":                  {"words.data"},
	"pmFromDataset":        {"words", "missing"},
	"beginsWith":           {"", "GET", "a", "\u00e9"},
	"endsWith":             {"", "txt", "a"},
	"contains":             {"", "a", ".php", "%", "a b"},
	"strmatch":             {"", "a", "a*b"},
	"streq":                {"", "a", "A"},
	"within":               {"", "GET POST HEAD", "abc", "|a|b|"},
	"eq":                   {"", "0", "1", "+1", "-1", "x", "1x", "9223372036854775807", "99999999999999999999", "0x10", "1_000", "007"},
	"ge":                   {"", "0", "5", "x"},
	"gt":                   {"", "0", "-5", "9223372036854775806"},
	"le":                   {"", "0", "-9223372036854775808", "5"},
	"lt":                   {"", "0", "5", "-99999999999999999999"},
	"ipMatch":              {"", "10.0.0.0/8", "192.0.2.1, 198.51.100.0/24,2001:db8::/32", "::1", "::ffff:203.0.113.0/120", "::/0", "0.0.0.0/0", "::ffff:0:0/90", "10.0.0.1/33", "nonsense", "fe80::1%eth0", "1.2.3.4,1.2.3.4/31,1.2.3.0/24", "010.0.0.1", "::ffff:1.2.3.4", ",,", "0.0.0.0/1,128.0.0.0/1", "10/8", "10.0.0.0/32,10.0.0.0/8,10.0.0.0/16"},
	"ipMatchFromFile":      {"nets.data", "empty.data", "missing.data"},
	"ipMatchF":             {"nets.data"},
	"ipMatchFromDataset":   {"nets", "missing"},
	"validateByteRange":    {"", "1-255", "32-126", "9,10,13,32-126,128-255", "0-255", "10 , 20-30", "256", "-1", "5-", "30-20", "a", "1-2-3", "+5", "38,44-46,48-58,61,65-90,95,97-122", ","},
	"validateUrlEncoding":  {"", "ignored"},
	"validateUtf8Encoding": {""},
	"validateNid":          {"", "cl", "cl .*", "us .*", `us \d{3}-?\d{2}-?\d{4}`, `cl \d{1,2}\.?\d{3}\.?\d{3}-[\dk]`, "uk .*", "cl (", `cl [0-9k.-]+`, "us [^ ]+", "xx"},
	"detectSQLi":           {""},
	"detectXSS":            {"", "ignored"},
	"noMatch":              {""},
	"unconditionalMatch":   {"", "x"},
	"geoLookup":            {""},
	"restpath":             {"/", "/api/{id}", "/users/{userId}/posts/{postId}", "/{a}/{a}", "/x{", "/{a b}", "/a.b/{c}", "{x}", "^/v(\\d)/{x}$"},
	"containsWord":         {"a"}, // not there
	"RX":                   {"a"}, // names have a case
}

func values() []string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return append([]string{
		"", "a", "A", "ab", "abc", "abcd", "xabcdez abce abcd", "aab", "aaab", "abce", "aaaaaaaaaaaaaaaaaaaa", "aXb", "a\nb", "GET", "xGET\nGET\n", "\n", "a b c d e f g h i j k l m n", "ababababababababababab", "bcbcbcaab", "zzz", "b", "c", "e", "xy", "x1y", "ay", "ax1",
		"1 UNION SELECT 2", "unions Union select SELECT /etc/passwd .GIT/ x", "\u212a", "k", "K", "s\u017fS", "\u00e9", "caf\u00e9 \xe9", "\xff", "\xff\xfe", "a\xffb", "\xe9x", "\xc3", "\u263a", "12345678910", "ab\xc3\xa9", "%", "%4", "%41", "%%41", "%4g", "%u0041", "a+%zz",
		"0", "1", "+1", "-1", "--1", "+", "-", "007", "1x", "x1", " 1", "1 ", "0x10", "1_000", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "18446744073709551616x", "99999999999999999999", "-99999999999999999999x", "1844674407370955161x", "\u0661",
		"10.1.2.3", "192.0.2.1", "198.51.100.7", "::ffff:198.51.100.7", "2001:db8::1", "2001:DB8::1", "::1", "::", "fe80::1%eth0", "fe80::1", "203.0.113.9", "::ffff:203.0.113.9", "1.2.3.4", "01.2.3.4", "1.2.3", "1.2.3.4 ", "::ffff:0:0", "255.255.255.255", "0.0.0.0", "1.2.3.4/32", "::ffff:1.2.3.4.5", "ff:ff", ":", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4",
		"12.345.678-5", "12.345.605-k", "12.345.605-K", "11.111.111-1 22.222.222-2 7.654.321-6", "30686957-4", "30.686.957-4", "abcdefgh", "kkkkkkkk", "12345678k", "078-05-1120", "123456789", "111111111", "666-12-3456", "457-55-5462 219-09-9999 457555462", "\u212a1234567",
		"1' OR '1'='1", "1; DROP TABLE users--", "' UNION SELECT NULL,NULL--", "O'Brien", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "a < b", "sleep(5)", "1 and 1=1", "\"><svg/onload=alert(1)>", "<!--", "1'/**/or/**/1=1#",
		"/api/5", "/users/7/posts/9?x=1", "/users//posts/", "/a.b/c", "/aXb/c", "/v1/x", "/v1/x/y", "POST", "HEAD", "T P", "|b|", "file.txt", "index.php?a=b",
		string(all), strings.Repeat("a", 3000), strings.Repeat("unio", 1000), strings.Repeat("\xff", 500), "line one\nline two\r\nGET",
	}, disagreements...)
}

// disagreements are values on which an earlier version and the reference did not agree.
var disagreements = []string{}

func TestAgreesWithReference(t *testing.T) {
	count := 0
	for name, list := range arguments {
		t.Run(name, func(t *testing.T) {
			for _, argument := range list {
				if _, err := Compile(name, argument, ourData()); errors.Is(err, ErrUnsupported) {
					continue
				}
				p := newPair(t, name, argument)
				for _, value := range values() {
					p.check(t, name, argument, value)
					count++
				}
			}
		})
	}
	if count < 10_000 {
		t.Errorf("%d comparisons, want at least 10000", count)
	}
}

func TestNidWithoutDigits(t *testing.T) {
	op, err := Compile("validateNid", "cl .*", Data{})
	if err != nil {
		t.Fatal(err)
	}
	if op.Match("no number", nil) {
		t.Error("text without a digit is a valid number")
	}
}

func TestUnsupported(t *testing.T) {
	for name, argument := range map[string]string{
		"inspectFile": "/bin/true", "rbl": "example.org", "validateSchema": "schema.json", "pm": "\u00e9  b",
	} {
		if _, err := Compile(name, argument, Data{}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("Compile(%q, %q): error %v, want ErrUnsupported", name, argument, err)
		}
	}
	long := Data{File: func(string) ([]byte, error) { return []byte("a\n" + strings.Repeat("b", 70_000) + "\nc\n"), nil }}
	if _, err := Compile("pmFromFile", "long.data", long); err == nil {
		t.Error("a file with a line that is too long is read in part")
	}
}

func TestCanCaptureIsComplete(t *testing.T) {
	seen := make(map[string]bool)
	for name, list := range arguments {
		for _, argument := range list {
			op, err := Compile(name, argument, ourData())
			if err != nil {
				continue
			}
			for _, value := range values() {
				var c Captures
				matched := op.Match(value, &c)
				if c.Any() && (!CanCapture(name) || !matched) {
					t.Fatalf("@%s %q captures from %q; match %v", name, argument, value, matched)
				}
				seen[name] = seen[name] || c.Any()
			}
		}
		if CanCapture(name) && !seen[name] {
			t.Errorf("@%s never captured", name)
		}
	}
}

func TestCapturesReset(t *testing.T) {
	var c Captures
	op, err := Compile("restpath", "/{a}", Data{})
	if err != nil {
		t.Fatal(err)
	}
	op.Match("/x", &c)
	c.set(3, "y")
	c.Reset()
	if _, ok := c.Field(3); ok || c.Any() || len(c.Path) != 0 {
		t.Errorf("after Reset: %+v", c)
	}
}

func TestNumberReadsAsAtoi(t *testing.T) {
	for _, text := range values() {
		want, _ := strconv.Atoi(text)
		if got := Number(text); got != int64(want) {
			t.Errorf("Number(%q) = %d, want %d", text, got, want)
		}
	}
}

// TestMaskedAgrees runs all values through both methods of the operators that have two.
func TestMaskedAgrees(t *testing.T) {
	seen := make(map[string]bool)
	for name, list := range arguments {
		for _, argument := range list {
			op, err := Compile(name, argument, ourData())
			if err != nil {
				continue
			}
			masked, ok := op.(Masked)
			if !ok {
				continue
			}
			seen[name] = true
			for _, value := range slices.Concat(values(), crsValues(), ordinary()) {
				var want, got Captures
				matches := op.Match(value, &want)
				if is := masked.MatchMasked(value, byteset.Of(value), &got); is != matches || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("@%s %q on %q: %v with %v by the mask, want %v with %v", name, argument, value, is, got, matches, want)
				}
			}
		}
	}
	for _, name := range []string{"detectSQLi", "detectXSS", "validateByteRange", "validateUrlEncoding", "validateUtf8Encoding"} {
		if !seen[name] {
			t.Errorf("@%s makes no use of a mask", name)
		}
	}
}

// TestDecidingCostsNoAllocation holds for rules that do not capture, the NID and attacks that libinjection finds aside. Regular expressions
// take their memory from pools, which the race detector empties at random.
func TestDecidingCostsNoAllocation(t *testing.T) {
	for name, list := range arguments {
		switch name {
		case "validateNid", "rx", "restpath":
			continue
		}
		for _, argument := range list {
			op, err := Compile(name, argument, ourData())
			if err != nil {
				continue
			}
			for _, value := range []string{"an ordinary value", "x1y", "1 UNION SELECT \xff 2", "99999999999999999999x", "10.1.2.3", "12"} {
				if name == "detectSQLi" && op.Match(value, nil) {
					continue
				}
				if n := testing.AllocsPerRun(10, func() { op.Match(value, nil) }); n > 0 {
					t.Errorf("@%s %q on %q: %v allocations", name, argument, value, n)
				}
			}
		}
	}
}
