package limit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

// TestNeverMore shows on random schedules that no span as long as the limit's sees more than its count and the burst, and
// that a bucket does exactly what its definition says: it holds burst requests and gets one back each interval.
func TestNeverMore(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	evaluated, refused := 0, 0
	for round := range 300 {
		rate := config.Rate{Count: 1 + random.IntN(50), Per: time.Duration(1 + random.Int64N(int64(time.Hour)))}
		burst := 1 + random.IntN(60)
		b := newBucket(rate, burst)
		c := NewCounters(0)
		tab := c.acquire(identity{name: "x"})
		now := random.Int64N(1 << 50)
		key := random.Uint64()
		level, before := b.depth, now // of the model
		var times []int64
		for range 500 {
			switch random.IntN(4) {
			case 0: // at once
			case 1:
				now += random.Int64N(b.interval + 1)
			case 2:
				now += random.Int64N(3*b.interval + 1)
			case 3:
				if random.IntN(20) == 0 {
					now += random.Int64N(2 * b.depth)
				}
			}
			level, before = min(b.depth, level+now-before), now
			want := level >= b.interval
			if want {
				level -= b.interval
			}
			wait := tab.take(b, now, key)
			if got := wait == 0; got != want {
				t.Fatalf("round %d (%v, burst %d): at %d taken: %v, the model says %v", round, rate, burst, now, got, want)
			}
			evaluated++
			if wait == 0 {
				times = append(times, now)
				continue
			}
			refused++
			if wait != b.interval-level {
				t.Fatalf("round %d: wait is %d, the model says %d", round, wait, b.interval-level)
			}
		}
		first := 0
		for i, at := range times {
			for times[first] <= at-int64(rate.Per) {
				first++
			}
			if n := i - first + 1; n > rate.Count+burst {
				t.Fatalf("round %d: %d requests within %v, limit %d and burst %d", round, n, rate.Per, rate.Count, burst)
			}
		}
	}
	if refused < evaluated/20 || refused > evaluated*19/20 {
		t.Errorf("%d of %d refused: the schedules show little", refused, evaluated)
	}
}

// TestExtremes shows that no limit and no time overflows.
func TestExtremes(t *testing.T) {
	rates := []config.Rate{{Count: 1, Per: 1}, {Count: math.MaxInt32, Per: 1}, {Count: 1, Per: math.MaxInt64}, {Count: math.MaxInt32, Per: math.MaxInt64}}
	for _, rate := range rates {
		for _, burst := range []int{1, math.MaxInt32} {
			b := newBucket(rate, burst)
			if b.interval < 1 || b.interval > longest || b.depth < b.interval || b.depth > longest {
				t.Errorf("%v, burst %d: %+v", rate, burst, b)
			}
			c := NewCounters(0)
			tab := c.acquire(identity{})
			for _, at := range []time.Time{{}, time.Unix(0, 0), day, time.Now(), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)} {
				c := NewCounters(0)
				now := c.at(at)
				tab := c.acquire(identity{})
				if wait := tab.take(b, now, 1); wait != 0 {
					t.Errorf("%v, burst %d at %v: the first request waits %d", rate, burst, at, wait)
				}
				if wait := tab.take(b, now, 1); burst == 1 && (wait <= 0 || wait > b.interval) {
					t.Errorf("%v, burst %d at %v: the second request waits %d", rate, burst, at, wait)
				}
			}
			// A clock that goes back makes nobody wait longer than to the moment that was known.
			tab.take(b, 1<<50, 1)
			if wait := tab.take(b, 1<<49, 1); wait < 0 || wait > 1<<50+b.interval {
				t.Errorf("%v, burst %d: after the clock went back, %d", rate, burst, wait)
			}
		}
	}
}

