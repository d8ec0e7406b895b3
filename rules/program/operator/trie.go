package operator

import (
	"slices"
	"strings"
)

// trie finds which of a set of patterns occur in a value, letters of ASCII in any case, after Aho and Corasick: each state
// is the longest end of the text so far that starts a pattern.
//
// States are numbered level by level, so that the children of a state stand in a row, and need no table each: a state
// takes 14 bytes. The start, where ordinary text spends most of its time, has a table.
type trie struct {
	start    [256]uint32 // the children of state 0 by byte, folded; 0 for none
	children []uint32    // those of state s are children[s] up to children[s+1]
	label    []byte      // the byte that leads to a state, folded
	fail     []uint32    // the state of the next shorter end
	length   []uint32    // of the pattern that ends in the state; 0 for none
	hit      []bool      // whether a pattern ends here, or in a state along fail
	longest  int
}

func fold(c byte) byte {
	if c-'A' < 26 {
		c |= 0x20
	}
	return c
}

func foldAll(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = fold(c)
	}
	return string(b)
}

// newTrie makes the automaton for patterns, of which none is empty.
func newTrie(patterns []string) *trie {
	sorted := make([]string, 0, len(patterns))
	for _, p := range patterns {
		sorted = append(sorted, foldAll(p))
	}
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)

	// A state is a range of the sorted patterns that have a prefix in common.
	type span struct{ low, high, depth int }
	t := &trie{}
	t.add(0, 0)
	spans := []span{{0, len(sorted), 0}}
	for s := 0; s < len(spans); s++ {
		at := spans[s]
		t.children = append(t.children, uint32(len(spans)))
		low := at.low
		if low < at.high && len(sorted[low]) == at.depth {
			t.length[s] = uint32(at.depth)
			t.longest = max(t.longest, at.depth)
			low++
		}
		for low < at.high {
			c := sorted[low][at.depth]
			high := low + 1
			for high < at.high && sorted[high][at.depth] == c {
				high++
			}
			t.add(c, t.failOf(s, c))
			spans = append(spans, span{low, high, at.depth + 1})
			if s == 0 {
				t.start[c] = uint32(len(spans) - 1)
			}
			low = high
		}
		t.hit[s] = t.length[s] > 0 || t.hit[t.fail[s]]
	}
	t.children = append(t.children, uint32(len(spans)))
	for c := byte('a'); c <= 'z'; c++ {
		t.start[c-0x20] = t.start[c]
	}
	return t
}

func (t *trie) add(label byte, fail uint32) {
	t.label = append(t.label, label)
	t.fail = append(t.fail, fail)
	t.length = append(t.length, 0)
	t.hit = append(t.hit, false)
}

// failOf is where the child of parent by c, which is being added, fails to. All shorter states have their children.
func (t *trie) failOf(parent int, c byte) uint32 {
	if parent == 0 {
		return 0
	}
	return t.next(t.fail[parent], c)
}

// child is the child of state s, which is not the start, by the folded byte c; 0 for none.
func (t *trie) child(s uint32, c byte) uint32 {
	low, high := t.children[s], t.children[s+1]
	for i, label := range t.label[low:high] {
		if label >= c {
			if label == c {
				return low + uint32(i)
			}
			break
		}
	}
	return 0
}

// next is the state after c, folded, in state s.
func (t *trie) next(s uint32, c byte) uint32 {
	for s != 0 {
		if to := t.child(s, c); to != 0 {
			return to
		}
		s = t.fail[s]
	}
	return t.start[c]
}

// first returns the index after the first end of a pattern in value, or -1.
func (t *trie) first(value string) int {
	s := uint32(0)
	for i := range len(value) {
		if s == 0 {
			s = t.start[value[i]]
		} else {
			s = t.next(s, fold(value[i]))
		}
		if s != 0 && t.hit[s] {
			return i + 1
		}
	}
	return -1
}

// at returns the length of the longest pattern with which value starts, or 0.
func (t *trie) at(value string) int {
	if value == "" {
		return 0
	}
	s, found := t.start[value[0]], 0
	for i := 1; s != 0; i++ {
		if n := t.length[s]; n > 0 {
			found = int(n)
		}
		if i == len(value) {
			break
		}
		s = t.child(s, fold(value[i]))
	}
	return found
}

// starts is the set of bytes that patterns start with, in both cases.
func (t *trie) starts() string {
	var b strings.Builder
	for c, s := range t.start {
		if s != 0 {
			b.WriteByte(byte(c))
		}
	}
	return b.String()
}
