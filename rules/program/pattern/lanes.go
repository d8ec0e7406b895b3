package pattern

import "unicode/utf8"

// laneCount is how many automata run side by side.
const laneCount = 4

// lanes are automata over characters that run over a value side by side: the next step of one has to wait for memory,
// and those of four wait together.
type lanes struct {
	dfas  [laneCount]*dfa
	at    [laneCount]int // their rows
	found [laneCount]bool
	used  int
}

// idle is the automaton of a lane that is done. It stays in the row where it begins.
var idle = &dfa{
	columns: 2, next: []uint16{matched, matched, 2, 2}, ends: Bits{0}, start: 2,
	symbols: &symbols{first: []rune{utf8.RuneSelf}, symbol: []byte{utf8.RuneSelf}},
}

// add puts an automaton into the next lane.
func (l *lanes) add(d *dfa) {
	l.dfas[l.used] = d
	l.used++
}

// run finds out for every lane whether value has a match.
func (l *lanes) run(value string, t *threads) {
	if l.used == 1 {
		l.found[0] = l.dfas[0].match(value, t)
		return
	}
	running := 0
	for k := range laneCount {
		l.found[k] = false
		switch {
		case k >= l.used:
			l.stop(k, false)
		case l.dfas[k].start == matched:
			l.stop(k, true)
		default:
			l.at[k] = l.dfas[k].start
			running++
		}
	}
	for i := 0; running > 0; {
		i = l.steps(value, i)
		if i == len(value) {
			for k, d := range l.dfas {
				l.found[k] = l.found[k] || d.ends.Has(l.at[k]/d.columns)
			}
			return
		}
		width := 1
		for k, d := range l.dfas {
			var class uint8
			class, width = d.classOf(value[i:])
			switch to := int(d.next[l.at[k]+int(class)]); to {
			case matched:
				l.stop(k, true)
				running--
			case elsewhere:
				l.stop(k, d.matchFrom(value, i, l.at[k], t))
				running--
			default:
				l.at[k] = to
			}
		}
		i += width
	}
}

func (l *lanes) stop(k int, found bool) {
	l.dfas[k], l.at[k], l.found[k] = idle, idle.start, found
}

// steps steps all lanes from index i on, up to a character that leads one of them to a match or out of its table. It
// returns the index of that character, or len(value).
func (l *lanes) steps(value string, i int) int {
	d, e, f, g := l.dfas[0], l.dfas[1], l.dfas[2], l.dfas[3]
	p, q, r, s := l.at[0], l.at[1], l.at[2], l.at[3]
	for i < len(value) {
		b, width := value[i], 1
		var t, u, v, w int
		if b < utf8.RuneSelf {
			t = int(d.next[p+int(d.class[b])])
			u = int(e.next[q+int(e.class[b])])
			v = int(f.next[r+int(f.class[b])])
			w = int(g.next[s+int(g.class[b])])
		} else {
			var c rune
			c, width = utf8.DecodeRuneInString(value[i:])
			t = int(d.next[p+int(d.class[d.symbols.of(c)])])
			u = int(e.next[q+int(e.class[e.symbols.of(c)])])
			v = int(f.next[r+int(f.class[f.symbols.of(c)])])
			w = int(g.next[s+int(g.class[g.symbols.of(c)])])
		}
		if min(t, u, v, w) <= elsewhere {
			break
		}
		p, q, r, s = t, u, v, w
		i += width
	}
	l.at = [laneCount]int{p, q, r, s}
	return i
}
