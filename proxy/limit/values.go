package limit

import (
	"net/textproto"
	"strings"

	"gatehouse/proxy/route"
	"gatehouse/rules/body"
	"gatehouse/rules/policy"
)

// MaxBody is how much of a body is looked at, in bytes, decoded. A longer one has no values: what stands behind the
// first part could be what the upstream takes.
const MaxBody = 64 << 10

// The bounds of what is parsed, as for rules: beyond them a request has no values.
const (
	maxArguments = 1000
	maxDepth     = 128
)

// values finds the values of one request. Bodies and queries are parsed as they are for rules, once, when the first
// value is asked for.
type values struct {
	request *Request
	query   *arguments
	form    *arguments
	json    *arguments
	parsed  bool // form and json are known
}

// arguments are the arguments of a query or body.
type arguments []body.Argument

// value gives the one value that p names, normalised; the empty string if there is none, or if it is not certain which one
// the upstream takes.
func (v *values) value(p part) string {
	switch p.kind {
	case policy.KindHeader:
		if p.name == "Host" {
			return normal(v.request.Host)
		}
		return single(v.request.Header[p.name])
	case policy.KindCookie:
		return cookie(v.request.Header["Cookie"], p.name)
	case policy.KindQuery:
		if v.query == nil {
			v.query = parse(body.URLEncoded, "", strings.TrimPrefix(v.request.RawQuery, "?"))
		}
		return v.query.value(p.name, "")
	case policy.KindForm:
		v.readBody()
		return v.form.value(p.name, "")
	case policy.KindJSON:
		v.readBody()
		return v.json.value(p.name, ".")
	}
	return ""
}

// readBody parses the body.
func (v *values) readBody() {
	if v.parsed {
		return
	}
	v.parsed = true
	v.form, v.json = &arguments{}, &arguments{}
	if v.request.Body == nil {
		return
	}
	kind, data := v.request.Body()
	if len(data) > MaxBody {
		return
	}
	switch kind {
	case "form":
		v.form = parse(body.URLEncoded, "", string(data))
	case "multipart":
		if types := v.request.Header["Content-Type"]; len(types) == 1 {
			v.form = parse(body.Multipart, types[0], string(data))
		}
	case "json":
		v.json = parse(body.JSON, "", string(data))
	case "ndjson":
		v.json = parse(body.NDJSON, "", string(data))
	}
}

// parse gives the arguments of a text, none if it has more of them than are looked at or parsers may read it differently.
func parse(processor, contentType, text string) *arguments {
	p, err := body.Parse(processor, strings.NewReader(text), body.Options{ContentType: contentType, Arguments: maxArguments, JSONDepth: maxDepth})
	if err != nil || p.Problem != nil || p.Cut || p.Strict.Any {
		return &arguments{}
	}
	return (*arguments)(&p.Arguments)
}

// value gives the value of the one argument of a name. Names are compared without regard to case: two that differ in
// case alone may be one to the upstream. separator, if any, stands between a name and its members: an argument that has
// members is the length of an array or an object, and has no value.
func (a *arguments) value(name, separator string) string {
	found := ""
	count := 0
	for _, x := range *a {
		switch {
		case strings.EqualFold(x.Name, name):
			found = x.Value
			count++
		case separator != "" && len(x.Name) > len(name) && x.Name[len(name):len(name)+1] == separator && strings.EqualFold(x.Name[:len(name)], name):
			return ""
		}
	}
	if count != 1 {
		return ""
	}
	return normal(found)
}

// single gives the one value of a header.
func single(fields []string) string {
	if len(fields) != 1 {
		return ""
	}
	return normal(fields[0])
}

// cookie gives the one value of a cookie (RFC 6265, section 4.2). Escapes and quotes, which some servers take away, make no
// difference.
func cookie(fields []string, name string) string {
	found := ""
	count := 0
	for _, f := range fields {
		for pair := range strings.SplitSeq(f, ";") {
			n, value, _ := strings.Cut(pair, "=")
			if !strings.EqualFold(route.Decode(textproto.TrimString(n)), name) {
				continue
			}
			value = textproto.TrimString(value)
			if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			found = route.Decode(value)
			count++
		}
	}
	if count != 1 {
		return ""
	}
	return normal(found)
}

// normal is the form in which values are compared.
func normal(value string) string { return strings.ToLower(strings.TrimSpace(value)) }