// TestConcurrent shows that requests at the same time cannot share one place in a bucket, and that tables which grow,
// come and go meanwhile lose none.
func TestConcurrent(t *testing.T) {
	const workers, each, keys = 8, 2000, 64
	c := NewCounters(1 << 16)
	l := newLimiter(t, c, config.RateLimit{Name: "x", Key: []string{"query:k"}, Limit: config.Rate{Count: 1, Per: time.Hour}, Burst: 7})
	var within [keys]atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 7))
			for i := range each {
				k := random.IntN(keys)
				if l.Evaluate(Request{Time: day, RawQuery: "k=" + strconv.Itoa(k)}).Outcome == Within {
					within[k].Add(1)
				}
				if i%500 == 0 {
					other, err := New("other"+strconv.Itoa(w), limitsOf(i/500), c)
					if err != nil {
						t.Error(err)
						return
					}
					other.Evaluate(Request{Time: day, RawQuery: "k=" + strconv.Itoa(i)})
					if err := other.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for k := range within {
		if got := within[k].Load(); got != 7 {
			t.Errorf("key %d: %d within, want 7", k, got)
		}
	}
}

// limitsOf makes n limits.
func limitsOf(n int) []config.RateLimit {
	var out []config.RateLimit
	for i := range n {
		out = append(out, config.RateLimit{Name: fmt.Sprint("l", i), Key: []string{"query:k"}, Limit: config.Rate{Count: 1, Per: time.Hour}})
	}
	return out
}

// used gives the bytes that a process holds on its heap.
func used() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemory shows that a million different keys take no more than 16 MiB and a little, that they are given back with
// their limit, and that the bound holds for many limits together.
func TestMemory(t *testing.T) {
	const allowance = 1 << 20 // the rest of the test process
	before := used()
	c := NewCounters(0)
	l, err := New("default", limitsOf(1), c)
	if err != nil {
		t.Fatal(err)
	}
	b, tab := l.limits[0].bucket, l.limits[0].table
	random := rand.New(rand.NewPCG(8, 9))
	for range 1_000_000 {
		tab.take(b, 1<<50, random.Uint64())
	}
	full := used() - before
	t.Logf("1,000,000 keys take %.1f MiB", float64(full)/(1<<20))
	if most := int64(DefaultKeys*16 + allowance); full > most {
		t.Errorf("1,000,000 keys take %d bytes, more than %d", full, most)
	}
	many, err := New("many", limitsOf(64), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range many.limits {
		for range 30_000 {
			r.table.take(r.bucket, 1<<50, random.Uint64())
		}
	}
	together := used() - before
	t.Logf("65 limits with about 1,000,000 and 64 times 30,000 keys take %.1f MiB", float64(together)/(1<<20))
	if most := int64(DefaultKeys*16 + allowance); together > most {
		t.Errorf("65 limits take %d bytes, more than %d", together, most)
	}
	for _, l := range []*Limiter{l, many} {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l, many, tab = nil, nil, nil
	if left := used() - before; left > allowance {
		t.Errorf("%d bytes are left after the limits are gone", left)
	}
	runtime.KeepAlive(c)
}

// TestEviction shows that a flood of other keys does not fill up a bucket that is empty: new keys push out each other.
func TestEviction(t *testing.T) {
	c := NewCounters(1024)
	l := newLimiter(t, c, config.RateLimit{Name: "x", Key: []string{"query:k"}, Limit: config.Rate{Count: 10, Per: time.Minute}, Burst: 5})
	b, tab := l.limits[0].bucket, l.limits[0].table
	random := rand.New(rand.NewPCG(10, 11))
	const now = 1 << 50
	empty := make([]uint64, 100)
	for i := range empty {
		empty[i] = random.Uint64()
		for range 5 {
			if tab.take(b, now, empty[i]) != 0 {
				t.Fatal("the bucket is empty too soon")
			}
		}
	}
	for range 200_000 { // about 200 for each slot
		if tab.take(b, now+random.Int64N(1000), random.Uint64()) != 0 {
			t.Fatal("a new key is refused")
		}
	}
	for _, k := range empty {
		if wait := tab.take(b, now, k); wait == 0 {
			t.Fatal("a flood filled up an empty bucket")
		}
	}
}

// TestShrink shows that limits which take room from others leave them the buckets that lack most.
func TestShrink(t *testing.T) {
	c := NewCounters(1 << 14)
	l := newLimiter(t, c, limitsOf(1)...)
	b, tab := newBucket(config.Rate{Count: 10, Per: time.Minute}, 5), l.limits[0].table
	random := rand.New(rand.NewPCG(12, 13))
	const now = 1 << 50
	empty := make([]uint64, 200)
	for i := range empty {
		empty[i] = random.Uint64()
		for range 5 {
			tab.take(b, now, empty[i])
		}
	}
	for range 1 << 14 {
		tab.take(b, now, random.Uint64())
	}
	slots := func() (n int) {
		for i := range tab.shards {
			n += ways * len(tab.shards[i].sets)
		}
		return n
	}
	if got := slots(); got != 1<<14 {
		t.Errorf("alone, a limit has room for %d keys", got)
	}
	many, err := New("many", limitsOf(100), c)
	if err != nil {
		t.Fatal(err)
	}
	if got := slots(); got != 1024 {
		t.Errorf("beside 100 others, a limit has room for %d keys", got)
	}
	for _, k := range empty {
		if wait := tab.take(b, now, k); wait == 0 {
			t.Fatal("an empty bucket was dropped")
		}
	}
	if err := many.Close(); err != nil {
		t.Fatal(err)
	}
	for range 1 << 14 {
		tab.take(b, now, random.Uint64())
	}
	if got := slots(); got != 1<<14 {
		t.Errorf("alone again, a limit has room for %d keys", got)
	}
}

// TestManyLimits shows that tables of 10,000 limits are made in reasonable time, with little memory while they are unused.
func TestManyLimits(t *testing.T) {
	c := NewCounters(0)
	before := used()
	start := time.Now()
	for i := range 10_000 {
		l, err := New(strconv.Itoa(i), limitsOf(1), c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
	}
	took, memory := time.Since(start), used()-before
	t.Logf("10,000 limits: %v, %.1f MiB", took, float64(memory)/(1<<20))
	if memory > 64<<20 {
		t.Errorf("unused limits take %d bytes", memory)
	}
}

// BenchmarkTake is the cost of counting: one key that everyone shares, and as many keys as there are.
func BenchmarkTake(b *testing.B) {
	for _, keys := range []uint64{1, 1000, 1 << 20} {
		b.Run("keys="+strconv.FormatUint(keys, 10), func(b *testing.B) {
			c := NewCounters(0)
			l := newLimiter(b, c, limitsOf(1)...)
			bucket, tab := l.limits[0].bucket, l.limits[0].table
			var worker atomic.Uint64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				random := rand.New(rand.NewPCG(14, worker.Add(1)))
				for pb.Next() {
					tab.take(bucket, 1<<50, (random.Uint64()%keys)*0x9e3779b97f4a7c15)
				}
			})
		})
	}
}

// BenchmarkEvaluate is the cost of a request that limits take.
func BenchmarkEvaluate(b *testing.B) {
	for name, text := range map[string]string{
		"none_takes_it":     "      - { name: x, path: /other, key: [client], limit: 1/1s }\n",
		"client":            "      - { name: x, key: [client], limit: 1000000000/1s }\n",
		"client_and_form":   "      - { name: x, path: /login, methods: [POST], key: [client, \"form:email\"], limit: 1000000000/1s }\n",
		"client_and_cookie": "      - { name: x, path: \"/**\", key: [client, \"cookie:sid\"], limit: 1000000000/1s }\n",
	} {
		b.Run("limit="+name, func(b *testing.B) {
			l := newLimiter(b, NewCounters(0), limits(b, text)...)
			r := post(time.Now(), "192.0.2.1", "email=a%40example.com&password=correct+horse+battery+staple")
			r.Header = map[string][]string{"Cookie": {"a=1; sid=0123456789abcdef; theme=dark"}}
			b.ReportAllocs()
			for b.Loop() {
				if l.Evaluate(r).Outcome != Within {
					b.Fatal("exceeded")
				}
			}
		})
	}
}
