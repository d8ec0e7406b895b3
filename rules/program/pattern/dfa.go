package pattern

import (
	"sync"
	"unicode/utf8"
)

// dfa decides whether a value has a match, in one step a character. Its table is made when the pattern is compiled, and
// never changes. Where the table of all rows would be too large it has those that ordinary values reach; for the others the
// machine runs that the table was made of, until it comes to a row of the table again.
type dfa struct {
	symbols *symbols
	class   [256]uint8
	columns int
	next    []uint16 // next[row+class]; a row is known by where it begins
	ends    Bits     // the rows, by number, in which the end of the value makes a match
	resets  Bits     // the rows, by number, in which no match has begun
	exact   bool     // it accepts nothing that the pattern does not match

	start int       // the row in which a value begins
	rest  *rest     // nil if all rows are in the table
	pool  sync.Pool // of *threads, for who has none
}

// Rows of every table. No row begins at elsewhere, as there are at least two columns.
const (
	matched   = 0 // what was read has a match
	elsewhere = 1 // the next row is not in the table
)

// newDFA is an automaton of n. Where n is too large it accepts more: repetitions lose their limits. nil if n is too
// large even then.
func newDFA(n *node, symbols *symbols) *dfa {
	for _, copies := range []int{1000, 1} {
		a := newNFA(n, copies)
		if a == nil {
			continue
		}
		m := newMachine(a)
		if m == nil {
			continue
		}
		d := determine(m)
		d.symbols = symbols
		if symbols.dialect == Binary {
			d.symbols = nil
		}
		d.exact = symbols.exact && !a.relaxed
		return d
	}
	return nil
}

// match reports whether value has a match.
func (d *dfa) match(value string, t *threads) bool {
	return d.start == matched || d.matchFrom(value, 0, d.start, t)
}

// matchFrom is match for what is left of value from index i on, which was read up to the row.
func (d *dfa) matchFrom(value string, i, at int, t *threads) bool {
	next, class := d.next, &d.class
	for i < len(value) {
		c, width := class[value[i]], 1
		if value[i] >= utf8.RuneSelf {
			c, width = d.classOf(value[i:])
		}
		to := int(next[at+int(c)])
		if to > elsewhere {
			at = to
			i += width
			continue
		}
		if to == matched {
			return true
		}
		found, back, row := d.run(value, i, at, t)
		if found || row == elsewhere {
			return found
		}
		at, i = row, back
	}
	return d.ends.Has(at / d.columns)
}

// begin is, for a value with a match, an index before which none begins, nor with the character there. It need not be the
// last one.
func (d *dfa) begin(value string, t *threads) int {
	from, at := 0, d.start
	for i := 0; i < len(value) && at != matched; {
		c, width := d.classOf(value[i:])
		to := int(d.next[at+int(c)])
		if to > elsewhere {
			if d.resets.Has(to / d.columns) {
				from = i
			}
			at = to
			i += width
			continue
		}
		if to == matched {
			break
		}
		found, back, row := d.run(value, i, at, t)
		if found || row == elsewhere {
			break
		}
		at, i = row, back
	}
	return from
}

// classOf is the class and the length of the character at the start of value, which is not empty.
func (d *dfa) classOf(value string) (class uint8, width int) {
	if value[0] < utf8.RuneSelf || d.symbols == nil {
		return d.class[value[0]], 1
	}
	c, width := utf8.DecodeRuneInString(value)
	return d.class[d.symbols.of(c)], width
}

func (d *dfa) bytes() int {
	n := 2*len(d.next) + 8*len(d.ends) + len(d.class)
	if d.rest != nil {
		n += d.rest.bytes()
	}
	return n
}
