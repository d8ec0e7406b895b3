package action

import "net/netip"

// tree finds the prefixes that hold an address: one node for each bit. It is not changed once it is built.
type tree struct{ nodes []node }

type node struct {
	next    [2]int32 // 0 for none
	entries []*entry // whose prefix ends here
}

// add puts an entry at a prefix.
func (t *tree) add(p netip.Prefix, e *entry) {
	if t.nodes == nil {
		t.nodes = make([]node, 1)
	}
	b, at := p.Addr().AsSlice(), int32(0)
	for i := range p.Bits() {
		bit := b[i/8] >> (7 - i%8) & 1
		if t.nodes[at].next[bit] == 0 {
			t.nodes = append(t.nodes, node{})
			t.nodes[at].next[bit] = int32(len(t.nodes) - 1) //nolint:gosec // 1,000 clients of 200 actions, 128 nodes each
		}
		at = t.nodes[at].next[bit]
	}
	t.nodes[at].entries = append(t.nodes[at].entries, e)
}

// each calls do with the entries of all prefixes that hold an address of these bytes, until do says no.
func (t *tree) each(b []byte, do func(*entry) bool) {
	if t.nodes == nil {
		return
	}
	at := int32(0)
	for i := 0; ; i++ {
		for _, e := range t.nodes[at].entries {
			if !do(e) {
				return
			}
		}
		if i == 8*len(b) {
			return
		}
		if at = t.nodes[at].next[b[i/8]>>(7-i%8)&1]; at == 0 {
			return
		}
	}
}
