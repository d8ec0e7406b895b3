package event

import "strings"

// secretWords are the words that make a parameter, cookie, header or JSON key secret. A name is split into words at
// everything that is no letter and where camelCase has a capital, so user[new_password], apiKey2 and
// json:user.password are on the list.
var secretWords = []string{
	"password", "passwd", "pwd", "pass", "passphrase", "passcode", "secret", "token", "jwt", "apikey", "key",
	"authorization", "auth", "bearer", "credential", "cred", "session", "sess", "sid", "csrf", "xsrf", "assertion",
	"signature", "sig", "ssn", "card", "pan", "cvv", "cvc", "csc", "iban", "pin", "otp", "totp", "mfa", "code",
}

// secretStems are secret wherever they stand in a word: newpassword, idtoken, PHPSESSID.
var secretStems = []string{
	"password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "credential", "sessionid",
	"sessid", "authorization", "creditcard", "cardnumber", "cardno", "authcode", "samlresponse", "samlrequest",
}

// secretHeaders are headers whose whole value is secret, besides those whose names hold a secret word.
var secretHeaders = []string{
	"authorization", "proxy-authorization", "cookie", "cookie2", "set-cookie", "set-cookie2", "x-api-key",
	"x-amz-security-token", "x-amzn-oidc-data", "x-amzn-oidc-accesstoken", "x-amzn-oidc-identity", "authentication-info",
}

// Masker replaces secrets by *** and their length in bytes: by the name that they stand under, and by their own form
// (card numbers, JWTs, cloud and service keys, bearer tokens, private keys). It is immutable.
type Masker struct {
	words   map[string]bool
	headers map[string]bool
	stems   []string
}

// NewMasker makes a Masker with the built-in names and the words given.
func NewMasker(words ...string) *Masker {
	m := &Masker{words: make(map[string]bool), headers: make(map[string]bool), stems: secretStems}
	for _, w := range secretWords {
		m.words[w] = true
	}
	for _, w := range words {
		m.words[strings.ToLower(w)] = true
	}
	for _, h := range secretHeaders {
		m.headers[h] = true
	}
	return m
}

// Secret says whether what stands under this name (of a parameter, a cookie, a JSON path) is masked.
func (m *Masker) Secret(name string) bool {
	for i := 0; i < len(name); {
		if class(name[i]) < lower {
			i++
			continue
		}
		end := i
		for end < len(name) && class(name[end]) >= lower {
			end++
		}
		if m.secretRun(name[i:end]) {
			return true
		}
		i = end
	}
	return false
}

// SecretHeader says whether the value of this header is masked.
func (m *Masker) SecretHeader(name string) bool {
	var tmp [64]byte
	b := appendLower(tmp[:0], name)
	for i, c := range b {
		if c == '_' {
			b[i] = '-'
		}
	}
	return m.headers[string(b)] || m.Secret(name)
}

// secretRun judges a run of letters: as a whole, by its stems, and by the words of its camelCase.
func (m *Masker) secretRun(run string) bool {
	var tmp [64]byte
	low := appendLower(tmp[:0], run)
	if m.word(low) {
		return true
	}
	for _, stem := range m.stems {
		if len(low) >= len(stem) && strings.Contains(string(low), stem) {
			return true
		}
	}
	start := 0
	for i := 1; i <= len(run); i++ {
		if i < len(run) {
			toUpper := class(run[i-1]) == lower && class(run[i]) == upper
			lastOfUpper := class(run[i-1]) == upper && class(run[i]) == upper && i+1 < len(run) && class(run[i+1]) == lower
			if !toUpper && !lastOfUpper {
				continue
			}
		}
		if (start > 0 || i < len(run)) && m.word(low[start:i]) {
			return true
		}
		start = i
	}
	return false
}

// word looks up a lower-case word, also without the s of a plural.
func (m *Masker) word(w []byte) bool {
	if m.words[string(w)] {
		return true
	}
	return len(w) > 3 && w[len(w)-1] == 's' && m.words[string(w[:len(w)-1])]
}

// The classes of a byte in a name.
const (
	other = iota
	digit
	lower
	upper
)

func class(c byte) int {
	switch {
	case c >= 'a' && c <= 'z':
		return lower
	case c >= 'A' && c <= 'Z':
		return upper
	case c >= '0' && c <= '9':
		return digit
	}
	return other
}

func appendLower(b []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if class(c) == upper {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}
