package transform

import "unsafe"

// Scratch holds the strings that were made in one transaction, by transformations or else. The zero Scratch is ready for use, by one
// goroutine. It only ever appends, so the strings stay valid, and may be transformed further, until Reset.
type Scratch struct {
	chunk []byte // strings point into the first len bytes, and into chunks before this one
	used  int
}

const (
	firstChunk = 4 << 10
	// A chunk that grew beyond this is not kept for the next transaction, and no chunk is made larger than this unless
	// one value needs it.
	largestChunk = 1 << 20
)

// Reset makes the memory free for the next transaction. Strings from before must not be used any more.
func (s *Scratch) Reset() {
	s.used = 0
	s.chunk = s.chunk[:0]
	if cap(s.chunk) > largestChunk {
		s.chunk = nil
	}
}

// Used is the number of bytes of the strings made since Reset.
func (s *Scratch) Used() int { return s.used }

// Room returns an empty slice with room for n bytes. What is appended to it is no string of the Scratch before Keep.
func (s *Scratch) Room(n int) []byte {
	if cap(s.chunk)-len(s.chunk) < n || s.chunk == nil {
		s.chunk = make([]byte, 0, max(n, firstChunk, min(2*cap(s.chunk), largestChunk)))
	}
	return s.chunk[len(s.chunk):]
}

// Keep makes a string of b, which must come from the last Room and may have outgrown it.
func (s *Scratch) Keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	s.used += len(b)
	if free := s.chunk[len(s.chunk):cap(s.chunk)]; len(free) > 0 && &free[0] == &b[0] {
		s.chunk = s.chunk[:len(s.chunk)+len(b)]
	} else {
		s.chunk = b
	}
	return unsafe.String(&b[0], len(b))
}
