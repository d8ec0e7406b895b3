package vars

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/rules"
	"gatehouse/rules/body"
	"gatehouse/rules/media"
	"gatehouse/rules/program/variable"
)

// defaultArguments is how many arguments are taken where the limits do not say.
const defaultArguments = 1000

// Request fills what phase 1 sees, and forgets any request before. detect says that the rules themselves are to know
// of mode detect, and run on after a match that refuses the request.
func (v *Vars) Request(r *rules.Request, limits rules.Limits, detect bool) {
	if !v.fresh {
		v.Reset()
	}
	v.fresh = false
	v.Singles[variable.UniqueID] = r.ID
	if r.ID == "" {
		v.Singles[variable.UniqueID] = "-"
	}
	v.connection(r)
	v.line(r)
	arguments := limits.Arguments
	if arguments <= 0 {
		arguments = defaultArguments
	}
	v.target(r.Target, arguments)
	kind := v.headers(r.Headers)
	v.clock.fill(v, r.Time)

	v.set("gatehouse_detect", zeroOrOne(detect))
	v.set("gatehouse_host", r.Host)
	v.set("gatehouse_path", r.Path)
	v.set("gatehouse_application", r.Application)
	v.set("gatehouse_route", r.Route)
	v.set("gatehouse_traffic", r.Traffic)
	v.set("gatehouse_kind", kind)
	v.set("gatehouse_now", v.Singles[variable.TimeEpoch])
}

func zeroOrOne(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func (v *Vars) connection(r *rules.Request) {
	v.Singles[variable.RemoteAddr] = v.address(r.Client)
	v.Singles[variable.RemotePort] = v.number(int64(r.Client.Port()))
	v.Singles[variable.ServerAddr] = v.address(r.Server)
	v.Singles[variable.ServerPort] = v.number(int64(r.Server.Port()))
}

// address is the IP address: of IPv4 in IPv6 the former, and without a zone, which is this host's.
func (v *Vars) address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	return v.scratch.Keep(a.Addr().Unmap().WithZone("").AppendTo(v.scratch.Room(longest)))
}

// number is n in decimal.
func (v *Vars) number(n int64) string {
	if 0 <= n && n < 100 {
		return strconv.Itoa(int(n)) // a constant
	}
	return v.scratch.Keep(strconv.AppendInt(v.scratch.Room(len("-9223372036854775808")), n, 10))
}

func (v *Vars) line(r *rules.Request) {
	v.Singles[variable.RequestMethod] = r.Method
	v.Singles[variable.RequestProtocol] = r.Protocol
	v.Singles[variable.RequestURIRaw] = r.Target
	b := v.scratch.Room(len(r.Method) + len(r.Target) + len(r.Protocol) + len("  "))
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, ' ')
	b = append(b, r.Protocol...)
	v.Singles[variable.RequestLine] = v.scratch.Keep(b)
}

// headers fills what is made of the header fields, and answers the kind of the body that they announce.
func (v *Vars) headers(headers []rules.Header) (kind string) {
	types := 0
	var contentType string
	for i := range headers {
		h := &headers[i]
		if h.Name == "" {
			continue
		}
		name := v.lower(h.Name)
		v.Lists[variable.RequestHeaders] = append(v.Lists[variable.RequestHeaders], Entry{Key: h.Name, Lower: name, Value: h.Value})
		switch name {
		case "content-type":
			if types++; types == 1 {
				contentType = h.Value
				v.Singles[variable.ReqbodyProcessor] = processorOf(h.Value)
			}
		case "cookie":
			v.cookies(h.Value)
		case "host":
			v.Singles[variable.ServerName] = serverName(h.Value)
		case "ho\u017ft": // is Host to strings.EqualFold
			v.Singles[variable.ServerName] = serverName(h.Value)
		}
	}
	switch types {
	case 0:
		return media.None.String()
	case 1:
		return kindOf(contentType)
	}
	return media.Unknown.String() // more than one cannot be read in exactly one way
}

// kindOf is the kind of body that a Content-Type announces. The values that are sent most are not parsed.
func kindOf(contentType string) string {
	switch contentType {
	case "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8", "application/x-www-form-urlencoded;charset=UTF-8":
		return media.Form.String()
	case "application/json", "application/json; charset=utf-8", "application/json; charset=UTF-8", "application/json;charset=utf-8", "application/json;charset=UTF-8":
		return media.JSON.String()
	case "text/plain;charset=UTF-8":
		return media.Text.String()
	}
	kind, _ := media.ParseContentType([]string{contentType})
	return kind.String()
}

// processorOf is the body processor that a Content-Type selects without any rule.
func processorOf(contentType string) string {
	for i := 0; i < len(contentType); i++ {
		if contentType[i] >= utf8.RuneSelf {
			contentType = strings.ToLower(contentType)
			break
		}
	}
	contentType = strings.TrimSpace(contentType)
	switch {
	case hasPrefixFold(contentType, "application/x-www-form-urlencoded"):
		return body.URLEncoded
	case hasPrefixFold(contentType, "multipart/form-data"):
		return body.Multipart
	}
	return ""
}

// hasPrefixFold says whether s begins with prefix, which is in lower case, in any case of ASCII.
func hasPrefixFold(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := 0; i < len(prefix); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

// serverName is the host of a Host header without the port.
func serverName(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}

// cookies adds the cookies of a header. Any byte may stand in names and values; white space and control characters
// around them are no part of them. A cookie that has neither a name nor a value is none.
func (v *Vars) cookies(header string) {
	for header != "" {
		var pair string
		pair, header, _ = strings.Cut(header, ";")
		name, value, _ := strings.Cut(pair, "=")
		name, value = trim(name), trim(value)
		if name != "" || value != "" {
			v.add(variable.RequestCookies, name, value)
		}
	}
}

// trim cuts spaces and ASCII control characters off both ends.
func trim(s string) string {
	for s != "" && (s[0] <= ' ' || s[0] == 0x7f) {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] <= ' ' || s[len(s)-1] == 0x7f) {
		s = s[:len(s)-1]
	}
	return s
}
