package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/fleetapi"
)

// never is how often batches are written in tests that write them by themselves.
const never = time.Hour

func open(t *testing.T, o Options) *Spool {
	t.Helper()
	if o.Every == 0 {
		o.Every = never
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eventOf(rule int) *event.Event {
	e := &event.Event{Time: time.Date(2026, 11, 23, 12, 0, 59, 0, time.UTC), Application: "shop", Verdict: event.Block, Reason: event.CRSScore}
	if rule > 0 {
		e.Rules = []rules.Match{{Rule: rule}, {Rule: 949110}}
	}
	return e
}

// add gives the spool an event as the recorder does.
func add(s *Spool, e *event.Event, n int) {
	if s.Count(e) {
		s.Put(fmt.Appendf(nil, `{"record":"event","n":%d,"noise":"%x"}`+"\n", n, uint64(n+1)*0x9E3779B97F4A7C15)) //nolint:gosec // a number
	}
}

// manager is as much of one as stores batches.
type manager struct {
	t       *testing.T
	stored  map[string]int64
	records map[string]int
	events  int64
	sampled int64
}

func newManager(t *testing.T) *manager {
	return &manager{t: t, stored: map[string]int64{}, records: map[string]int{}}
}

func (m *manager) take(body []byte) {
	m.t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		m.t.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll(body, nil)
	var b fleetapi.Batch
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if b.Sequence <= m.stored[b.Spool] {
		return
	}
	m.stored[b.Spool] = b.Sequence
	for _, e := range b.Events {
		m.records[string(e)]++
	}
	for _, c := range b.Counts {
		m.events += c.Events
		m.sampled += c.Sampled
	}
}

// drain sends all that waits.
func (m *manager) drain(s *Spool) (batches int) {
	for b := s.Next(); b != nil; b = s.Next() {
		m.take(b.Body)
		s.Done(b)
		batches++
	}
	return batches
}

func (m *manager) want(records int, events, sampled int64) {
	m.t.Helper()
	for text, n := range m.records {
		if n != 1 {
			m.t.Errorf("%s was stored %d times", text, n)
		}
	}
	if len(m.records) != records || m.events != events || m.sampled != sampled {
		m.t.Errorf("%d records, %d events and %d sampled; want %d, %d, %d", len(m.records), m.events, m.sampled, records, events, sampled)
	}
}

// TestSpool shows that what is put comes out once, in order, and what is more than a second shall have is counted.
func TestSpool(t *testing.T) {
	now := time.Unix(1000, 0)
	s := open(t, Options{Dir: t.TempDir(), Full: 3, Now: func() time.Time { return now }})
	m := newManager(t)
	waiting := s.Waiting()
	for i := range 10 {
		add(s, eventOf(942100), i)
		add(s, eventOf(941100), 100+i)
	}
	add(s, eventOf(0), 200)
	now = now.Add(time.Second)
	add(s, eventOf(942100), 300)
	s.Limit(1)
	add(s, eventOf(942100), 301)
	if s.Next() != nil {
		t.Error("something waits that was not written")
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-waiting:
	default:
		t.Error("nobody was told")
	}
	b := s.Next()
	m.take(b.Body)
	m.take(b.Body) // the receipt was lost
	m.want(8, 23, 15)
	if again := s.Next(); again == nil || again.Sequence != 1 {
		t.Errorf("a batch that was not acknowledged is gone: %v", again)
	}
	s.Done(b)
	if s.Next() != nil || s.State().Waiting != 0 {
		t.Errorf("it is still there: %+v", s.State())
	}
	if err := s.flush(); err != nil || s.Next() != nil {
		t.Error("an empty batch was written")
	}
	s.Close()
}

// TestRestart shows that what waits is there after a restart, and after many.
func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	m := newManager(t)
	for i := range 5 {
		s := open(t, Options{Dir: dir})
		for j := range 3 {
			add(s, eventOf(1+j), i*10+j)
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
		}
		if i == 2 { // one was stored, and what says so was lost with the process
			m.take(s.Next().Body)
		}
		add(s, eventOf(9), i*10+9)
		s.Close()
	}
	if err := os.WriteFile(filepath.Join(dir, temporary+"1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Dir: dir})
	defer s.Close()
	if n := m.drain(s); n != 20 {
		t.Errorf("%d batches, not 20", n)
	}
	m.want(20, 20, 0)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// TestFull shows that the files stay within their size while the manager is away, that every event is counted, and that what was dropped
// is told exactly.
func TestFull(t *testing.T) {
	const most = 256 << 10
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, MaxBytes: most, Full: 1 << 30})
	put := 0
	for range 200 {
		for range 100 {
			add(s, eventOf(put%7), put)
			put++
		}
		_ = s.flush()
		if used := diskUse(t, dir); used > most {
			t.Fatalf("%d bytes, more than %d", used, most)
		}
	}
	state := s.State()
	if state.Dropped[DropSpool] == 0 || state.Waiting < most*9/10 {
		t.Errorf("%+v", state)
	}
	m := newManager(t)
	m.drain(s)
	if err := s.flush(); err != nil { // the counts that there was no room for
		t.Fatal(err)
	}
	m.drain(s)
	m.want(put-int(state.Dropped[DropSpool]), int64(put), 0)
	s.Close()
}

func diskUse(t *testing.T, dir string) (sum int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		sum += onDisk(int(info.Size()))
	}
	return sum
}

// TestManyCounts shows that counts stay exact, and few, while there is nowhere to write them.
func TestManyCounts(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), MaxBytes: 1, Full: 1})
	for i := range 3 * cutCounts {
		e := eventOf(i % 4)
		e.Time = e.Time.Add(time.Duration(i) * time.Minute)
		s.Count(e)
		if i%5000 == 0 {
			_ = s.flush()
		}
	}
	_ = s.flush()
	if n := len(s.counts); n >= cutCounts/2 {
		t.Errorf("%d counts are in memory", n)
	}
	s.o.MaxBytes = 1 << 20
	m := newManager(t)
	if err := s.flush(); err != nil || m.drain(s) != 1 {
		t.Fatal(err)
	}
	if m.events != 3*cutCounts {
		t.Errorf("%d events were counted, not %d", m.events, 3*cutCounts)
	}
	s.Close()
}

