package curl

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// userAgent is what a request without -A says, as curl would.
const userAgent = "curl/8.5.0"

// Options are what a command line may use of the world.
type Options struct {
	// ReadFile reads the files that @ names; nil refuses them.
	ReadFile func(name string) ([]byte, error)
	// Boundary separates the parts of a form; empty is a random one.
	Boundary string
}

// Request is what curl would send.
type Request struct {
	Raw  []byte // HTTP/1.1 as on the wire
	Host string
}

// Parse gives the request of a command line. The word curl at its beginning may be missing.
func Parse(line string, opts Options) (*Request, error) {
	words, err := Split(strings.TrimSpace(line))
	if err != nil {
		return nil, err
	}
	if len(words) > 0 && words[0] == "$" { // the prompt was pasted too
		words = words[1:]
	}
	if len(words) > 0 && (path.Base(words[0]) == "curl" || words[0] == "curl.exe") {
		words = words[1:]
	}
	c := &command{opts: opts, protocol: "HTTP/1.1"}
	if err := c.parse(words); err != nil {
		return nil, err
	}
	return c.request()
}

// field is a header field or a part of a form.
type field struct {
	name, value string
	removed     bool
}

// command is a command line in the making.
type command struct {
	opts                           Options
	method, url, target, protocol  string
	headers                        []field
	user, agent                    *string
	bearer, referer, rang          string
	cookies, data, query           []string
	parts                          []part
	hasData, json, get, head, asIs bool
}

// request makes the request of what was parsed.
func (c *command) request() (*Request, error) {
	if c.url == "" {
		return nil, errors.New("the curl command line names no URL")
	}
	host, target, userinfo, err := splitURL(c.url, c.asIs)
	if err != nil {
		return nil, err
	}
	if c.hasData && len(c.parts) > 0 {
		return nil, errors.New("curl takes -d or -F, not both")
	}
	if userinfo != "" && c.user == nil {
		c.user = &userinfo
	}
	data := strings.Join(c.data, "&")
	if c.json {
		data = strings.Join(c.data, "")
	}
	query := c.query
	if c.get && c.hasData {
		query, data, c.hasData = append(query, data), "", false
	}
	if q := strings.Join(query, "&"); q != "" {
		sep := "?"
		if strings.Contains(target, "?") {
			sep = "&"
		}
		target += sep + q
	}
	if c.target != "" {
		target = c.target
	}
	body, contentType := []byte(data), ""
	switch {
	case len(c.parts) > 0:
		body, contentType = c.multipart()
	case c.json:
		contentType = "application/json"
	case c.hasData:
		contentType = "application/x-www-form-urlencoded"
	}
	if sent, ok := c.header("Host"); ok && sent != "" {
		host = sent
	}
	return &Request{Raw: c.wire(host, target, contentType, body), Host: host}, nil
}

// wire writes the request in the order in which curl does.
func (c *command) wire(host, target, contentType string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\n", c.verb(), target, c.protocol)
	own := func(name, value string) { // a default that -H replaces or removes
		if _, set := c.header(name); !set && value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	fmt.Fprintf(&b, "Host: %s\r\n", host)
	switch {
	case c.bearer != "":
		own("Authorization", "Bearer "+c.bearer)
	case c.user != nil:
		own("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(*c.user)))
	}
	agent := userAgent
	if c.agent != nil {
		agent = *c.agent
	}
	if c.rang != "" {
		own("Range", "bytes="+c.rang)
	}
	own("User-Agent", agent)
	own("Referer", c.referer)
	if c.json {
		own("Accept", "application/json")
	} else {
		own("Accept", "*/*")
	}
	own("Cookie", strings.Join(c.cookies, "; "))
	for _, h := range c.headers {
		if !h.removed && !strings.EqualFold(h.name, "Host") {
			fmt.Fprintf(&b, "%s: %s\r\n", h.name, h.value)
		}
	}
	if c.hasData || len(c.parts) > 0 {
		own("Content-Length", strconv.Itoa(len(body)))
		own("Content-Type", contentType)
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

func (c *command) verb() string {
	switch {
	case c.method != "":
		return c.method
	case c.head:
		return "HEAD"
	case c.hasData || len(c.parts) > 0:
		return "POST"
	}
	return "GET"
}

func (c *command) addURL(u string) error {
	if c.url != "" {
		return fmt.Errorf("the curl command line has two URLs, %q and %q: give one (a URL with & in it needs quotes)", c.url, u)
	}
	c.url = u
	return nil
}

// addHeader takes Name: value; Name: removes a default, Name; sends an empty value.
func (c *command) addHeader(s string) error {
	if strings.HasPrefix(s, "@") {
		return fmt.Errorf("-H %s: headers in a file are not read here; write them in the command line", s)
	}
	name, value, found := strings.Cut(s, ":")
	switch {
	case found:
		value = strings.Trim(value, " \t\r\n")
		c.headers = append(c.headers, field{name: strings.TrimSpace(name), value: value, removed: value == ""})
	case strings.HasSuffix(s, ";"):
		c.headers = append(c.headers, field{name: strings.TrimSpace(strings.TrimSuffix(s, ";"))})
	default:
		return fmt.Errorf("-H %q is not a header; write 'Name: value'", s)
	}
	return nil
}

func (c *command) addCookie(s string) error {
	if !strings.Contains(s, "=") {
		return fmt.Errorf("-b %s: a cookie file is not read here; write -b 'name=value'", s)
	}
	c.cookies = append(c.cookies, s)
	return nil
}

// splitURL gives the host, the request target and the user of a URL. curl resolves dot segments unless it is told not
// to; everything else stays byte for byte.
func splitURL(u string, asIs bool) (host, target, user string, err error) {
	if strings.ContainsFunc(u, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", "", "", fmt.Errorf("curl would refuse %q: a space in a URL is written %%20", u)
	}
	rest := u
	if scheme, after, found := strings.Cut(u, "://"); found {
		if s := strings.ToLower(scheme); s != "http" && s != "https" {
			return "", "", "", fmt.Errorf("%q is not an http or https URL", u)
		}
		rest = after
	}
	host, target = rest, "/"
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, target = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		user, host = host[:i], host[i+1:]
		if plain, err := url.PathUnescape(user); err == nil {
			user = plain
		}
	}
	if host == "" {
		return "", "", "", fmt.Errorf("%q has no host", u)
	}
	target, _, _ = strings.Cut(target, "#")
	path, query, hasQuery := strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if !asIs {
		path = removeDots(path)
	}
	if hasQuery {
		path += "?" + query
	}
	return host, path, user, nil
}

// removeDots resolves dot segments (RFC 3986, section 5.2.4).
func removeDots(p string) string {
	segments := strings.Split(p[1:], "/")
	var out []string
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".", "..":
			if s == ".." && len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

func (c *command) boundary() string {
	if c.opts.Boundary != "" {
		return c.opts.Boundary
	}
	b := make([]byte, 11)
	_, _ = rand.Read(b) // never fails
	return "------------------------" + hex.EncodeToString(b)
}
