package operator

import (
	"strings"

	libinjection "github.com/corazawaf/libinjection-go"

	"gatehouse/rules/program/byteset"
)

type detectSQLi struct{}

// Match implements Operator. The capture is the fingerprint of the attack.
func (d detectSQLi) Match(value string, captures *Captures) bool {
	return d.MatchMasked(value, byteset.Of(value), captures)
}

// MatchMasked implements Masked.
func (detectSQLi) MatchMasked(value string, mask byteset.Set, captures *Captures) bool {
	if !mayBeSQLi(value, mask) {
		return false
	}
	found, fingerprint := libinjection.IsSQLi(value)
	if found && captures != nil {
		captures.set(0, fingerprint)
	}
	return found
}

// mayBeSQLi is false only for values of which IsSQLi is false too.
//
// Libinjection splits a value into tokens, folds them to at most five, and looks for the types of those in a table of
// fingerprints. It reads a value as if it began inside a quote too, if it has one; it reads comments as MySQL does too,
// if they are there. So without quotes and backticks there is one way to split the start of a value, and mayBeSQLi
// follows it, for as long as one of three reasons may hold why its fingerprint is not there:
//
//   - There are at most two tokens, and no comment among them, or they fold to a plain word, an operator and another word.
//     There is no such fingerprint that libinjection does not excuse.
//   - All are numbers, operators, plain words and such punctuation as folds to these. No fingerprint is made of them.
//   - The first is a plain word, maybe with operators and more words or numbers, which fold into it; and next is a word,
//     "(", ":", "?" or a variable. Or a plain word and a number, in either order, are followed by a plain word. Or the
//     first is "/". That this begins the fingerprint cannot change any more, and no fingerprint begins so.
//
// Letters, digits and "_" alone make no more than two numbers before one word; there is no such fingerprint either.
//
// A word is plain if it is not in libinjection's table and begins no phrase there. A plain word is type n whatever is
// around it, and merges with nothing. A comment inside a comment is a fingerprint by itself, wherever it is.
func mayBeSQLi(value string, mask byteset.Set) bool {
	if mask.Within(sqlWordBytes) {
		return false
	}
	if mask.Intersects(sqlQuotes) || mask.Has('*') && mask.Has('/') && strings.Contains(value, "/*") || mayFoldToASCII(mask) {
		return true
	}
	var (
		tokens = 0
		simple = true // no token yet that is more than words, numbers and operators
		head   = headNone
	)
	for i := 0; i < len(value); {
		c := value[i]
		kind := sqlKinds[c]
		if kind == sqlSpace {
			i++
			continue
		}
		tokens++
		switch kind {
		case sqlWord:
			end, plain, dotted := sqlWordAt(value, i)
			i = end
			switch {
			case !plain && dotted:
				return true // it may be more than one token
			case !plain && head == headOperator && end == len(value):
				return false
			case !plain:
				simple, head = false, headLost
			case head == headWord || head == headWordNumber || head == headNumberWord:
				return false
			case head == headNumber:
				head = headNumberWord
			case head != headLost:
				head = headWord
			}
		case sqlDigit:
			end, number := sqlNumberAt(value, i)
			i = end
			switch {
			case number && head == headNone:
				head = headNumber
			case number && head == headWord:
				head = headWordNumber
			case number && head == headOperator:
				head = headWord
			default:
				head = headLost
			}
		case sqlOperator:
			if c == '/' && head == headNone {
				return false
			}
			i++
			switch {
			case (c == '-' || c == '&' || c == '|') && i < len(value) && value[i] == c:
				// A comment, or a logical operator. That it counts as two tokens is as well.
				simple, head = false, headLost
			case head == headWord:
				head = headOperator
			default:
				head = headLost
			}
		case sqlColon:
			i++
			if head == headWord && i < len(value) && value[i] != ':' && value[i] != '=' {
				return false
			}
			head = headLost
		case sqlMark:
			if head == headWord {
				return false
			}
			i++
			head = headLost
		case sqlOpen:
			if head == headWord {
				return false
			}
			i++
			simple, head = false, headLost
		case sqlAt:
			// Before "(", some variables become functions.
			if head == headWord && !mask.Has('(') {
				return false
			}
			return true
		case sqlPunctuation:
			i++
			head = headLost
		default:
			return true
		}
		if head == headLost && !simple && tokens > 2 {
			return true
		}
	}
	return false
}

// What the tokens so far fold to, as far as it matters.
const (
	headNone       = iota // there are none
	headWord              // a plain word
	headOperator          // a plain word and an operator or comma
	headWordNumber        // a plain word and a number
	headNumber            // a number
	headNumberWord        // a number and a plain word
	headLost              // something else
)

