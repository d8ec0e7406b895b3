// Package buffer lends the memory through which bodies are copied.
package buffer

import "sync"

// Size is how many bytes a buffer has.
const Size = 32 << 10

// Buffer is what a copy reads into. It belongs to one goroutine until it is given back.
type Buffer [Size]byte

var pool = sync.Pool{New: func() any { return new(Buffer) }}

// Borrow lends a buffer, which may hold anything. It is safe for concurrent use.
func Borrow() *Buffer { return pool.Get().(*Buffer) }

// Return gives the buffer back, which must not be used any more.
func (b *Buffer) Return() { pool.Put(b) }
