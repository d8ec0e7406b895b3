package transform

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"gatehouse/rules/program/byteset"
)

// base64Decode stops at the first byte that is not of the alphabet, line ends aside, and keeps what it has.
func base64Decode(s *Scratch, in string) (string, bool, error) {
	return s.Keep(decode64(s.Room(len(in)), in, false)), true, nil
}

// base64DecodeExt skips what is not of the alphabet, and also takes the alphabet of URLs. Only "=" ends it.
func base64DecodeExt(s *Scratch, in string) (string, bool, error) {
	return s.Keep(decode64(s.Room(len(in)), in, true)), true, nil
}

// base64Reaches decodes without keeping what comes out.
func base64Reaches(in string, n int, any *byteset.Set, spaced bool) bool {
	var bits uint32
	digits, found := 0, any == nil
	for i := range len(in) {
		c := in[i]
		digit := digits64[c]
		if digit > 63 {
			if c == '\r' || c == '\n' || spaced && isASCIISpace(c) {
				continue
			}
			if spaced && c >= utf8.RuneSelf {
				return true // it may be white space as well
			}
			break
		}
		bits = bits<<6 | uint32(digit)
		digits++
		// From its second digit on, each digit of a group of four completes a byte.
		if left := digits % 4; left != 1 && !found {
			found = any.Has(byte(bits >> (uint(-left) % 4 * 2)))
		}
		if found && digits*3/4 >= n {
			return true
		}
	}
	return found && digits*3/4 >= n
}

func decode64(b []byte, in string, forgiving bool) []byte {
	var bits uint32
	digits := 0
	for i := range len(in) {
		c := in[i]
		if c == '=' {
			break
		}
		digit := digit64(c, forgiving)
		if digit > 63 {
			if forgiving || c == '\r' || c == '\n' {
				continue
			}
			break
		}
		bits = bits<<6 | uint32(digit)
		digits++
		if digits == 4 {
			b = append(b, byte(bits>>16), byte(bits>>8), byte(bits))
			bits, digits = 0, 0
		}
	}
	// A single digit is less than a byte.
	switch digits {
	case 2:
		b = append(b, byte(bits>>4))
	case 3:
		b = append(b, byte(bits>>10), byte(bits>>2))
	}
	return b
}

// digits64 are the values of the digits of the usual alphabet, 64 for other bytes.
var digits64 = func() (t [256]byte) {
	for i := range t {
		t[i] = digit64(byte(i), false)
	}
	return t
}()

// digit64 is the value of a base64 digit, or 64.
func digit64(c byte, forURL bool) byte {
	switch {
	case c-'A' < 26:
		return c - 'A'
	case c-'a' < 26:
		return c - 'a' + 26
	case c-'0' < 10:
		return c - '0' + 52
	case c == '+', c == '-' && forURL:
		return 62
	case c == '/', c == '_' && forURL:
		return 63
	}
	return 64
}

func base64Encode(s *Scratch, in string) (string, bool, error) {
	b := s.Room(base64.StdEncoding.EncodedLen(len(in)))
	return s.Keep(base64.StdEncoding.AppendEncode(b, bytesOf(in))), true, nil
}

// hexDecode gives an error for what is not hexadecimal text from start to end.
func hexDecode(s *Scratch, in string) (string, bool, error) {
	if len(in)%2 != 0 {
		return in, false, errHex
	}
	b := s.Room(len(in) / 2)
	for i := 0; i < len(in); i += 2 {
		value, ok := hexPair(in[i], in[i+1])
		if !ok {
			return in, false, errHex
		}
		b = append(b, value)
	}
	return s.Keep(b), true, nil
}

func hexEncode(s *Scratch, in string) (string, bool, error) {
	return s.Keep(hex.AppendEncode(s.Room(2*len(in)), bytesOf(in))), true, nil
}

func removeNulls(s *Scratch, in string) (string, bool, error) {
	at := strings.IndexByte(in, 0)
	if at < 0 {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	for i := at; i < len(in); i++ {
		if in[i] != 0 {
			b = append(b, in[i])
		}
	}
	return s.Keep(b), true, nil
}

func replaceNulls(s *Scratch, in string) (string, bool, error) {
	at := strings.IndexByte(in, 0)
	if at < 0 {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in...)
	for i := at; i < len(b); i++ {
		if b[i] == 0 {
			b[i] = ' '
		}
	}
	return s.Keep(b), true, nil
}
