package event

import (
	"strconv"
	"strings"
)

// maskInput bounds how much of one value is looked at: far more than any field shows.
const maskInput = 16 << 10

// maxNesting bounds URLs in the parameters of URLs.
const maxNesting = 3

// Text masks the secrets in s that show themselves by their form.
func (m *Masker) Text(s string) string { return (&pass{m: m}).text(s) }

// Query masks a query string or an urlencoded body: the values of secret names, and secrets by their form elsewhere.
// What is not masked stays byte for byte.
func (m *Masker) Query(q string) string {
	return clip(q, func(q string) string { return (&pass{m: m}).query(q, 0) })
}

// URL masks a request target or a URL: user information, parameters of path, query and fragment.
func (m *Masker) URL(u string) string {
	return clip(u, (&pass{m: m}).url)
}

// clip masks at most maskInput bytes of s. A secret that this cut goes through would not be recognised: so where masking
// has moved the cut into view, what stands before it goes too.
func clip(s string, mask func(string) string) string {
	if len(s) <= maskInput {
		return mask(s)
	}
	out := mask(s[:maskInput])
	if len(out) > maskInput/4 {
		return out
	}
	end := len(out)
	for end > 0 && (tokenByte(out[end-1]) || strings.IndexByte(" -.~+/=%", out[end-1]) >= 0) {
		end--
	}
	return out[:end] + cutMarker + strconv.Itoa(len(s)-maskInput) + ")"
}

// pass is one use of a Masker. If it collects, it remembers the secrets that it found.
type pass struct {
	m       *Masker
	collect bool
	secrets []string
	xml     *xmlSecrets // of the XML body, nil if it is not known
}

// hide gives what stands for the secret s.
func (p *pass) hide(s string) string {
	if p.collect && len(p.secrets) < 64 {
		p.secrets = append(p.secrets, s)
	}
	return hide(len(s))
}

func (p *pass) text(s string) string {
	return clip(s, func(s string) string {
		found := findSecrets(s, edgeLoose)
		for _, f := range found {
			p.hide(s[f.from:f.to])
		}
		return hideSpans(s, found)
	})
}

// query masks the pairs of q that & parts.
func (p *pass) query(q string, depth int) string {
	return p.pairs(q, "&", depth, func(name string) bool { return p.m.Secret(name) })
}

// pairs masks name=value pairs that any byte of separators parts.
func (p *pass) pairs(q, separators string, depth int, secret func(name string) bool) string {
	var b strings.Builder
	from := 0
	for at := 0; at < len(q); {
		end := strings.IndexAny(q[at:], separators)
		if end < 0 {
			end = len(q)
		} else {
			end += at
		}
		if pair := q[at:end]; pair != "" {
			if masked := p.pair(pair, depth, secret); masked != pair {
				b.WriteString(q[from:at])
				b.WriteString(masked)
				from = end
			}
		}
		at = end + 1
	}
	if from == 0 {
		return q
	}
	b.WriteString(q[from:])
	return b.String()
}

func (p *pass) pair(pair string, depth int, secret func(string) bool) string {
	name, value, ok := strings.Cut(pair, "=")
	if !ok {
		return p.component(pair, depth)
	}
	if value != "" && secret(decode(name, true)) {
		if p.collect {
			p.hide(decode(value, true))
		}
		return p.component(name, depth) + "=" + p.hide(value)
	}
	maskedName, maskedValue := p.component(name, depth), p.component(value, depth)
	if maskedName == name && maskedValue == value {
		return pair
	}
	return maskedName + "=" + maskedValue
}

// component masks an encoded name or value; where nothing is to be masked, its encoding stays as it is.
func (p *pass) component(s string, depth int) string {
	plain := decode(s, true)
	masked := p.value(plain, depth)
	switch {
	case masked == plain:
		return s
	case plain == s:
		return masked
	}
	return encode(masked)
}

// value masks a decoded value, which may be JSON, a URL or a query itself.
func (p *pass) value(s string, depth int) string {
	s = p.text(s)
	if depth >= maxNesting || s == "" {
		return s
	}
	if looksLikeJSON(s) {
		return p.assignments(s)
	}
	if strings.IndexByte(s, '=') < 0 {
		return s
	}
	// A name is plain here: words of a sentence or of an attack before an equals sign are not one.
	secret := func(name string) bool { return plainName(name) && p.m.Secret(name) }
	if head, query, ok := strings.Cut(s, "?"); ok {
		return head + "?" + p.pairs(query, "&;#", depth+1, secret)
	}
	return p.pairs(s, "&;#", depth+1, secret)
}

func looksLikeJSON(s string) bool {
	s = strings.TrimLeft(s, " \t\r\n")
	return s != "" && (s[0] == '{' || s[0] == '[')
}

func plainName(s string) bool {
	for i := range len(s) {
		if class(s[i]) == other && strings.IndexByte("_-.[]$:", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// url masks [scheme://[user@]host]path[?query][#fragment].
func (p *pass) url(u string) string {
	rest, fragment, hasFragment := strings.Cut(u, "#")
	head, query, hasQuery := strings.Cut(rest, "?")
	maskedHead, maskedQuery, maskedFragment := p.path(head), p.query(query, 0), p.query(fragment, 0)
	if maskedHead == head && maskedQuery == query && maskedFragment == fragment {
		return u
	}
	if hasQuery {
		maskedHead += "?" + maskedQuery
	}
	if hasFragment {
		maskedHead += "#" + maskedFragment
	}
	return maskedHead
}

// path masks what may stand before a query: user information, ;name=value, and secrets by their form in each segment.
func (p *pass) path(s string) string {
	if scheme := strings.Index(s, "://"); scheme >= 0 {
		authority := s[scheme+3:]
		if slash := strings.IndexByte(authority, '/'); slash >= 0 {
			authority = authority[:slash]
		}
		if at := strings.LastIndexByte(authority, '@'); at >= 0 {
			s = s[:scheme+3] + p.hide(authority[:at]) + s[scheme+3+at:]
		}
	}
	s = p.text(s)
	if strings.IndexByte(s, ';') < 0 && strings.IndexByte(s, '%') < 0 {
		return s
	}
	segments := strings.Split(s, "/")
	for i, segment := range segments {
		name, parameters, ok := strings.Cut(segment, ";")
		if plain := decode(name, false); plain != name {
			if masked := p.text(plain); masked != plain {
				name = encode(masked)
			}
		}
		if ok {
			name += ";" + p.pairs(parameters, ";", 0, p.m.Secret)
		}
		segments[i] = name
	}
	return strings.Join(segments, "/")
}

// decode undoes percent-encoding; what is no valid escape stays.
func decode(s string, plus bool) string {
	if strings.IndexByte(s, '%') < 0 && (!plus || strings.IndexByte(s, '+') < 0) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		case c == '+' && plus:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// encode percent-encodes what would change the meaning of a component.
func encode(s string) string {
	b := make([]byte, 0, len(s)+16)
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`%&+#"<>`, c) >= 0 {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
			continue
		}
		b = append(b, c)
	}
	return string(b)
}
