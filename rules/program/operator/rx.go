package operator

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"rsc.io/binaryregexp"
)

// Expression returns the regular expression that @rx decides for an argument, and whether it is one over bytes. One over
// characters is for package regexp, and has "(?sm)" in front: a dot matches line ends, and ^ and $ match at them. One over
// bytes is for binaryregexp, without those flags: arguments with \x escapes that make no UTF-8 are taken as such.
func Expression(argument string) (expression string, bytes bool) {
	expression = "(?sm)" + argument
	if namesBytes(expression) {
		return argument, true
	}
	return expression, false
}

// newRx compiles @rx.
func newRx(argument string) (Operator, error) {
	expression, bytes := Expression(argument)
	if bytes {
		re, err := binaryregexp.Compile(expression)
		if err != nil {
			return nil, err
		}
		return rx{re.MatchString, re.FindStringSubmatchIndex}, nil
	}
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	return rx{re.MatchString, re.FindStringSubmatchIndex}, nil
}

type rx struct {
	match func(value string) bool
	find  func(value string) []int
}

// Match implements Operator. The captures are the whole match and the first eight groups; a group that took no part in
// the match is set, to nothing.
func (r rx) Match(value string, captures *Captures) bool {
	// To find that there is no match is cheaper without the groups.
	if !r.match(value) {
		return false
	}
	if captures != nil {
		found := r.find(value)
		for i := range min(len(found)/2, 9) {
			text := ""
			if found[2*i] >= 0 {
				text = value[found[2*i]:found[2*i+1]]
			}
			captures.set(i, text)
		}
	}
	return true
}

// namesBytes reports whether the \x escapes of an expression make something else than UTF-8. It reads them as the
// reference does, which knows nothing of the rest of the syntax: "\\\xff" is a backslash and the byte too. What is no
// escape of one byte stands for itself.
func namesBytes(expression string) bool {
	decoded := make([]byte, 0, len(expression))
	for i := 0; i < len(expression); {
		rest := expression[i:]
		if rest[0] == '\\' && len(rest) < 4 {
			decoded = append(decoded, rest...)
			break
		}
		if rest[0] == '\\' && rest[1] == 'x' {
			if b, size := hexEscape(rest); size > 0 {
				decoded = append(decoded, b)
				i += size
				continue
			}
		}
		decoded = append(decoded, rest[0])
		i++
	}
	return !utf8.Valid(decoded)
}

// hexEscape reads \xHH or \x{HH} at the start of text, which is "\x" and at least two bytes. Its size is 0 if there is none.
func hexEscape(text string) (b byte, size int) {
	digits, size := text[2:4], 4
	if text[2] == '{' && len(text) >= 6 {
		if end := strings.IndexByte(text, '}'); end >= 0 {
			// More than two digits in braces count with their first two.
			digits, size = text[3:end], end+1
			digits = digits[:min(2, len(digits))]
		}
	}
	n, err := strconv.ParseUint(digits, 16, 8)
	if err != nil || len(digits) < 2 {
		return 0, 0
	}
	return byte(n), size
}
