package vars

import (
	"net/url"
	"strings"

	"gatehouse/rules/body"
	"gatehouse/rules/program/byteset"
	"gatehouse/rules/program/variable"
)

// unescaped are the bytes that net/url leaves in a path as they are, and the percent sign.
var unescaped = byteset.Of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~!$&'()*+,/:;=@[]%")

// target fills what is made of the request target.
func (v *Vars) target(target string, limit int) {
	if i := strings.IndexByte(target, '#'); i >= 0 {
		target = target[:i]
	}
	uri := target
	path, query, ok := v.parsePlain(target)
	if !ok {
		if u, err := url.ParseRequestURI(target); err == nil {
			uri, path, query = u.String(), u.Path, u.RawQuery
		} else {
			v.Singles[variable.URIParseError] = "1"
			path, query, _ = strings.Cut(target, "?")
		}
	}
	v.Singles[variable.RequestURI] = uri
	v.Singles[variable.RequestFilename] = path
	v.Singles[variable.RequestBasename] = basename(path)
	v.Singles[variable.QueryString] = query
	v.arguments(query, limit)
}

// parsePlain is net/url for targets that it takes apart and puts together again without changing a byte. These are the
// absolute paths that hold nothing to be escaped, with any query without control characters: net/url keeps a path as it
// was written if all its bytes are allowed there, and never changes a query.
func (v *Vars) parsePlain(target string) (path, query string, ok bool) {
	if target == "" || target[0] != '/' {
		return "", "", false
	}
	path, query, _ = strings.Cut(target, "?")
	escapes := 0
	for i := 0; i < len(path); i++ {
		c := path[i]
		if !unescaped.Has(c) {
			return "", "", false
		}
		if c == '%' {
			if i+2 >= len(path) || fromHex[path[i+1]] < 0 || fromHex[path[i+2]] < 0 {
				return "", "", false
			}
			escapes++
		}
	}
	for i := 0; i < len(query); i++ {
		if c := query[i]; c < ' ' || c == 0x7f {
			return "", "", false
		}
	}
	if escapes > 0 {
		b := v.scratch.Room(len(path) - 2*escapes)
		for i := 0; i < len(path); i++ {
			c := path[i]
			if c == '%' {
				c = byte(fromHex[path[i+1]]<<4 | fromHex[path[i+2]])
				i += 2
			}
			b = append(b, c)
		}
		path = v.scratch.Keep(b)
	}
	return path, query, true
}

// basename is what follows the last slash or backslash, or the whole path if nothing does.
func basename(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' || path[i] == '\\' {
			if i+1 < len(path) {
				return path[i+1:]
			}
			break
		}
	}
	return path
}

// arguments adds the arguments of a query, up to limit.
func (v *Vars) arguments(query string, limit int) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		if len(v.Lists[variable.ArgsGet]) >= limit {
			v.Singles[variable.ArgumentsLimitReached] = "1"
			return
		}
		name, value, _ := strings.Cut(pair, "=")
		v.add(variable.ArgsGet, v.unescapeQuery(name), v.unescapeQuery(value))
	}
	v.overlongArguments(limit)
}

// overlongArguments adds the reading of lenient decoders for every argument that has one, as body does for forms: all of
// them or, where there is no room for all, none.
func (v *Vars) overlongArguments(limit int) {
	sent := v.Lists[variable.ArgsGet]
	for i := range sent {
		name, value := body.Shortest(sent[i].Key), body.Shortest(sent[i].Value)
		if len(name) == len(sent[i].Key) && len(value) == len(sent[i].Value) {
			continue
		}
		if len(v.Lists[variable.ArgsGet]) >= limit {
			clear(v.Lists[variable.ArgsGet][len(sent):])
			v.Lists[variable.ArgsGet] = sent
			v.Singles[variable.ArgumentsLimitReached] = "1"
			return
		}
		v.add(variable.ArgsGet, name, value)
	}
}

// unescapeQuery decodes a part of a query. A percent sign that begins no escape stands for itself.
func (v *Vars) unescapeQuery(s string) string {
	i := 0
	for ; ; i++ {
		if i == len(s) {
			return s
		}
		if s[i] == '%' || s[i] == '+' {
			break
		}
	}
	b := append(v.scratch.Room(len(s)), s[:i]...)
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s):
			if high, low := fromHex[s[i+1]], fromHex[s[i+2]]; high >= 0 && low >= 0 {
				c = byte(high<<4 | low)
				i += 2
			}
		}
		b = append(b, c)
	}
	return v.scratch.Keep(b)
}

// fromHex has the value of each hexadecimal digit, and -1 for other bytes.
var fromHex = func() (table [256]int16) {
	for i := range table {
		c := byte(i)
		switch {
		case '0' <= c && c <= '9':
			table[i] = int16(c - '0')
		case 'a' <= c && c <= 'f':
			table[i] = int16(c - 'a' + 10)
		case 'A' <= c && c <= 'F':
			table[i] = int16(c - 'A' + 10)
		default:
			table[i] = -1
		}
	}
	return table
}()
