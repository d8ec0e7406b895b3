package event

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// span is a part of a text: [from, to).
type span struct{ from, to int }

// edge says what may stand beside a card number.
type edge int

const (
	edgeLoose  edge = iota // anything but a digit
	edgeStrict             // neither letter nor digit: for identifiers, which are full of digits
)

// starts marks the bytes at which a secret may begin.
var starts = func() (t [256]bool) {
	for _, c := range []byte("0123456789eAbB-gxsG") {
		t[c] = true
	}
	return t
}()

// serviceKeys are prefixes of keys that say what they are, each with the least number of characters after it.
var serviceKeys = []struct {
	prefix string
	least  int
}{
	{"AKIA", 16},
	{"ASIA", 16},
	{"ABIA", 16},
	{"ACCA", 16},
	{"AIza", 30},
	{"ghp_", 30},
	{"gho_", 30},
	{"ghu_", 30},
	{"ghs_", 30},
	{"ghr_", 30},
	{"github_pat_", 30},
	{"glpat-", 16},
	{"xoxb-", 16},
	{"xoxp-", 16},
	{"xoxa-", 16},
	{"xoxs-", 16},
	{"sk_live_", 16},
	{"sk_test_", 16},
	{"sk-", 32},
}

// findSecrets gives the parts of s that are secrets by their form, in order. One pass, no regular expressions: it runs
// on every access record.
func findSecrets(s string, cards edge) []span {
	var found []span
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !starts[c] || (c != '-' && i > 0 && tokenByte(s[i-1]) && (class(c) != digit || class(s[i-1]) == digit)) {
			continue
		}
		var secret span
		next := i
		switch {
		case class(c) == digit:
			secret, next = findCard(s, i, cards)
		case c == 'e':
			secret = findJWT(s, i)
		case c == 'b' || c == 'B':
			secret = findCredentials(s, i)
		case c == '-':
			secret = findPrivateKey(s, i)
		}
		if secret.to == 0 && class(c) != digit && c != '-' {
			secret = findServiceKey(s, i)
		}
		if secret.to > 0 {
			found = append(found, secret)
			next = secret.to - 1
		}
		i = max(i, next)
	}
	return found
}

// tokenByte says whether c can stand inside of a token, so that no secret begins right after it.
func tokenByte(c byte) bool { return class(c) != other || c == '_' }

// findCard looks for a card number in the digits from i on: 13 to 19 of them, in groups that one space or hyphen parts, with
// an issuer's prefix and a valid check digit. Its second result is the end of the first group.
func findCard(s string, i int, e edge) (span, int) {
	var digits [20]byte
	n, at, group, best := 0, i, 0, span{}
	for at < len(s) && n < len(digits) {
		if class(s[at]) == digit {
			digits[n] = s[at] - '0'
			n++
			at++
			continue
		}
		if group == 0 {
			group = at
		}
		if n >= 13 && isCard(digits[:n]) {
			best = span{i, at}
		}
		if (s[at] != ' ' && s[at] != '-') || at+1 == len(s) || class(s[at+1]) != digit {
			break
		}
		at++
	}
	if at == len(s) && n <= 19 && n >= 13 && isCard(digits[:n]) {
		best = span{i, at}
	}
	if best.to > 0 && e == edgeStrict && (i > 0 && class(s[i-1]) != other || best.to < len(s) && class(s[best.to]) != other) {
		best = span{}
	}
	if group == 0 { // one group: step over all of its digits
		for at < len(s) && class(s[at]) == digit {
			at++
		}
		group = at
	}
	return best, group - 1
}

