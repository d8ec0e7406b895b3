package engine

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/rules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testPolicy matches attack in requests and leak in replies.
const testPolicy = `SecRule ARGS_GET|REQUEST_HEADERS:Authorization "@contains attack" "id:1,phase:1,pass,log,msg:'in the head'"
SecRule ARGS_POST "@contains attack" "id:2,phase:2,deny,status:403,log,msg:'in the body'"
SecRule RESPONSE_BODY "@contains leak" "id:3,phase:4,deny,status:502,log,msg:'in the reply'"
`

func policyNamed(name, text string) rules.Policy {
	return rules.Policy{Name: name, Sources: []rules.Source{{Name: name + ".conf", Text: text}}}
}

// watcher is an Observer that can be waited for.
type watcher struct {
	mu                 sync.Mutex
	changed            *sync.Cond
	evaluated          map[Result]int
	disagreed, dropped int
}

func newWatcher() *watcher {
	w := &watcher{evaluated: map[Result]int{}}
	w.changed = sync.NewCond(&w.mu)
	return w
}

func (w *watcher) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.changed.Broadcast()
}

func (w *watcher) Evaluated(r Result) { w.note(func() { w.evaluated[r]++ }) }
func (w *watcher) Disagreed()         { w.note(func() { w.disagreed++ }) }
func (w *watcher) SampleDropped()     { w.note(func() { w.dropped++ }) }

// wait waits until a condition on the counts holds.
func (w *watcher) wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	expired := false
	timer := time.AfterFunc(20*time.Second, func() { w.note(func() { expired = true }) })
	defer timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !holds() {
		if expired {
			t.Fatalf("waiting for %s: %d disagreements, %d dropped, evaluated %v", what, w.disagreed, w.dropped, w.evaluated)
		}
		w.changed.Wait()
	}
}

func (w *watcher) counts() (disagreed, dropped int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.disagreed, w.dropped
}

// open is an engine that is closed at the end of the test, with a watcher.
func open(t testing.TB, o Options) (*Engine, *watcher) {
	t.Helper()
	w := newWatcher()
	o.Observer = w
	if o.SampleCPU == 0 {
		o.SampleCPU = 1
	}
	e := New(o)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, w
}

// judged waits until all samples so far were judged: the one that it adds is of a policy that is closed, and dropped.
func judged(t testing.TB, e *Engine, w *watcher) {
	t.Helper()
	set, err := e.Load(policyNamed("closed", "# closed"))
	if err != nil {
		t.Fatal(err)
	}
	_, before := w.counts()
	tx := set.Begin(request("GET", "/"))
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	tx.Close()
	w.wait(t, "all samples", func() bool { return w.dropped > before })
}

// compiled loads a policy that has to be compiled, until the test ends.
func compiled(t testing.TB, e *Engine, p rules.Policy) *onProgram {
	t.Helper()
	set, err := e.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	on, ok := set.(*onProgram)
	if !ok {
		t.Fatalf("not compiled: %T", set)
	}
	t.Cleanup(func() {
		if err := on.Close(); err != nil {
			t.Error(err)
		}
	})
	return on
}

func request(method, target string, headers ...rules.Header) *rules.Request {
	return &rules.Request{
		ID: "r-1", Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		Client: netip.MustParseAddrPort("203.0.113.7:40000"), Server: netip.MustParseAddrPort("192.0.2.1:8080"),
		Method: method, Target: target, Protocol: "HTTP/1.1", Headers: append([]rules.Header{{Name: "Host", Value: "shop.example.com"}}, headers...),
		Host: "shop.example.com", Path: "/", Application: "shop", Route: "/", Traffic: "auto",
	}
}

// get judges a GET of a target with an empty reply.
func get(set rules.RuleSet, target string) *rules.Result {
	return judge(set, request("GET", target), "", "")
}

// judge runs all phases, up to one that interrupts or fails.
func judge(set rules.RuleSet, r *rules.Request, body, reply string) *rules.Result {
	tx := set.Begin(r)
	if i, err := tx.RequestHeaders(); i != nil || err != nil {
		return tx.Close()
	}
	if i, err := tx.RequestBody(bodyOf(body)); i != nil || err != nil {
		return tx.Close()
	}
	if i, err := tx.ResponseHeaders(&rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{{Name: "Content-Type", Value: "text/plain"}}}); i != nil || err != nil {
		return tx.Close()
	}
	_, _ = tx.ResponseBody(bodyOf(reply))
	return tx.Close()
}

func bodyOf(s string) rules.Body {
	if s == "" {
		return rules.Body{}
	}
	return rules.Body{Reader: bytes.NewReader([]byte(s)), Length: int64(len(s))}
}

// wrong is a rule set that forgets the matches of a rule.
type wrong struct {
	rules.RuleSet
	forgets int
}

func (s wrong) Begin(r *rules.Request) rules.Transaction {
	return wrongTransaction{s.RuleSet.Begin(r), s.forgets}
}

type wrongTransaction struct {
	rules.Transaction
	forgets int
}

func (t wrongTransaction) Close() *rules.Result {
	result := *t.Transaction.Close()
	var kept []rules.Match
	for _, m := range result.Matches {
		if m.Rule != t.forgets {
			kept = append(kept, m)
		}
	}
	result.Matches = kept
	return &result
}

// fake is a reference whose answers and timing a test decides. It counts the rule sets that are open.
type fake struct {
	// begin is called for each transaction; it answers what the transaction comes to.
	begin func(policy string) *rules.Result
	load  func(policy string)

	mu   sync.Mutex
	open map[string]int
	most int
}

func newFake() *fake {
	return &fake{open: map[string]int{}, begin: func(string) *rules.Result { return &rules.Result{} }, load: func(string) {}}
}

func (f *fake) Load(p rules.Policy) (rules.RuleSet, error) {
	f.load(p.Name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[p.Name]++
	f.most = max(f.most, f.count())
	return &fakeSet{f, p.Name}, nil
}

func (f *fake) count() int {
	n := 0
	for _, open := range f.open {
		n += open
	}
	return n
}

func (f *fake) opened(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open[name]
}

type fakeSet struct {
	fake *fake
	name string
}

func (s *fakeSet) Rules() int { return 0 }

func (s *fakeSet) Close() error {
	s.fake.mu.Lock()
	defer s.fake.mu.Unlock()
	if s.fake.open[s.name] == 0 {
		return errors.New("closed twice")
	}
	s.fake.open[s.name]--
	return nil
}

func (s *fakeSet) Begin(*rules.Request) rules.Transaction {
	if s.fake.opened(s.name) == 0 {
		panic("a transaction begins on a closed rule set")
	}
	return &fakeTransaction{result: s.fake.begin(s.name)}
}

type fakeTransaction struct{ result *rules.Result }

func (t *fakeTransaction) RequestHeaders() (*rules.Interruption, error)        { return nil, nil }
func (t *fakeTransaction) RequestBody(rules.Body) (*rules.Interruption, error) { return nil, nil }
func (t *fakeTransaction) ResponseHeaders(*rules.Response) (*rules.Interruption, error) {
	return nil, nil
}
func (t *fakeTransaction) ResponseBody(rules.Body) (*rules.Interruption, error) { return nil, nil }
func (t *fakeTransaction) Close() *rules.Result                                 { return t.result }
