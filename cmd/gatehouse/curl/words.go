// Package curl turns a curl command line, as it is pasted from a shell, a browser or a ticket, into a raw HTTP/1.1
// request.
//
// Invariant: an option is honoured, or it has no bearing on the request, or it is an error: none is guessed.
package curl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Split cuts a command line into words as a POSIX shell does, with $'...' of bash. What a shell would replace or run is
// an error.
func Split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(line); {
		c := line[i]
		switch c {
		case ' ', '\t', '\n', '\r':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
			i++
			continue
		case '\\':
			n, err := backslash(&word, line[i:])
			if err != nil {
				return nil, err
			}
			inWord = inWord || n == 2 && line[i+1] != '\n'
			i += n
			continue
		case '\'', '"', '$':
			n, err := quoted(&word, line[i:])
			if err != nil {
				return nil, err
			}
			i += n
		case ';', '|', '&', '<', '>', '(', ')', '`':
			return nil, fmt.Errorf("the shell would not give %q at column %d to curl: put the word that holds it in single quotes", c, i+1)
		default:
			word.WriteByte(c)
			i++
		}
		inWord = true
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// backslash takes a backslash outside of quotes and what it escapes; before the end of a line it joins the lines.
func backslash(word *strings.Builder, s string) (int, error) {
	switch {
	case len(s) == 1:
		return 1, nil // the command goes on in a line that was not pasted
	case s[1] == '\n':
		return 2, nil
	case strings.HasPrefix(s[1:], "\r\n"):
		return 3, nil
	}
	word.WriteByte(s[1])
	return 2, nil
}

// quoted takes what stands in quotes at the beginning of s and gives its length with them.
func quoted(word *strings.Builder, s string) (int, error) {
	switch {
	case s[0] == '\'':
		end := strings.IndexByte(s[1:], '\'')
		if end < 0 {
			return 0, errors.New("a single quote is not closed")
		}
		word.WriteString(s[1 : 1+end])
		return end + 2, nil
	case strings.HasPrefix(s, "$'"):
		return ansi(word, s)
	case strings.HasPrefix(s, `$"`):
		n, err := double(word, s[1:])
		return n + 1, err
	case s[0] == '$':
		if len(s) > 1 && (s[1] == '(' || s[1] == '{' || s[1] == '_' || isLetter(s[1])) {
			return 0, fmt.Errorf("the shell would replace %.20q: put the value itself there, or single quotes around the word", s)
		}
		word.WriteByte('$')
		return 1, nil
	}
	return double(word, s)
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// double takes a string in double quotes.
func double(word *strings.Builder, s string) (int, error) {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1, nil
		case c == '`', c == '$' && i+1 < len(s) && (s[i+1] == '(' || s[i+1] == '{' || s[i+1] == '_' || isLetter(s[i+1])):
			return 0, fmt.Errorf("the shell would replace %.20q: put the value itself there, or single quotes around the word", s[i:])
		case c == '\\' && i+1 < len(s):
			i++
			switch s[i] {
			case '"', '\\', '$', '`':
				word.WriteByte(s[i])
			case '\n':
			default:
				word.WriteByte('\\')
				word.WriteByte(s[i])
			}
		default:
			word.WriteByte(c)
		}
	}
	return 0, errors.New("a double quote is not closed")
}

// simpleEscapes are those of $'...' that stand for one byte.
var simpleEscapes = map[byte]byte{
	'a': 7, 'b': 8, 'e': 27, 'E': 27, 'f': 12, 'n': 10, 'r': 13, 't': 9, 'v': 11, '\\': '\\', '\'': '\'', '"': '"', '?': '?',
}

// ansi takes a string of the form $'...'.
func ansi(word *strings.Builder, s string) (int, error) {
	for i := 2; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			return i + 1, nil
		case s[i] == '\\' && i+1 < len(s):
			i++
			if b, ok := simpleEscapes[s[i]]; ok {
				word.WriteByte(b)
				continue
			}
			i += numeric(word, s[i:]) - 1
		default:
			word.WriteByte(s[i])
		}
	}
	return 0, errors.New("a quote that begins with $' is not closed")
}

// numeric takes the number of an escape such as x3c, u00e9 or 074 and gives its length. What is no number stays as it
// is, with its backslash.
func numeric(word *strings.Builder, s string) int {
	first, base, most := 1, 16, 0
	switch {
	case s[0] == 'x':
		most = 2
	case s[0] == 'u':
		most = 4
	case s[0] == 'U':
		most = 8
	case s[0] >= '0' && s[0] <= '7':
		first, base, most = 0, 8, 3
	}
	end := first
	for end < len(s) && end-first < most && isDigit(s[end], base) {
		end++
	}
	n, err := strconv.ParseUint(s[first:end], base, 32)
	switch {
	case most == 0 || err != nil:
		word.WriteByte('\\')
		word.WriteByte(s[0])
		return 1
	case most > 3:
		word.Write(utf8.AppendRune(nil, rune(n)))
	default:
		word.WriteByte(byte(n))
	}
	return end
}

func isDigit(c byte, base int) bool {
	if base == 8 {
		return c >= '0' && c <= '7'
	}
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