// TestMemoryFull shows that what comes faster than it is written is dropped, and told.
func TestMemoryFull(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), MemoryBytes: 1000, Full: 1 << 30})
	for i := range 100 {
		add(s, eventOf(1), i)
	}
	dropped := s.State().Dropped[DropMemory]
	if err := s.flush(); err != nil || dropped == 0 {
		t.Fatalf("%d were dropped, %v", dropped, err)
	}
	m := newManager(t)
	m.drain(s)
	m.want(100-int(dropped), 100, 0)
	s.Close()
}

// TestDiskFails shows that records are dropped and counts kept while the directory takes nothing, and that a file that was damaged is told.
func TestDiskFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "events")
	s := open(t, Options{Dir: dir})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	add(s, eventOf(1), 1)
	if err := s.flush(); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		add(s, eventOf(2+i), 2+i)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
	first := s.Next()
	if err := os.Truncate(filepath.Join(dir, first.file.name()), 0); err != nil {
		t.Fatal(err)
	}
	second := s.Next()
	if second.Sequence != first.Sequence+1 {
		t.Errorf("after the damaged one comes %d", second.Sequence)
	}
	s.Refused(second)
	m := newManager(t)
	m.drain(s)
	m.want(1, 1, 0)
	if got := s.State().Dropped; got[DropWrite] != 1 || got[DropDamaged] != 1 || got[DropRefused] != 1 {
		t.Errorf("%v", got)
	}
	s.Close()
}

// TestCut shows that much is written at once.
func TestCut(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Full: 1 << 30})
	line := []byte(`{"x":"` + strings.Repeat("x", 30<<10) + "\"}\n")
	waiting := s.Waiting()
	for range 40 {
		s.Count(eventOf(1))
		s.Put(line)
	}
	select {
	case <-waiting:
	case <-time.After(20 * time.Second):
		t.Error("a batch that is large waits")
	}
	s.Close()
}

// TestPatience shows that batches are written less often while nobody takes them, and as often as before when they are gone.
func TestPatience(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	defer s.Close()
	for i := range 45 {
		add(s, eventOf(1), i)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		if want := never * time.Duration(max(1, (i+1)/10)); s.pause() != want {
			t.Fatalf("with %d files that wait, a batch is gathered for %v, not %v", i+1, s.pause(), want)
		}
	}
	newManager(t).drain(s)
	if s.pause() != never {
		t.Errorf("with none, %v", s.pause())
	}
}

// TestManyAtOnce shows that nothing is lost between requests and the writer.
func TestManyAtOnce(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Every: time.Millisecond, Full: 1 << 30, MemoryBytes: 64 << 20})
	m := newManager(t)
	stop, drained := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drained)
		for {
			waiting := s.Waiting()
			m.drain(s)
			select {
			case <-waiting:
			case <-stop:
				return
			}
		}
	}()
	const writers, each = 8, 500
	var putting sync.WaitGroup
	for w := range writers {
		putting.Go(func() {
			for i := range each {
				add(s, eventOf(i%3), w*each+i)
			}
		})
	}
	putting.Wait()
	s.Close()
	close(stop)
	<-drained
	m.drain(s)
	m.want(writers*each, writers*each, 0)
}
