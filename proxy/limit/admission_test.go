package limit

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	var b Budget
	b.SetMost(10)
	if !b.Take(6) || !b.Take(4) || b.Take(1) || b.Held() != 10 {
		t.Fatalf("%d of 10 held", b.Held())
	}
	if b.Give(5); !b.Take(5) || b.Take(1) {
		t.Errorf("%d of 10 held", b.Held())
	}
	var unbounded Budget
	if !unbounded.Take(1<<40) || unbounded.Held() != 1<<40 {
		t.Error("a budget without a bound refused")
	}
}

// TestBudgetConcurrent shows that what many take at once never goes beyond the bound.
func TestBudgetConcurrent(t *testing.T) {
	var b Budget
	b.SetMost(100)
	var wg sync.WaitGroup
	var mu sync.Mutex
	held, most := 0, 0
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				if !b.Take(30) {
					continue
				}
				mu.Lock()
				held += 30
				most = max(most, held)
				held -= 30
				mu.Unlock()
				b.Give(30)
			}
		})
	}
	wg.Wait()
	if most > 100 || b.Held() != 0 {
		t.Errorf("%d held at most, %d in the end", most, b.Held())
	}
}

func TestLane(t *testing.T) {
	l := NewLane(1, 1, 20*time.Millisecond)
	if !l.Enter(nil) {
		t.Fatal("an empty lane is full")
	}
	begin := time.Now()
	if l.Enter(nil) || time.Since(begin) < 20*time.Millisecond {
		t.Error("the second one did not wait in vain")
	}
	entered := make(chan bool)
	long := NewLane(1, 1, time.Minute)
	long.Enter(nil)
	go func() { entered <- long.Enter(nil) }()
	for long.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if long.Enter(nil) {
		t.Error("the queue takes more than one")
	}
	if long.Leave(); !<-entered {
		t.Error("the place that became free was not given on")
	}
	over := make(chan struct{})
	close(over)
	if long.Enter(over) {
		t.Error("entered although nobody waits any more")
	}
	var none *Lane
	if none.Leave(); !none.Enter(nil) {
		t.Error("no lane at all refused")
	}
}

func TestClients(t *testing.T) {
	c := NewClients(2)
	a, b := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
	mapped := netip.MustParseAddr("::ffff:203.0.113.1")
	if !c.Take(a) || !c.Take(mapped) || c.Take(a) || !c.Take(b) {
		t.Error("not two to each client")
	}
	c.Give(a)
	if !c.Take(a) || c.Take(a) {
		t.Error("what was given back still counts, or more than that")
	}
	six, near, far := netip.MustParseAddr("2001:db8:0:1::1"), netip.MustParseAddr("2001:db8:0:1:ffff::2"), netip.MustParseAddr("2001:db8:0:2::1")
	if !c.Take(six) || !c.Take(near) || c.Take(six) || !c.Take(far) {
		t.Error("an IPv6 client is not its /64")
	}
	for _, addr := range []netip.Addr{a, a, b, six, six, far} {
		c.Give(addr)
	}
	if n := c.Len(); n != 0 {
		t.Errorf("%d clients are left", n)
	}
}

// BenchmarkClients is what one request costs, of many clients at once.
func BenchmarkClients(b *testing.B) {
	c := NewClients(100)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		addr := netip.MustParseAddr("2001:db8::1")
		for pb.Next() {
			addr = addr.Next()
			if c.Take(addr) {
				c.Give(addr)
			}
		}
	})
}
