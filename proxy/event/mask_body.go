package event

import "strings"

// body masks a raw body, request or reply of any kind.
func (p *pass) body(s string) string {
	return clip(s, func(s string) string {
		if t := strings.TrimLeft(s, " \t\r\n"); t != "" && strings.IndexByte("{[<-", t[0]) < 0 {
			s = p.query(s, 0)
		}
		return p.text(p.assignments(s))
	})
}

// assignments masks what follows a secret name in any of the usual notations: "name": "value", name=value,
// <name>value</name>, Name: value, and the parts of multipart forms. It needs no well-formed text and rather masks too
// much than too little.
func (p *pass) assignments(s string) string {
	var b strings.Builder
	from := 0
	for i := 0; i < len(s); {
		if !nameByte(s[i]) {
			i++
			continue
		}
		end := run(s, i, nameByte)
		name := s[i:end]
		if !p.m.SecretHeader(strings.TrimRight(name, "-.")) {
			i = end
			continue
		}
		value := assigned(s, i, end)
		if value.to > value.from && !strings.HasPrefix(s[value.from:], "***(") {
			b.WriteString(s[from:value.from])
			b.WriteString(p.hide(s[value.from:value.to]))
			from = value.to
		}
		i = max(end, value.to)
	}
	b.WriteString(s[from:])
	return b.String()
}

func nameByte(c byte) bool { return tokenByte(c) || c == '-' || c == '.' || c == '[' || c == ']' }

// assigned finds the value of the name s[i:end]; an empty span if none is assigned.
func assigned(s string, i, end int) span {
	if element(s, i) {
		open := strings.IndexByte(s[end:], '>')
		if open < 0 {
			return span{}
		}
		from := end + open + 1
		if strings.HasPrefix(s[from:], "<![CDATA[") {
			return until(s, from+len("<![CDATA["), "]]>")
		}
		return until(s, from, "<")
	}
	if strings.HasSuffix(s[:i], `name="`) && strings.Contains(s[:i], "form-data") {
		blank := strings.Index(s[end:], "\r\n\r\n")
		if blank < 0 {
			return span{}
		}
		return until(s, end+blank+4, "\r\n--")
	}
	at := run(s, end, func(c byte) bool { return c == '\\' || c == '"' || c == '\'' })
	at = run(s, at, isSpace)
	if at == len(s) || s[at] != ':' && s[at] != '=' {
		return span{}
	}
	separator := s[at]
	at = run(s, at+1, isSpace)
	escapes := at
	at = run(s, at, func(c byte) bool { return c == '\\' }) // JSON inside of JSON
	if at == len(s) {
		return span{}
	}
	switch c := s[at]; {
	case c == '"' || c == '\'':
		return quoted(s, at+1, c, at-escapes)
	case c == '{' || c == '[': // everything below a secret name, and what follows: no telling where it ends
		return span{at, len(s)}
	case separator == ':':
		return untilAny(s, at, "\r\n,}]&\"<")
	}
	return untilAny(s, at, "&;,\"'<>)}] \t\r\n")
}

// element says whether the name at i is that of an XML start tag, with or without a prefix.
func element(s string, i int) bool {
	if i > 0 && s[i-1] == ':' {
		i--
		for i > 0 && nameByte(s[i-1]) {
			i--
		}
	}
	return i > 0 && s[i-1] == '<'
}

// quoted is the span from i to the closing quote, which is escaped as the opening one was.
func quoted(s string, i int, quote byte, escapes int) span {
	for at := i; at < len(s); at++ {
		if s[at] == '\\' && escapes == 0 {
			at++
			continue
		}
		if s[at] == quote {
			return span{i, at - min(escapes, at-i)}
		}
	}
	return span{i, len(s)}
}

func until(s string, from int, end string) span {
	if n := strings.Index(s[from:], end); n >= 0 {
		return span{from, from + n}
	}
	return span{from, len(s)}
}

func untilAny(s string, from int, ends string) span {
	if n := strings.IndexAny(s[from:], ends); n >= 0 {
		return span{from, from + n}
	}
	return span{from, len(s)}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
