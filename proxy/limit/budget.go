package limit

import "sync/atomic"

// Budget bounds an amount that is held at once: bytes of bodies, or requests. The zero value bounds nothing and counts
// all the same. It may be used concurrently, but for SetMost, which comes first.
type Budget struct {
	most int64
	held atomic.Int64
}

// SetMost sets the bound; 0 is none.
func (b *Budget) SetMost(n int64) { b.most = n }

// Take takes n, and reports whether there was room for it; if not, nothing is taken.
func (b *Budget) Take(n int64) bool {
	if held := b.held.Add(n); b.most > 0 && held > b.most {
		b.held.Add(-n)
		return false
	}
	return true
}

// Give gives n of what was taken back.
func (b *Budget) Give(n int64) { b.held.Add(-n) }

// Held is what is taken at this moment.
func (b *Budget) Held() int64 { return b.held.Load() }

// Most is the bound, 0 if there is none.
func (b *Budget) Most() int64 { return b.most }
