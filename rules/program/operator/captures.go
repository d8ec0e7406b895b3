package operator

import (
	"iter"
	"math/bits"
)

// Captures are the fields TX:0 to TX:9 as an operator leaves them. The zero Captures has none set.
type Captures struct {
	fields  [10]string
	written uint16
	// Read is how many bytes of the value were read to find them, as far as they were dear to read; Rest is how many the
	// value has beyond those.
	Read, Rest int

	// Path are the arguments that @restpath found, which become ARGS_PATH. It finds them in rules that do not capture as
	// well: give it Captures always.
	Path []PathArgument
}

// PathArgument is a placeholder of @restpath and the text in its place.
type PathArgument struct{ Name, Value string }

// Field returns the text of TX:i, and whether the operator set it. Text may be set and empty.
func (c *Captures) Field(i int) (text string, ok bool) {
	if i < 0 || i >= len(c.fields) || c.written&(1<<i) == 0 {
		return "", false
	}
	return c.fields[i], true
}

// Fields are the fields that are set, with their numbers.
func (c *Captures) Fields() iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for left := c.written; left != 0; left &= left - 1 {
			if i := bits.TrailingZeros16(left); !yield(i, c.fields[i]) {
				return
			}
		}
	}
}

// Any reports whether a field is set.
func (c *Captures) Any() bool { return c.written != 0 }

// Reset makes c as new, and keeps its memory.
func (c *Captures) Reset() {
	clear(c.Path)
	*c = Captures{Path: c.Path[:0]}
}

func (c *Captures) set(i int, text string) {
	c.fields[i] = text
	c.written |= 1 << i
}

// Capturer is an operator that can set the captures for a value of which it is known that it matches.
type Capturer interface {
	// Capture sets the captures of the first match, and answers where it begins; -1 if there is none.
	Capture(value string, captures *Captures) (start int)
}
