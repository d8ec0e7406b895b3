package curl

import (
	"fmt"
	"slices"
	"strings"
)

// option is one of curl's options.
type option struct {
	// takes says that a value follows.
	takes bool
	// apply changes the request; nil for an option without bearing on it.
	apply func(c *command, value string) error
}

// flag is an option without a value.
func flag(apply func(c *command)) option {
	return option{apply: func(c *command, _ string) error { apply(c); return nil }}
}

// value is an option that sets something.
func value(apply func(c *command, v string)) option {
	return option{takes: true, apply: func(c *command, v string) error { apply(c, v); return nil }}
}

// shorts are the long names of the options of one letter.
var shorts = map[byte]string{
	'X': "request", 'H': "header", 'd': "data", 'F': "form", 'u': "user", 'A': "user-agent", 'b': "cookie", 'e': "referer",
	'G': "get", 'I': "head", 'k': "insecure", 's': "silent", 'S': "show-error", 'i': "include", 'v': "verbose", 'L': "location",
	'f': "fail", 'g': "globoff", 'N': "no-buffer", 'n': "netrc", 'o': "output", 'O': "remote-name", 'w': "write-out",
	'm': "max-time", 'x': "proxy", 'c': "cookie-jar", 'D': "dump-header", 'E': "cert", '0': "http1.0", '4': "ipv4", '6': "ipv6",
	'#': "progress-bar", 'J': "remote-header-name", 'j': "junk-session-cookies", 'q': "disable", 'r': "range", 'z': "time-cond", 'T': "upload-file", 'K': "config",
	'Z': "parallel", 'y': "speed-time", 'Y': "speed-limit", 'C': "continue-at",
}

// ignored are options without bearing on the request, those with a value apart.
var (
	ignored = strings.Fields("insecure silent show-error include verbose location location-trusted compressed fail fail-with-body " +
		"globoff no-buffer progress-bar no-progress-meter ipv4 ipv6 http1.1 http2 http2-prior-knowledge http3 tcp-nodelay " +
		"remote-name remote-header-name create-dirs ssl-reqd tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 no-keepalive junk-session-cookies " +
		"disable parallel post301 post302 post303 no-alpn no-sessionid styled-output no-styled-output")
	ignoredValues = strings.Fields("output write-out max-time connect-timeout retry retry-delay retry-max-time proxy proxy-user noproxy " +
		"cookie-jar dump-header resolve connect-to cacert capath cert cert-type key key-type pass ciphers interface limit-rate " +
		"max-redirs keepalive-time stderr trace trace-ascii dns-servers local-port tls-max speed-time speed-limit unix-socket max-filesize")
)

// options are those that shape the request, by their long name.
func options() map[string]option {
	return map[string]option{
		"request":        value(func(c *command, v string) { c.method = v }),
		"url":            {takes: true, apply: (*command).addURL},
		"header":         {takes: true, apply: (*command).addHeader},
		"user":           value(func(c *command, v string) { c.user = &v }),
		"oauth2-bearer":  value(func(c *command, v string) { c.bearer = v }),
		"user-agent":     value(func(c *command, v string) { c.agent = &v }),
		"referer":        value(func(c *command, v string) { v, _, _ = strings.Cut(v, ";auto"); c.referer = v }),
		"cookie":         {takes: true, apply: (*command).addCookie},
		"range":          value(func(c *command, v string) { c.rang = v }),
		"get":            flag(func(c *command) { c.get = true }),
		"head":           flag(func(c *command) { c.head = true }),
		"http1.0":        flag(func(c *command) { c.protocol = "HTTP/1.0" }),
		"path-as-is":     flag(func(c *command) { c.asIs = true }),
		"request-target": value(func(c *command, v string) { c.target = v }),
		"data":           {takes: true, apply: func(c *command, v string) error { return c.addData(v, strippedFile) }},
		"data-ascii":     {takes: true, apply: func(c *command, v string) error { return c.addData(v, strippedFile) }},
		"data-binary":    {takes: true, apply: func(c *command, v string) error { return c.addData(v, wholeFile) }},
		"data-raw":       {takes: true, apply: func(c *command, v string) error { return c.addData(v, noFile) }},
		"data-urlencode": {takes: true, apply: (*command).addEncoded},
		"url-query":      {takes: true, apply: (*command).addQuery},
		"json":           {takes: true, apply: func(c *command, v string) error { c.json = true; return c.addData(v, wholeFile) }},
		"form":           {takes: true, apply: func(c *command, v string) error { return c.addForm(v, formSyntax) }},
		"form-string":    {takes: true, apply: func(c *command, v string) error { return c.addForm(v, formLiteral) }},
	}
}

// parse reads the words behind the word curl.
func (c *command) parse(words []string) error {
	known := options()
	for _, name := range ignored {
		known[name] = option{}
	}
	for _, name := range ignoredValues {
		known[name] = option{takes: true}
	}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		var err error
		switch {
		case word == "--": // curl takes what follows for URLs
			for _, url := range words {
				if err := c.addURL(url); err != nil {
					return err
				}
			}
			return nil
		case strings.HasPrefix(word, "--"):
			words, err = c.long(known, word, words)
		case strings.HasPrefix(word, "-") && len(word) > 1:
			words, err = c.short(known, word, words)
		default:
			err = c.addURL(word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// long applies an option of the form --name, or --name=value as newer versions of curl take it.
func (c *command) long(known map[string]option, word string, rest []string) ([]string, error) {
	name := strings.TrimPrefix(word, "--")
	o, ok := known[name]
	if before, v, found := strings.Cut(name, "="); !ok && found {
		if o, ok = known[before]; ok && o.takes {
			name, rest = before, append([]string{v}, rest...)
		} else {
			ok = false
		}
	}
	if !ok {
		return nil, fmt.Errorf("the curl option --%s is not known here; leave it out if it does not change the request", name)
	}
	if !o.takes {
		return rest, c.apply(o, "")
	}
	if len(rest) == 0 {
		return nil, fmt.Errorf("the curl option --%s needs a value", name)
	}
	return rest[1:], c.apply(o, rest[0])
}

// short applies options of one letter, which may stand together: -sSXPOST.
func (c *command) short(known map[string]option, word string, rest []string) ([]string, error) {
	for i := 1; i < len(word); i++ {
		o, ok := known[shorts[word[i]]]
		if !ok {
			return nil, fmt.Errorf("the curl option -%c is not known here; leave it out if it does not change the request", word[i])
		}
		if !o.takes {
			if err := c.apply(o, ""); err != nil {
				return nil, err
			}
			continue
		}
		if i+1 < len(word) {
			return rest, c.apply(o, word[i+1:])
		}
		if len(rest) == 0 {
			return nil, fmt.Errorf("the curl option -%c needs a value", word[i])
		}
		return rest[1:], c.apply(o, rest[0])
	}
	return rest, nil
}

func (c *command) apply(o option, v string) error {
	if o.apply == nil {
		return nil
	}
	return o.apply(c, v)
}

// header gives a header that the command line sets, which is also how curl is told to leave one out.
func (c *command) header(name string) (string, bool) {
	i := slices.IndexFunc(c.headers, func(h field) bool { return strings.EqualFold(h.name, name) })
	if i < 0 {
		return "", false
	}
	return c.headers[i].value, true
}
