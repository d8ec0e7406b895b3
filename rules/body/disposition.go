package body

import "strings"

// disposition is what a part's Content-Disposition says.
type disposition struct {
	name string
	// fileNames are the readings of the file's name, none if the part is a field.
	fileNames         []string
	hasExtended       bool
	charset, language string
	duplicate         bool // a parameter appears twice
	quotedExtended    bool // filename* in quotes
	malformed         bool
}

// parameter is one parameter as it is written.
type parameter struct {
	name   string // lower case
	value  string // without quotes and escapes
	quoted bool
}

// readDisposition reads the header. All readings that parsers are known to make of the file's name are kept; whatever
// makes them differ is marked.
func readDisposition(header string) disposition {
	var d disposition
	if header == "" {
		return d
	}
	kind, rest, _ := strings.Cut(header, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "form-data") {
		d.malformed = true
	}
	parameters, ok := readParameters(rest)
	d.malformed = d.malformed || !ok
	seen := make(map[string]bool, len(parameters))
	var plain, extended string
	hasPlain := false
	for _, p := range parameters {
		if seen[p.name] {
			d.duplicate = true
		}
		first := !seen[p.name]
		seen[p.name] = true
		switch {
		case p.name == "name":
			if first {
				d.name = p.value
			}
		case p.name == "filename":
			if hasPlain && p.value != plain {
				d.addFileName(p.value)
				continue
			}
			plain, hasPlain = p.value, true
		case p.name == "filename*":
			d.quotedExtended = d.quotedExtended || p.quoted
			extended = d.readExtended(p.value)
		case strings.HasPrefix(p.name, "filename*"):
			// A continuation (filename*0): few put the pieces together, some let them win.
			d.malformed = true
			d.addFileName(p.value)
		case strings.HasPrefix(p.name, "name*"):
			d.malformed = true
		}
	}
	if extended != "" {
		d.fileNames = append([]string{extended}, d.fileNames...)
	}
	d.addFileName(plain)
	return d
}

// maxReadings bounds the readings of a file's name. More are a reason for doubt.
const maxReadings = 8

func (d *disposition) addFileName(name string) {
	if name == "" {
		return
	}
	if len(d.fileNames) >= maxReadings {
		d.malformed = true
		return
	}
	for _, known := range d.fileNames {
		if known == name {
			return
		}
	}
	d.fileNames = append(d.fileNames, name)
}

// readExtended reads charset'language'value and returns the decoded value.
func (d *disposition) readExtended(value string) string {
	parts := strings.SplitN(value, "'", 3)
	if len(parts) != 3 {
		d.malformed = true
		return ""
	}
	d.hasExtended, d.charset, d.language = true, parts[0], parts[1]
	name := unescape(strings.ReplaceAll(parts[2], "+", "%2B"))
	if strings.Count(parts[2], "%") > 0 && !validEscapes(parts[2]) {
		d.malformed = true
	}
	return name
}

// validEscapes says whether every percent sign begins an escape.
func validEscapes(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return false
		}
		i += 2
	}
	return true
}

// readParameters reads ;-separated parameters. ok is false if one is not name=value or a quote is not closed.
func readParameters(s string) (parameters []parameter, ok bool) {
	ok = true
	for s != "" {
		segment, rest, closed := cutSegment(s)
		ok = ok && closed
		s = rest
		if segment = strings.TrimSpace(segment); segment == "" {
			ok = ok && strings.TrimSpace(rest) == "" // some read nothing behind an empty one
			continue
		}
		name, value, found := strings.Cut(segment, "=")
		if !found {
			ok = false
			continue
		}
		p := parameter{name: strings.ToLower(strings.TrimSpace(name)), value: strings.TrimSpace(value)}
		// With space around the equals sign some do not see the parameter: for them a file is a field.
		ok = ok && isToken(name) && value == p.value
		if strings.HasPrefix(p.value, `"`) {
			p.quoted = true
			var complete bool
			p.value, complete = unquote(p.value)
			ok = ok && complete
		} else {
			ok = ok && isToken(p.value) // RFC 9110, section 5.6.6: some read another value, or none
		}
		parameters = append(parameters, p)
	}
	return parameters, ok
}

// cutSegment cuts at the next semicolon outside quotes.
func cutSegment(s string) (segment, rest string, closed bool) {
	inQuotes := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && inQuotes:
			i++
		case s[i] == '"':
			inQuotes = !inQuotes
		case s[i] == ';' && !inQuotes:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", !inQuotes
}

// unquote takes the quotes and escapes off; complete is false if anything follows the closing quote. A backslash escapes
// only what has to be: elsewhere clients mean it, as in C:\dev\x.txt.
func unquote(s string) (value string, complete bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), strings.TrimSpace(s[i+1:]) == ""
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), false
}
