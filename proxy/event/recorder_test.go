package event

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/proxy/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drops counts what a Recorder says it has dropped.
type drops struct {
	mu sync.Mutex
	n  map[string]int
}

func (d *drops) count(record, cause string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.n == nil {
		d.n = make(map[string]int)
	}
	d.n[record+" "+cause] += n
}

func (d *drops) get(key string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.n[key]
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func newRecorder(t *testing.T, o Options) *Recorder {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(within(t, 5*time.Second)) })
	return r
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s for: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func fileSink(path string) config.Sink { return config.Sink{To: path} }

func linesOf(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 0 && b[len(b)-1] != '\n' {
		t.Errorf("%s ends in a torn line: %q", path, b[max(0, len(b)-40):])
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

func TestRecorderSharesStdout(t *testing.T) {
	var out bytes.Buffer
	r := newRecorder(t, Options{Access: config.Sink{To: "stdout"}, Events: config.Sink{To: "stdout"}, Stdout: &out})
	const workers, each = 8, 200
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				r.Access(sampleAccess())
				r.Event(sampleEvent())
			}
		})
	}
	wg.Wait()
	if err := r.Close(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for line := range bytes.Lines(out.Bytes()) {
		var v struct{ Record string }
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		got[v.Record]++
	}
	if got["access"] != workers*each || got["event"] != workers*each {
		t.Errorf("got %v", got)
	}
}

func TestRecorderNone(t *testing.T) {
	r := newRecorder(t, Options{Access: config.Sink{To: "none"}, Events: config.Sink{To: "none"}, Dropped: func(string, string, int) {
		t.Error("discarding is not dropping")
	}})
	r.Access(sampleAccess())
	r.Event(sampleEvent())
	if err := r.Flush(within(t, time.Second)); err != nil {
		t.Error(err)
	}
}

func TestRecorderConsole(t *testing.T) {
	var out bytes.Buffer
	r := newRecorder(t, Options{Access: config.Sink{To: "none"}, Events: config.Sink{To: "none"}, Console: &out})
	e := sampleEvent()
	e.Query = "password=hunter2"
	r.Event(e)
	if err := r.Close(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), e.Incident) || strings.Contains(out.String(), "hunter2") {
		t.Errorf("got %q", out.String())
	}
}

func TestRecorderMasks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	r := newRecorder(t, Options{Access: fileSink(path), Events: fileSink(path)})
	a, e := sampleAccess(), sampleEvent()
	a.Path = "/login?password=hunter2"
	e.Query = "password=hunter2"
	r.Access(a)
	r.Event(e)
	if err := r.Flush(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(linesOf(t, path), "\n")
	if strings.Contains(text, "hunter2") || strings.Count(text, "password=***(7)") != 2 {
		t.Errorf("got %s", text)
	}
	if a.Path != "/login?password=hunter2" {
		t.Error("the caller's record was changed")
	}
}

func TestRecorderRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	r := newRecorder(t, Options{Access: config.Sink{To: path, MaxSize: 4096, Keep: 3}})
	const n = 60
	for i := range n {
		a := sampleAccess()
		a.RequestID = fmt.Sprintf("request-%d", i)
		r.Access(a)
		if i%7 == 0 { // batches of several sizes
			if err := r.Flush(within(t, time.Second)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.Close(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	next := n - 1
	for _, name := range []string{path, path + ".1", path + ".2", path + ".3"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 4096 {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
		list := linesOf(t, name)
		for i := len(list) - 1; i >= 0; i-- {
			if want := fmt.Sprintf(`"request_id":"request-%d"`, next); !strings.Contains(list[i], want) {
				t.Fatalf("%s line %d: want %s in %s", name, i, want, list[i])
			}
			next--
		}
	}
	if _, err := os.Stat(path + ".4"); err == nil {
		t.Error("more files than keep are left")
	}
}

func TestRecorderReopens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	r := newRecorder(t, Options{Events: fileSink(path)})
	r.Event(sampleEvent())
	if err := r.Flush(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := r.Reopen(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	r.Event(sampleEvent())
	if err := r.Flush(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	if a, b := len(linesOf(t, path+".moved")), len(linesOf(t, path)); a != 1 || b != 1 {
		t.Errorf("got %d and %d lines", a, b)
	}
}

func TestRecorderSurvivesAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "events.log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	var d drops
	r := newRecorder(t, Options{Access: fileSink(path), Events: fileSink(path), Logger: zap.New(core), Dropped: d.count})
	for range 5 {
		r.Event(sampleEvent())
		r.Access(sampleAccess())
		if err := r.Flush(within(t, time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if a, e := d.get("access write_error"), d.get("event write_error"); a != 5 || e != 5 {
		t.Errorf("counted %d access records and %d events, want 5 and 5", a, e)
	}
	if err := os.Remove(path); err != nil { // there is space again
		t.Fatal(err)
	}
	r.Event(sampleEvent())
	if err := r.Close(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	if n := len(linesOf(t, path)); n != 1 {
		t.Errorf("%d lines after recovery, want 1", n)
	}
	// The first drop is said at once, the others together at the end: not ten messages.
	if n := logs.Len(); n < 1 || n > 2 {
		t.Errorf("%d messages", n)
	}
	if text := fmt.Sprint(logs.All()[0].ContextMap()); !strings.Contains(text, "no space left") {
		t.Errorf("the message does not name the cause: %s", text)
	}
}

// short takes a few bytes and then fails, as a disk does that fills up within a write.
type short struct {
	*os.File
	room int
}

func (s *short) Write(b []byte) (int, error) {
	n, err := s.File.Write(b[:min(len(b), s.room)])
	s.room -= n
	if err == nil && n < len(b) {
		err = errors.New("no space left")
	}
	return n, err
}

func TestFileLeavesNoTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	o, err := openFile(path, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	o.f = &short{o.f.(*os.File), 8}
	n, err := o.write([]byte("one\ntwo\nthree\n"))
	if n != 8 || err == nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	o.f = &short{must(os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)), 3}
	o.size = 8
	if n, err = o.write([]byte("three\n")); n != 0 || err == nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if n, err = o.write([]byte("four\n")); n != 5 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if err := o.close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(linesOf(t, path), " "); got != "one two four" {
		t.Errorf("got %q", got)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRecorderGoesOnWhenRotationFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.MkdirAll(filepath.Join(path+".1", "occupied"), 0o755); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	var d drops
	r := newRecorder(t, Options{Access: config.Sink{To: path, MaxSize: 1024, Keep: 1}, Logger: zap.New(core), Dropped: d.count})
	for range 20 {
		r.Access(sampleAccess())
		if err := r.Flush(within(t, time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	if n := len(linesOf(t, path)); n != 20 || d.get("access write_error") != 0 {
		t.Errorf("%d lines, %d dropped", n, d.get("access write_error"))
	}
	if logs.Len() == 0 {
		t.Error("the log says nothing of the rotation that failed")
	}
}

// gate blocks writes until it is opened.
type gate struct {
	entered chan struct{}
	open    chan struct{}
	once    sync.Once
	io.Writer
}

func newGate(w io.Writer) *gate {
	return &gate{entered: make(chan struct{}), open: make(chan struct{}), Writer: w}
}

func (g *gate) Write(b []byte) (int, error) {
	g.once.Do(func() { close(g.entered) })
	<-g.open
	return g.Writer.Write(b)
}

func TestRecorderNeverBlocks(t *testing.T) {
	var out bytes.Buffer
	g, d := newGate(&out), &drops{}
	r := newRecorder(t, Options{
		Access: config.Sink{To: "stdout"}, Events: config.Sink{To: "stdout"}, Stdout: g, Dropped: d.count, QueueBytes: 16 << 10,
	})
	r.Access(sampleAccess())
	<-g.entered
	const n = 1000
	for range n {
		r.Access(sampleAccess())
	}
	if d.get("access queue_full") < n/2 {
		t.Errorf("dropped %d of %d", d.get("access queue_full"), n)
	}
	r.Event(sampleEvent()) // a flood of access records leaves room for events
	if d.get("event queue_full") != 0 {
		t.Error("the event was dropped")
	}
	if err := r.Flush(within(t, 10*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flushed a blocked sink: %v", err)
	}
	close(g.open)
	if err := r.Close(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	access, events := count(out.Bytes())
	if access+d.get("access queue_full") != n+1 || events != 1 {
		t.Errorf("%d access records written, %d dropped, %d events", access, d.get("access queue_full"), events)
	}
}

func TestRecorderCloseIsBounded(t *testing.T) {
	g, d := newGate(io.Discard), &drops{}
	r := newRecorder(t, Options{Access: config.Sink{To: "stdout"}, Stdout: g, Dropped: d.count})
	r.Access(sampleAccess())
	<-g.entered
	r.Access(sampleAccess())
	queue := r.sinks.Load().access
	if err := r.Close(within(t, 20*time.Millisecond)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if n := d.get("access shutdown"); n != 1 {
		t.Errorf("counted %d, want 1", n)
	}
	r.Access(sampleAccess())
	if n := d.get("access shutdown"); n != 2 {
		t.Errorf("a record after Close: counted %d, want 2", n)
	}
	close(g.open)
	<-queue.done
	if err := r.Update(context.Background(), config.Sink{To: "none"}, config.Sink{To: "none"}); err == nil {
		t.Error("Update after Close is no error")
	}
}

func TestRecorderUpdateLosesNothing(t *testing.T) {
	dir := t.TempDir()
	var d drops
	r := newRecorder(t, Options{Access: fileSink(filepath.Join(dir, "0")), Events: config.Sink{To: "none"}, Dropped: d.count})
	const workers, each, updates = 4, 500, 20
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				r.Access(sampleAccess())
			}
		})
	}
	for i := range updates {
		if err := r.Update(within(t, 5*time.Second), fileSink(filepath.Join(dir, fmt.Sprint(i%5))), config.Sink{To: "none"}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if err := r.Close(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for i := range 5 {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(b, []byte("\n"))
	}
	if lines != workers*each {
		t.Errorf("%d lines, want %d; dropped %v", lines, workers*each, d.n)
	}
}

func TestRecorderUpdateRefuses(t *testing.T) {
	dir := t.TempDir()
	good := fileSink(filepath.Join(dir, "good"))
	r := newRecorder(t, Options{Access: good, Events: good})
	before := r.sinks.Load()
	for name, c := range map[string]struct {
		access, events config.Sink
		want           string
	}{
		"no such folder": {good, fileSink(filepath.Join(dir, "absent", "x")), "logs.events: open "},
		"a folder":       {fileSink(dir), good, "logs.access: open "},
		"no stdout":      {config.Sink{To: "stdout"}, good, "logs.access: there is no stdout here"},
		"two settings":   {good, config.Sink{To: good.To, Keep: 7}, "give both the same max_size and keep"},
		"second fails":   {fileSink(filepath.Join(dir, "new")), fileSink(dir), "logs.events: open "},
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Update(context.Background(), c.access, c.events)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if r.sinks.Load() != before {
				t.Error("a refused update changed the sinks")
			}
		})
	}
	if _, err := New(Options{Access: fileSink(dir)}); err == nil {
		t.Error("New took a folder for a file")
	}
}

func TestRecorderLogsDropsRarely(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	r := newRecorder(t, Options{Logger: zap.New(core), LogEvery: time.Hour})
	r.dropped(recordAccess, DropQueueFull, 1, nil)
	wait(t, "the first message", func() bool { return logs.Len() == 1 })
	for range 100 {
		r.dropped(recordAccess, DropQueueFull, 1, nil)
	}
	if err := r.Close(within(t, time.Second)); err != nil {
		t.Fatal(err)
	}
	all := logs.All()
	if len(all) != 2 || all[1].ContextMap()["access_queue_full"] != int64(100) {
		t.Errorf("got %v", all)
	}
}

// forwarded is where a test has events go to.
type forwarded struct {
	counted []Reason
	lines   []string
	want    bool
}

func (f *forwarded) Count(e *Event) bool {
	f.counted = append(f.counted, e.Reason)
	return f.want
}

func (f *forwarded) Put(line []byte) { f.lines = append(f.lines, string(line)) }

// TestRecorderForwards shows that every event is counted elsewhere, and that its record goes there masked if it is wanted, whatever is
// written here.
func TestRecorderForwards(t *testing.T) {
	for _, to := range []string{"none", "stdout"} {
		var out bytes.Buffer
		f := &forwarded{}
		r := newRecorder(t, Options{Access: config.Sink{To: "none"}, Events: config.Sink{To: to}, Stdout: &out, Forward: f})
		r.Access(sampleAccess())
		r.Event(sampleEvent())
		f.want = true
		r.Event(sampleEvent())
		if err := r.Close(within(t, 5*time.Second)); err != nil {
			t.Fatal(err)
		}
		if len(f.counted) != 2 || f.counted[0] != CRSScore {
			t.Errorf("%s: %v were counted", to, f.counted)
		}
		if len(f.lines) != 1 || !strings.HasPrefix(f.lines[0], `{"record":"event",`) || !strings.HasSuffix(f.lines[0], "}\n") || strings.Contains(f.lines[0], "s3cr3t") {
			t.Errorf("%s: %q was put", to, f.lines)
		}
		if want := map[string]int{"none": 0, "stdout": 2}[to]; strings.Count(out.String(), "\n") != want {
			t.Errorf("%s: %q was written", to, out.String())
		}
	}
}
