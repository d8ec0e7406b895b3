package event

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// Caps on one field, in bytes of its JSON form. A longer value ends in …(+N), N being the bytes that were cut.
const (
	capID     = 128  // identifiers that a client may choose
	capName   = 256  // names, targets, hosts
	capText   = 512  // values, messages, user agents
	capURL    = 2048 // paths, queries, referers
	capLine   = 32 << 10
	capRules  = 64
	capTags   = 32
	capList   = 64 // targets of a rule, uninspected parts, exclusions
	cutMarker = "…(+"
)

// object appends the fields of one JSON object.
type object struct {
	b     []byte
	empty bool
}

func open(b []byte) object { return object{append(b, '{'), true} }

func (o *object) close() []byte { return append(o.b, '}') }

func (o *object) key(name string) {
	if !o.empty {
		o.b = append(o.b, ',')
	}
	o.empty = false
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

// str appends a string, also an empty one.
func (o *object) str(name, value string, limit int) {
	o.key(name)
	o.b = appendString(o.b, value, limit)
}

// opt appends a string unless it is empty.
func (o *object) opt(name, value string, limit int) {
	if value != "" {
		o.str(name, value, limit)
	}
}

func (o *object) num(name string, value int64) {
	o.key(name)
	o.b = strconv.AppendInt(o.b, value, 10)
}

func (o *object) optNum(name string, value int64) {
	if value != 0 {
		o.num(name, value)
	}
}

// ms appends a duration in milliseconds, to the microsecond.
func (o *object) ms(name string, d time.Duration) {
	o.key(name)
	o.b = strconv.AppendFloat(o.b, math.Round(float64(d)/1e3)/1e3, 'f', -1, 64)
}

// time appends RFC 3339 with microseconds in UTC.
func (o *object) time(name string, t time.Time) {
	o.key(name)
	o.b = append(o.b, '"')
	o.b = t.UTC().AppendFormat(o.b, "2006-01-02T15:04:05.000000Z")
	o.b = append(o.b, '"')
}

// appendString appends s as a JSON string of at most about limit bytes. Bytes that are not UTF-8 become \xNN in the
// text; control characters and those that change the direction or the lines of a display become \uNNNN.
func appendString(b []byte, s string, limit int) []byte {
	b = append(b, '"')
	end := len(b) + limit
	for i := 0; i < len(s); {
		if plain := plainRun(s[i:]); plain > 0 {
			if room := end - len(b); plain > room {
				b = append(b, s[i:i+room]...)
				return appendCut(b, len(s)-i-room)
			}
			b = append(b, s[i:i+plain]...)
			i += plain
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		var tmp [8]byte
		piece := appendRune(tmp[:0], r, s[i:i+size])
		if len(b)+len(piece) > end {
			return appendCut(b, len(s)-i)
		}
		b = append(b, piece...)
		i += size
	}
	return append(b, '"')
}

func appendCut(b []byte, cut int) []byte {
	b = append(b, cutMarker...)
	b = strconv.AppendInt(b, int64(cut), 10)
	return append(b, ')', '"')
}

// plainRun is the length of the prefix of s that JSON takes as it is.
func plainRun(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

const hexDigits = "0123456789abcdef"

func appendRune(b []byte, r rune, raw string) []byte {
	switch {
	case r == '"' || r == '\\':
		return append(b, '\\', byte(r))
	case r == utf8.RuneError && len(raw) == 1:
		return append(b, '\\', '\\', 'x', hexDigits[raw[0]>>4], hexDigits[raw[0]&15])
	case hidden(r):
		return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
	}
	return append(b, raw...)
}

// hidden says whether a character has no look of its own or changes how a display shows others.
func hidden(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0x9f:
		return true
	case r == 0xad, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff:
		return true
	}
	return false
}
