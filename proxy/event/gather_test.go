package event

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// countingOutput counts how often it was written to.
type countingOutput struct{ writes, bytes atomic.Int64 }

func (c *countingOutput) write(batch []byte) (int, error) {
	c.writes.Add(1)
	c.bytes.Add(int64(len(batch)))
	return len(batch), nil
}
func (c *countingOutput) reopen() error { return nil }
func (c *countingOutput) close() error  { return nil }

// TestLinesAreGathered shows that lines which come one after the other are written together, all of them.
func TestLinesAreGathered(t *testing.T) {
	const lines = 200
	out := &countingOutput{}
	q := newQueue(out, 1<<20, 20*time.Millisecond, func([]byte, int, error) {})
	for range lines {
		if q.put([]byte("x\n"), false) != queued {
			t.Fatal("a line did not fit")
		}
		time.Sleep(100 * time.Microsecond) // time enough for the goroutine to write each
	}
	if err := q.ask(t.Context(), flush); err != nil {
		t.Fatal(err)
	}
	if n := out.bytes.Load(); n != 2*lines {
		t.Errorf("%d bytes were written, want %d", n, 2*lines)
	}
	if n := out.writes.Load(); n > lines/4 {
		t.Errorf("%d lines were written in %d pieces", lines, n)
	}
	if _, err := q.close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestUrgentLinesDoNotWait shows that a line which is urgent is written at once, and takes what waits with it.
func TestUrgentLinesDoNotWait(t *testing.T) {
	out := &countingOutput{}
	q := newQueue(out, 1<<20, time.Hour, func([]byte, int, error) {})
	q.put([]byte("x\n"), false)
	q.put([]byte("y\n"), true)
	for deadline := time.Now().Add(30 * time.Second); out.bytes.Load() < 4; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes were written, want 4", out.bytes.Load())
		}
	}
	if _, err := q.close(context.Background()); err != nil {
		t.Error(err)
	}
}