// isCard checks length and prefix against the issuers' ranges, and the check digit.
func isCard(d []byte) bool {
	n := len(d)
	first2 := int(d[0])*10 + int(d[1])
	first4 := first2*100 + int(d[2])*10 + int(d[3])
	switch {
	case d[0] == 4 && (n == 13 || n == 16 || n == 19):
	case (first2 >= 51 && first2 <= 55 || first4 >= 2221 && first4 <= 2720) && n == 16:
	case (first2 == 34 || first2 == 37) && n == 15:
	case (first2 == 36 || first2 == 38 || first4 >= 3000 && first4 <= 3059) && n == 14:
	case first4 >= 3528 && first4 <= 3589 && n >= 16:
	case (first2 == 50 || first2 >= 56 && first2 <= 69) && n <= 19:
	default:
		return false
	}
	sum := 0
	for i := range d {
		v := int(d[n-1-i])
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// run is the end of the bytes from i on that ok takes.
func run(s string, i int, ok func(byte) bool) int {
	for i < len(s) && ok(s[i]) {
		i++
	}
	return i
}

func base64URL(c byte) bool { return class(c) != other || c == '-' || c == '_' }

func token68(c byte) bool { return base64URL(c) || strings.IndexByte(".~+/=", c) >= 0 }

// findJWT looks for a signed or encrypted token: base64url of {" and dots.
func findJWT(s string, i int) span {
	if !strings.HasPrefix(s[i:], "eyJ") {
		return span{}
	}
	head := run(s, i, base64URL)
	if head-i < 8 || head == len(s) || s[head] != '.' {
		return span{}
	}
	end := run(s, head, func(c byte) bool { return base64URL(c) || c == '.' })
	if end-head < 5 {
		return span{}
	}
	return span{i, end}
}

// findCredentials looks for the value of an Authorization header: Bearer and a token, Basic and user:password.
func findCredentials(s string, i int) span {
	scheme := 6
	if len(s)-i < scheme || !strings.EqualFold(s[i:i+scheme], "bearer") {
		if scheme = 5; len(s)-i < scheme || !strings.EqualFold(s[i:i+scheme], "basic") {
			return span{}
		}
	}
	from := run(s, i+scheme, func(c byte) bool { return c == ' ' || c == '\t' || c == '+' || c == ':' })
	if from == i+scheme {
		return span{}
	}
	to := run(s, from, token68)
	value := s[from:to]
	if scheme == 5 {
		text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		if err != nil || !strings.Contains(string(text), ":") {
			return span{}
		}
		return span{from, to}
	}
	if len(value) < 8 || len(value) < 20 && !strings.ContainsAny(value, "0123456789") {
		return span{}
	}
	return span{from, to}
}

// findPrivateKey looks for a PEM block of a private key; without its end it reaches to the end of the text.
func findPrivateKey(s string, i int) span {
	const begin, end = "-----BEGIN ", "-----END "
	if !strings.HasPrefix(s[i:], begin) {
		return span{}
	}
	label, _, ok := strings.Cut(s[i+len(begin):min(len(s), i+len(begin)+64)], "-----")
	if !ok || !strings.Contains(label, "PRIVATE KEY") {
		return span{}
	}
	body := i + len(begin) + len(label) + 5
	at := strings.Index(s[body:], end)
	if at < 0 {
		return span{i, len(s)}
	}
	at += body + len(end)
	if close := strings.Index(s[at:], "-----"); close >= 0 {
		return span{i, at + close + 5}
	}
	return span{i, len(s)}
}

func findServiceKey(s string, i int) span {
	for _, k := range serviceKeys {
		if !strings.HasPrefix(s[i:], k.prefix) {
			continue
		}
		from := i + len(k.prefix)
		to := run(s, from, base64URL)
		if to-from < k.least {
			return span{}
		}
		if k.least == 16 && len(k.prefix) == 4 { // an AWS access key has exactly 16 capitals and digits
			caps := run(s, from, func(c byte) bool { return class(c) == upper || class(c) == digit })
			if caps-from != 16 || caps < len(s) && class(s[caps]) != other {
				return span{}
			}
			to = caps
		}
		return span{i, to}
	}
	return span{}
}

// hide gives what stands for a secret of n bytes.
func hide(n int) string { return "***(" + strconv.Itoa(n) + ")" }

// hideSpans replaces the parts of s.
func hideSpans(s string, parts []span) string {
	if len(parts) == 0 {
		return s
	}
	var b strings.Builder
	at := 0
	for _, p := range parts {
		b.WriteString(s[at:p.from])
		b.WriteString(hide(p.to - p.from))
		at = p.to
	}
	b.WriteString(s[at:])
	return b.String()
}
