package seclang

import "strings"

// variables reads A|&B:key|!C:/regex/|XML:/*. What is not plainly one of these (an open regular expression, a slash or
// quote within a plain key) is an error.
func (p *parser) variables(t part) []Variable {
	var out []Variable
	for offset := 0; ; {
		v, n, ok := p.variable(t.from(offset))
		if !ok {
			return out
		}
		out = append(out, v)
		offset += n
		if offset == len(t.text) {
			return out
		}
		offset++ // the bar
	}
}

// variable reads up to a bar or the end, and answers how many bytes it took.
func (p *parser) variable(t part) (Variable, int, bool) {
	v := Variable{Position: p.at(t, 0)}
	s := t.text
	i := 0
	for i < len(s) && (s[i] == '!' || s[i] == '&') {
		if s[i] == '!' {
			v.Exclude = true
		} else {
			v.Count = true
		}
		i++
	}
	start := i
	for i < len(s) && s[i] != ':' && s[i] != '|' {
		i++
	}
	word := s[start:i]
	v.Name = strings.ToUpper(word)
	selectable, known := variableNames[v.Name]
	switch {
	case word == "":
		p.fail(v.Line, "a variable is missing in %q", s)
		return v, 0, false
	case !known:
		p.fail(v.Line, "%q is not a variable%s", word, suggest(v.Name, variableNames))
		return v, 0, false
	case v.Exclude && v.Count:
		p.fail(v.Line, "%q has both ! and &; a count cannot be excluded", s)
		return v, 0, false
	}
	if i == len(s) || s[i] == '|' {
		return v, i, true
	}
	i++ // the colon
	if !selectable {
		p.fail(v.Line, "%s holds one value and takes no key; remove everything from the colon on", v.Name)
		return v, 0, false
	}
	n, ok := p.selector(&v, word, s[i:])
	return v, i + n, ok
}

// selector reads what follows the colon of v.
func (p *parser) selector(v *Variable, word, s string) (int, bool) {
	switch {
	case s == "" || s[0] == '|':
		p.fail(v.Line, "%s: has no key; write %s:name, or %s for all of it", v.Name, v.Name, v.Name)
		return 0, false
	case word == "XML" || word == "JSON": // an XPath: everything up to the bar
		n := strings.IndexByte(s, '|')
		if n < 0 {
			n = len(s)
		}
		v.Key = s[:n]
		return n, true
	case v.Name == "XML" || v.Name == "JSON":
		p.fail(v.Line, "write %s in upper case, else its path is taken for a regular expression", v.Name)
		return 0, false
	case s[0] == '/' || s[0] == '\'':
		return p.regexSelector(v, s)
	}
	n := strings.IndexByte(s, '|')
	if n < 0 {
		n = len(s)
	}
	v.Key = s[:n]
	if strings.ContainsAny(v.Key, `/'`) {
		p.fail(v.Line, "%q: a slash or quote within a key begins a regular expression; write the whole key as one: /^...$/", v.Key)
		return 0, false
	}
	return n, true
}

// regexSelector reads /regex/ or '/regex/'.
func (p *parser) regexSelector(v *Variable, s string) (int, bool) {
	i := 0
	v.Regex = true
	if s[0] == '\'' {
		v.Quoted = true
		i++
		if i == len(s) || s[i] != '/' {
			p.fail(v.Line, "quotes around a key are for regular expressions: %s:'/^name$/'; write other keys without them", v.Name)
			return 0, false
		}
	}
	i++
	start := i
	for ; i < len(s) && s[i] != '/'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	if i >= len(s) {
		p.fail(v.Line, "the regular expression %s is not closed; end it with a slash", s)
		return 0, false
	}
	v.Key = s[start:i]
	i++
	if v.Key == "" {
		p.fail(v.Line, "the regular expression of %s is empty; write %s for all of it", v.Name, v.Name)
		return 0, false
	}
	if v.Quoted {
		if i == len(s) || s[i] != '\'' {
			p.fail(v.Line, "the quote before the regular expression is not closed behind it")
			return 0, false
		}
		i++
	}
	if i < len(s) && s[i] != '|' {
		p.fail(v.Line, "after the regular expression /%s/ comes a bar or the end, not %q; write a slash within it as \\/", v.Key, s[i:])
		return 0, false
	}
	return i, true
}
