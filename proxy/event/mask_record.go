package event

import (
	"cmp"
	"slices"
	"strings"

	"gatehouse/rules"
)

// Access gives a with its secrets masked. It keeps nothing of a's and changes nothing in it.
func (m *Masker) Access(a Access) Access {
	a.RequestID = identifier(a.RequestID)
	a.TraceParent = identifier(a.TraceParent)
	a.AmznTraceID = identifier(a.AmznTraceID)
	a.Method = m.Text(a.Method)
	a.Host = m.Text(a.Host)
	a.Path = m.URL(a.Path)
	a.Protocol = m.Text(a.Protocol)
	a.UserAgent = m.Text(a.UserAgent)
	a.Referer = m.URL(a.Referer)
	return a
}

// identifier masks secrets by their form, but takes no digits between letters for a card number.
func identifier(s string) string {
	return clip(s, func(s string) string { return hideSpans(s, findSecrets(s, edgeStrict)) })
}

// Event gives a copy of e with its secrets masked. What a rule matched is shown unless it stands under a secret name or
// is a secret by its form. e is not changed.
func (m *Masker) Event(e *Event) *Event {
	p := &pass{m: m, collect: true, xml: m.secretsOf(e.XML)}
	out := *e
	out.XML = nil
	out.RequestID = identifier(e.RequestID)
	out.Method = p.text(e.Method)
	out.Host = p.text(e.Host)
	out.Path = clip(e.Path, p.url)
	out.Query = clip(e.Query, func(q string) string { return p.query(q, 0) })
	out.Protocol = p.text(e.Protocol)
	out.ContentType = p.text(e.ContentType)
	out.UserAgent = p.text(e.UserAgent)
	out.Detail = p.text(e.Detail)

	out.Rules = slices.Clone(e.Rules)
	listed := make([]bool, len(e.Rules))
	for i := range out.Rules {
		r := &out.Rules[i]
		r.Targets = slices.Clone(r.Targets)
		for j := range r.Targets {
			if p.target(&r.Targets[j]) == underSecret {
				listed[i] = true
			}
		}
		listed[i] = listed[i] || p.namesSecret(r.Data) || p.xml.holds() && unplaced(r.Targets)
	}
	p.collectXML(e.XML)
	// What rules derive from values (captures, macros in messages) carries no name: it is compared with the secrets
	// that the first round has found.
	slices.SortFunc(p.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	p.collect = false
	out.Detail = p.derived(out.Detail)
	for i := range out.Rules {
		r := &out.Rules[i]
		r.Message = p.derived(p.text(r.Message))
		if listed[i] && r.Rule <= lastOwnRule {
			r.Message = p.words(r.Message)
		}
		switch {
		case r.Data == "":
		case listed[i]:
			r.Data = hide(len(r.Data))
		default:
			r.Data = p.derived(p.text(r.Data))
		}
		for j := range r.Targets {
			t := &r.Targets[j]
			switch kindOf(t.Variable) {
			case derivedValue:
			case xmlValue:
				t.Value = p.derived(t.Value)
				continue
			default:
				continue
			}
			if p.xml.holds() && len(t.Value) < 4 && !p.xml.secret[t.Value] { // a score, a count
				continue
			}
			if listed[i] && t.Value != "" && !masked(t.Value) {
				t.Value = hide(len(t.Value))
				continue
			}
			t.Value = p.derived(t.Value)
		}
	}
	return &out
}

// finding says what masking a target has shown.
type finding int

const (
	plain       finding = iota
	underSecret         // it stands under a secret name, or is a text that holds one
)

// target masks the value of t, and secrets by their form in its names.
func (p *pass) target(t *rules.MatchedTarget) finding {
	_, key, _ := strings.Cut(t.Variable, ":")
	_, name, _ := strings.Cut(t.Target, ":")
	kind := kindOf(t.Variable)
	switch {
	case t.Variable != "":
	case strings.HasPrefix(t.Target, "header:"):
		kind, key = headerValue, name
	case strings.HasPrefix(t.Target, "xml:"):
		kind = xmlValue
	}
	value := t.Value
	secret := p.m.Secret(key) || p.m.Secret(name)
	switch kind {
	case nameValue:
		secret = secret && !strings.EqualFold(value, key) && !strings.EqualFold(value, name)
		t.Value = p.text(value)
	case headerValue:
		secret = p.m.SecretHeader(key) || p.m.SecretHeader(name)
		t.Value = clip(value, p.header(key))
	case urlValue:
		t.Value = clip(value, p.url)
	case queryValue:
		t.Value = clip(value, func(s string) string { return p.query(s, 0) })
	case bodyValue:
		t.Value = p.body(value)
		secret = secret || p.xml.holds() // the whole of it
	case xmlValue:
		t.Value = clip(value, p.xmlText)
		secret = secret || !p.xml.shows(value) || strings.HasPrefix(strings.ToUpper(t.Variable), "RESPONSE_")
	default:
		t.Value = clip(value, func(s string) string { return p.value(s, 0) })
	}
	found := plain
	if t.Value != value && kind != nameValue {
		found = underSecret
	}
	if secret && value != "" {
		t.Value, found = p.hide(value), underSecret
	}
	t.Variable, t.Target = p.text(t.Variable), p.text(t.Target)
	return found
}

// header gives how the value of a header that is not secret as a whole is masked.
func (p *pass) header(name string) func(string) string {
	switch strings.ToLower(name) {
	case "referer", "location", "content-location", "origin", "refresh", "link":
		return p.url
	}
	return func(s string) string { return p.value(s, 0) }
}

// namesSecret says whether a rule's data speaks of a value under a secret name, as in "found within ARGS:password: ...".
func (p *pass) namesSecret(data string) bool {
	const within = "found within "
	for {
		_, rest, ok := strings.Cut(data, within)
		if !ok {
			return false
		}
		variable, _, _ := strings.Cut(rest, " ")
		variable = strings.TrimSuffix(variable, ":")
		_, key, _ := strings.Cut(variable, ":")
		if kindOf(variable) == headerValue && p.m.SecretHeader(key) || p.m.Secret(key) {
			return true
		}
		data = rest
	}
}

// derived masks the known secrets in s, and s itself if it is a part of one. Secrets of less than four bytes are left:
// they would be found everywhere.
func (p *pass) derived(s string) string {
	for _, secret := range p.secrets {
		if len(secret) < 4 || len(s) < 4 {
			continue
		}
		low := strings.ToLower(secret)
		if !masked(s) && (strings.Contains(secret, s) || strings.Contains(low, strings.ToLower(s))) {
			return hide(len(s))
		}
		s = strings.ReplaceAll(s, secret, hide(len(secret)))
		s = strings.ReplaceAll(s, low, hide(len(low)))
	}
	return s
}

// lastOwnRule is the last id of operators' own rules, whose messages may show what they matched.
const lastOwnRule = 99_999

// words masks those words of a message that are part of a secret.
func (p *pass) words(s string) string {
	fields := strings.Split(s, " ")
	for i, f := range fields {
		if len(f) >= 3 && slices.ContainsFunc(p.secrets, func(secret string) bool {
			return strings.Contains(strings.ToLower(secret), strings.ToLower(f))
		}) {
			fields[i] = hide(len(f))
		}
	}
	return strings.Join(fields, " ")
}

func masked(s string) bool { return strings.HasPrefix(s, "***(") }

// valueKind is what the value of a SecLang variable is.
type valueKind int

const (
	namedValue   valueKind = iota // an argument, a cookie, a file: its name decides
	nameValue                     // the name of one
	headerValue                   // a header
	urlValue                      // a request target
	queryValue                    // a query
	bodyValue                     // a whole body
	xmlValue                      // a text or attribute of an XML body
	derivedValue                  // made by rules
)

func kindOf(variable string) valueKind {
	base, _, _ := strings.Cut(variable, ":")
	switch base = strings.ToUpper(base); base {
	case "REQUEST_HEADERS", "RESPONSE_HEADERS", "MULTIPART_PART_HEADERS":
		return headerValue
	case "REQUEST_URI", "REQUEST_URI_RAW", "REQUEST_LINE", "REQUEST_FILENAME", "REQUEST_BASENAME", "PATH_INFO":
		return urlValue
	case "QUERY_STRING":
		return queryValue
	case "REQUEST_BODY", "RESPONSE_BODY", "FULL_REQUEST":
		return bodyValue
	case "TX", "MATCHED_VAR", "MATCHED_VARS", "RULE", "ENV", "GLOBAL", "IP", "SESSION", "USER", "UNIQUE_ID":
		return derivedValue
	}
	if base == "XML" || base == "REQUEST_XML" || base == "RESPONSE_XML" {
		return xmlValue
	}
	if strings.HasSuffix(base, "_NAMES") || base == "MATCHED_VAR_NAME" {
		return nameValue
	}
	return namedValue
}
