//go:build !race

package engine

import (
	"runtime"
	"testing"

	"gatehouse/bench/mix"
	"gatehouse/rules/parity"
)

// TestHeapFlat judges requests that nobody sent before, benign and not, and looks at what stays in memory.
func TestHeapFlat(t *testing.T) {
	total := 8_000
	if long() {
		total = 1_000_000
	}
	set := load(t, parity.Candidate(), crsPolicy(t, 1))
	cases := mix.Cases()[:4] // the small ones
	const batch = 500
	seed := uint64(1 << 40)
	var heaps []uint64
	for quarter := range 4 {
		for done := 0; done < total/4; done += batch {
			seed++
			c := cases[seed%uint64(len(cases))]
			requests := judged(c.Benign(batch, seed))
			if seed/uint64(len(cases))%2 == 0 {
				requests = judged(c.Attacks(batch, seed))
			}
			for i := range requests {
				if _, err := requests[i].Judge(set); err != nil {
					t.Fatal(err)
				}
			}
		}
		heaps = append(heaps, heap())
		t.Logf("after %d requests: %d KiB", (quarter+1)*total/4, heaps[quarter]>>10)
	}
	const most = 1 << 20
	if first, last := heaps[0], heaps[3]; last > first+most {
		t.Errorf("the heap grows from %d to %d KiB", first>>10, last>>10)
	}
}

// heap is what is in use once garbage is gone.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // pools are emptied in two steps
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
