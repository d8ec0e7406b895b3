package operator

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/rules/program/byteset"
)

// byteRange matches values with a byte outside of the allowed ones.
type byteRange struct{ allowed byteset.Set }

// newByteRange reads a list of bytes and ranges of bytes in decimal: "9,10,32-126".
func newByteRange(argument string) (Operator, error) {
	if argument == "" {
		return always, nil
	}
	var r byteRange
	for item := range strings.SplitSeq(argument, ",") {
		item = strings.TrimSpace(item)
		first, last, isRange := strings.Cut(item, "-")
		low, err := parseByte(first)
		if err != nil {
			return nil, err
		}
		high := low
		if isRange {
			if high, err = parseByte(last); err != nil {
				return nil, err
			}
		}
		r.allowed = r.allowed.Union(byteset.Range(low, high))
	}
	return &r, nil
}

func parseByte(text string) (byte, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 255 {
		return 0, fmt.Errorf("%q is no byte; write numbers from 0 to 255, as in 9,10,32-126", text)
	}
	return byte(n), nil
}

// Match implements Operator.
func (r *byteRange) Match(value string, _ *Captures) bool {
	return !byteset.Of(value).Within(r.allowed)
}

// MatchMasked implements Masked. The set is all that it needs.
func (r *byteRange) MatchMasked(_ string, mask byteset.Set, _ *Captures) bool {
	return !mask.Within(r.allowed)
}

// invalidURLEncoding reports a "%" without two hexadecimal digits after it.
func invalidURLEncoding(value string) bool {
	for {
		at := strings.IndexByte(value, '%')
		if at < 0 {
			return false
		}
		if at+2 >= len(value) || !isHex(value[at+1]) || !isHex(value[at+2]) {
			return true
		}
		value = value[at+3:]
	}
}

func isHex(c byte) bool { return c-'0' < 10 || c|0x20-'a' < 6 }

func invalidUTF8(value string) bool { return !utf8.ValidString(value) }