// How libinjection reads a token that begins with a byte.
const (
	sqlStop        uint8 = iota // in a way that mayBeSQLi does not follow
	sqlSpace                    // not at all
	sqlWord                     // as a word
	sqlDigit                    // as a number, or a dot
	sqlOperator                 // as an operator or comma
	sqlColon                    // as a colon, or "::" or ":=", which are operators
	sqlMark                     // as a question mark, or as a word in brackets
	sqlOpen                     // as a parenthesis
	sqlAt                       // as a variable
	sqlPunctuation              // as something that no fingerprint of mayBeSQLi's second reason has
)

var sqlKinds = func() (kinds [256]uint8) {
	set := func(kind uint8, bytes string) {
		for i := range len(bytes) {
			kinds[bytes[i]] = kind
		}
	}
	for c := range kinds {
		switch {
		case c <= ' ' || c == 0x7f || c == 0xa0:
			kinds[c] = sqlSpace
		case isLetter(byte(c)) || c == '_' || c >= 0x80:
			kinds[c] = sqlWord
		}
	}
	set(sqlDigit, ".0123456789")
	set(sqlOperator, "!%&*+,-/<=>^|~")
	set(sqlColon, ":")
	set(sqlMark, "?[")
	set(sqlOpen, "(")
	set(sqlAt, "@")
	set(sqlPunctuation, ";]{}")
	return kinds
}()

var (
	sqlQuotes = byteset.Of("'\"`")
	// sqlWordBytes are the bytes that words are of, some that hardly occur in them left out.
	sqlWordBytes = byteset.Of("_").Union(byteset.Range('0', '9')).Union(byteset.Range('A', 'Z')).Union(byteset.Range('a', 'z')).
			Union(byteset.Range(0x80, 0xff)).Minus(byteset.Of("\xa0"))
	// sqlWordEnds are the bytes before which a word ends.
	sqlWordEnds = byteset.Of(" []{}<>:\\?=@!#~+-*/&|^%(),';\t\n\v\f\r\"\xa0\x00")
)

// sqlWordAt reads the word at i. It is plain if none of its parts between dots is in libinjection's table.
func sqlWordAt(value string, i int) (end int, plain, dotted bool) {
	plain = true
	var h wordHash
	for ; i < len(value) && !sqlWordEnds.Has(value[i]); i++ {
		if value[i] == '.' {
			dotted = true
			plain = plain && !h.listed()
			h = 0
		} else {
			h = h.add(value[i])
		}
	}
	return i, plain && !h.listed(), dotted
}

// sqlNumberAt reads what begins with a digit or dot at i, and reports whether it is a number. If it is not, it is a dot,
// "0x", or nothing: an exponent without digits is skipped.
func sqlNumberAt(value string, i int) (end int, number bool) {
	if value[i] == '0' && i+1 < len(value) {
		switch value[i+1] | 0x20 {
		case 'x':
			end = skip(value, i+2, isHex)
			return end, end > i+2
		case 'b':
			end = skip(value, i+2, isBinary)
			return end, end > i+2
		}
	}
	end = skip(value, i, isDigit)
	if end < len(value) && value[end] == '.' {
		end = skip(value, end+1, isDigit)
		if end == i+1 {
			return end, false
		}
	}
	number = true
	if end < len(value) && value[end]|0x20 == 'e' {
		end++
		if end < len(value) && (value[end] == '+' || value[end] == '-') {
			end++
		}
		digits := skip(value, end, isDigit)
		number, end = digits > end, digits
	}
	if end < len(value) && (value[end]|0x20 == 'd' || value[end]|0x20 == 'f') {
		// A suffix, if nothing is after it but space, ";", or, strangely, a "u".
		if end+1 == len(value) || value[end+1] == ';' || value[end+1]|0x20 == 'u' || isSQLSpace(value[end+1]) {
			end++
		}
	}
	return end, number
}

// skip returns the index of the first byte at i or later that is not one of those that is accepts.
func skip(value string, i int, is func(byte) bool) int {
	for i < len(value) && is(value[i]) {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isBinary(c byte) bool { return c-'0' < 2 }

func isSQLSpace(c byte) bool { return isSpace(c) || c == 0 || c == 0xa0 }

// mayFoldToASCII reports whether a value may have one of the two letters outside of ASCII whose upper case is in it,
// U+0131 and U+017F. Libinjection finds keywords that are written with them.
func mayFoldToASCII(mask byteset.Set) bool {
	return mask.Has(0xc4) && mask.Has(0xb1) || mask.Has(0xc5) && mask.Has(0xbf)
}
