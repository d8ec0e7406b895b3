package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
	"gatehouse/rules/program"
)

// TestSameAnswersAreNoDisagreement samples everything, and then a wrong answer, to know that it would be seen.
func TestSameAnswersAreNoDisagreement(t *testing.T) {
	e, w := open(t, Options{Sample: 1})
	set := compiled(t, e, policyNamed("shop", testPolicy))
	form := rules.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}
	for _, detect := range []bool{false, true} {
		for _, c := range []struct {
			request     *rules.Request
			body, reply string
		}{
			{request("GET", "/"), "", ""},
			{request("GET", "/?q=attack"), "", "a leak"},
			{request("POST", "/", form), "q=attack&r=%ff%00", ""},
			{request("POST", "/", form), "q=none", "nothing"},
		} {
			c.request.Detect = detect
			judge(set, c.request, c.body, c.reply)
		}
	}
	tx := set.Begin(request("GET", "/?q=ended")) // the client went away
	if _, err := tx.RequestHeaders(); err != nil {
		t.Error(err)
	}
	tx.Close()
	judged(t, e, w)
	if disagreed, dropped := w.counts(); disagreed != 0 || dropped != 1 {
		t.Errorf("%d disagreements and %d dropped, want none", disagreed, dropped-1)
	}
	set.RuleSet = wrong{set.RuleSet, 1}
	get(set, "/?q=attack")
	judged(t, e, w)
	if disagreed, dropped := w.counts(); disagreed != 1 || dropped != 2 {
		t.Errorf("%d disagreements and %d dropped, want one, about the wrong answer", disagreed, dropped-2)
	}
}

// TestReportHasNoSecrets looks for what the client sent in the log.
func TestReportHasNoSecrets(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	e, w := open(t, Options{Sample: 1, Log: zap.New(core)})
	set := compiled(t, e, policyNamed("shop", testPolicy))
	set.RuleSet = wrong{set.RuleSet, 1}
	r := request("GET", "/?secretname=attack-secretvalue", rules.Header{Name: "Authorization", Value: "secretheader attack"}, rules.Header{Name: "secretfield", Value: "x"})
	judge(set, r, "", "")
	w.wait(t, "the disagreement", func() bool { return w.disagreed > 0 })
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	warnings := 0
	for _, entry := range logs.All() {
		text := fmt.Sprint(entry.Message, entry.ContextMap())
		if strings.Contains(text, "secret") {
			t.Errorf("the log has what the client sent: %s", text)
		}
		if entry.Level == zap.WarnLevel {
			warnings++
			for _, want := range []string{"rule 1 matched on the reference alone", "ARGS_GET", "REQUEST_HEADERS", "shop", "r-1"} {
				if !strings.Contains(text, want) {
					t.Errorf("the warning %s does not say %q", text, want)
				}
			}
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings, want 1", warnings)
	}
}

// TestAlikeDisagreements are all counted, and reported a few times.
func TestAlikeDisagreements(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	e, w := open(t, Options{Sample: 1, Log: zap.New(core)})
	set := compiled(t, e, policyNamed("shop", testPolicy))
	set.RuleSet = wrong{set.RuleSet, 1}
	const n = 3 * maxAlike
	for i := range n {
		get(set, fmt.Sprintf("/?q%d=attack", i))
		w.wait(t, "the disagreement", func() bool { return w.disagreed == i+1 })
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got := logs.Len(); got != maxAlike {
		t.Errorf("%d warnings about %d disagreements of one kind, want %d", got, n, maxAlike)
	}
}

// TestReferenceThatIsNotSure gives several answers: what depends on chance is no disagreement.
func TestReferenceThatIsNotSure(t *testing.T) {
	match := func(rule int) *rules.Result {
		return &rules.Result{Matches: []rules.Match{{Rule: rule, Phase: 1}}}
	}
	for _, c := range []struct {
		name      string
		answers   []*rules.Result // in turn
		disagrees bool
	}{
		{"as the program, at the third time", []*rules.Result{match(1), match(1), {}}, false},
		{"never the same, never as the program", []*rules.Result{match(1), match(2)}, false},
		{"always the same", []*rules.Result{match(1)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, w := open(t, Options{Sample: 1})
			asked := 0
			f := newFake()
			f.begin = func(string) *rules.Result {
				asked++
				return c.answers[(asked-1)%len(c.answers)]
			}
			e.sampler.references.engine = f
			get(compiled(t, e, policyNamed("shop", testPolicy)), "/")
			judged(t, e, w)
			want := 0
			if c.disagrees {
				want = 1
			}
			if got, _ := w.counts(); got != want {
				t.Errorf("%d disagreements, want %d", got, want)
			}
		})
	}
}

// TestWhatIsNotCompared: places where the reference has no answer, and no bounds.
func TestWhatIsNotCompared(t *testing.T) {
	for _, c := range []struct {
		name, policy, target string
		bounds               program.Bounds
		result               Result
	}{
		{"a number without a digit", `SecRule ARGS "@validateNid cl .*" "id:7,phase:1,pass,log"`, "/?n=somebody", program.Bounds{}, Clean},
		{"over a bound", testPolicy, "/?a=1&b=2&c=3&d=4", program.Bounds{Values: 1}, Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, w := open(t, Options{Sample: 1, Bounds: c.bounds})
			get(compiled(t, e, policyNamed("shop", c.policy)), c.target)
			judged(t, e, w)
			if disagreed, dropped := w.counts(); disagreed != 0 || dropped != 1 {
				t.Errorf("%d disagreements and %d dropped, want none", disagreed, dropped-1)
			}
			if w.evaluated[c.result] == 0 {
				t.Errorf("evaluated %v, want one %s", w.evaluated, c.result)
			}
		})
	}
}

// TestQueueIsBounded keeps the reference busy.
func TestQueueIsBounded(t *testing.T) {
	e, w := open(t, Options{Sample: 1})
	busy, goOn := make(chan struct{}), make(chan struct{})
	f := newFake()
	f.load = func(string) { close(busy); <-goOn }
	e.sampler.references.engine = f
	set := compiled(t, e, policyNamed("shop", testPolicy))
	get(set, "/")
	<-busy
	// Transactions that began while there was room, and find none when they end.
	var late []rules.Transaction
	for range 3 {
		late = append(late, set.Begin(request("GET", "/")))
	}
	for range maxWaiting {
		get(set, "/")
	}
	if _, dropped := w.counts(); dropped != 0 {
		t.Errorf("%d dropped, want none while there is room", dropped)
	}
	for range 5 {
		tx := set.Begin(request("GET", "/"))
		if _, recorded := tx.(*counted).Transaction.(*recorder); recorded {
			t.Error("a transaction is recorded for which there is no room")
		}
		tx.Close()
	}
	for _, tx := range late {
		tx.Close()
	}
	if _, dropped := w.counts(); dropped != 8 {
		t.Errorf("%d dropped of 8 too many", dropped)
	}
	close(goOn)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	get(set, "/") // rule sets can be used on
	if n := f.opened("shop"); n != 0 {
		t.Errorf("%d rule sets of the reference are open after Close", n)
	}
}

// TestBudget measures the time from one run on the reference to the next.
func TestBudget(t *testing.T) {
	const work, share = 20 * time.Millisecond, 0.1
	e, w := open(t, Options{Sample: 1, SampleCPU: share})
	f := newFake()
	begun := make(chan time.Time, 10)
	f.begin = func(string) *rules.Result {
		begun <- time.Now()
		time.Sleep(work)
		return &rules.Result{}
	}
	e.sampler.references.engine = f
	set := compiled(t, e, policyNamed("shop", testPolicy))
	get(set, "/")
	first := <-begun
	get(set, "/")
	if between := (<-begun).Sub(first); between < time.Duration(float64(work)/share) {
		t.Errorf("%v from run to run of %v, want at least %v", between, work, time.Duration(float64(work)/share))
	}
	_, dropped := w.counts()
	if dropped != 0 {
		t.Errorf("%d dropped", dropped)
	}
}

// TestCloseDoesNotWaitForTheRest has samples waiting for a very long rest.
func TestCloseDoesNotWaitForTheRest(t *testing.T) {
	e, w := open(t, Options{Sample: 1, SampleCPU: 1e-9})
	set := compiled(t, e, policyNamed("shop", testPolicy))
	set.RuleSet = wrong{set.RuleSet, 1}
	get(set, "/?q=attack")
	w.wait(t, "the first", func() bool { return w.disagreed == 1 })
	get(set, "/")
	start := time.Now()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("Close took %v", took)
	}
	get(set, "/")
	if _, dropped := w.counts(); dropped != 2 {
		t.Errorf("%d dropped, want the one that waited and the one after Close", dropped)
	}
	if err := e.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// TestChance counts how many transactions are recorded.
func TestChance(t *testing.T) {
	const n = 4000
	for _, c := range []struct {
		share       float64
		least, most int
	}{{0, 0, 0}, {0.25, n / 5, n * 3 / 10}, {1, n, n}} {
		e, _ := open(t, Options{Sample: c.share})
		set := compiled(t, e, policyNamed("shop", testPolicy))
		recorded := 0
		for range n {
			tx := set.Begin(request("GET", "/"))
			if _, is := tx.(*counted).Transaction.(*recorder); is {
				recorded++
			}
			tx.Close()
			if e.sampler != nil {
				for len(e.sampler.queue) > maxWaiting/2 {
					select {
					case <-e.sampler.queue:
					default:
					}
				}
			}
		}
		if recorded < c.least || recorded > c.most {
			t.Errorf("%d of %d recorded at a share of %v, want %d to %d", recorded, n, c.share, c.least, c.most)
		}
	}
}

// TestLargeBodies are not sampled, and judged whole.
func TestLargeBodies(t *testing.T) {
	const most = 1000
	form := rules.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}
	long := "a=" + strings.Repeat("x", most) + "&q=attack"
	short := "a=" + strings.Repeat("x", most/2) + "&q=attack"
	cause := errors.New("the client went away")
	for _, c := range []struct {
		name   string
		reader io.Reader
		kept   bool
		fails  bool
	}{
		{"short", strings.NewReader(short), true, false},
		{"short of unknown length", onlyReader{strings.NewReader(short)}, true, false},
		{"long", strings.NewReader(long), false, false},
		{"long of unknown length", onlyReader{strings.NewReader(long)}, false, false},
		{"broken", io.MultiReader(strings.NewReader(short), iotest.ErrReader(cause)), false, true},
		{"empty", strings.NewReader(""), true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, _ := open(t, Options{})
			set := compiled(t, e, policyNamed("shop", testPolicy))
			var got []recorded
			tx := record(set.Begin(request("POST", "/", form)), request("POST", "/", form), most, func(r recorded) { got = append(got, r) })
			if _, err := tx.RequestHeaders(); err != nil {
				t.Fatal(err)
			}
			i, err := tx.RequestBody(rules.Body{Reader: c.reader, Length: -1})
			if c.fails != errors.Is(err, cause) {
				t.Errorf("the error is %v", err)
			}
			if refused := i != nil; refused != (!c.fails && c.name != "empty") {
				t.Errorf("the interruption is %v", i)
			}
			tx.Close()
			tx.Close()
			if len(got) == 1 != c.kept {
				t.Fatalf("recorded %d times, want it kept: %v", len(got), c.kept)
			}
			if c.kept && got[0].exchange.Body.Data == nil {
				t.Error("a body is recorded as none")
			}
		})
	}
}

// TestRecordIsACopy changes what a transaction was given before it is closed.
func TestRecordIsACopy(t *testing.T) {
	e, _ := open(t, Options{})
	set := compiled(t, e, policyNamed("shop", testPolicy))
	var got recorded
	r, body := request("POST", "/"), []byte("attack")
	response := &rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{{Name: "Server", Value: "x"}}}
	tx := record(set.Begin(r), r, 1000, func(x recorded) { got = x })
	_, err1 := tx.RequestHeaders()
	_, err2 := tx.RequestBody(rules.Body{Reader: bytes.NewReader(body), Length: 6})
	_, err3 := tx.ResponseHeaders(response)
	_, err4 := tx.ResponseBody(rules.Body{Reader: bytes.NewReader(body), Length: 6, Truncated: true})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	r.Headers[0].Value, response.Headers[0].Value, response.Status = "changed", "changed", 0
	copy(body, "changed")
	tx.Close()
	want := compare.Exchange{
		Request: *request("POST", "/"), Body: &compare.Body{Data: []byte("attack"), Length: 6},
		Response:     &rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{{Name: "Server", Value: "x"}}},
		ResponseBody: &compare.Body{Data: []byte("attack"), Length: 6, Truncated: true},
	}
	if diff := cmp.Diff(want, got.exchange, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
}

// onlyReader hides that a reader knows its length.
type onlyReader struct{ io.Reader }

// TestTrafficAndReloads samples traffic of many goroutines on policies that come and go.
func TestTrafficAndReloads(t *testing.T) {
	e, w := open(t, Options{Sample: 1, Spool: t.TempDir() + "/spool"})
	kept := compiled(t, e, policyNamed("kept", testPolicy))
	var running sync.WaitGroup
	for g := range 4 {
		running.Go(func() {
			for i := range 30 {
				set, err := e.Load(policyNamed(fmt.Sprint("policy", g, i%7), fmt.Sprintf("# %d of %d\n%s", i%7, g, testPolicy)))
				if err != nil {
					t.Error(err)
					return
				}
				get(set, "/?q=attack")
				get(kept, "/?q=attack")
				if err := set.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if n := e.reference.Loaded(); n != 0 {
		t.Errorf("the reference holds %d policies after Close", n)
	}
	if disagreed, _ := w.counts(); disagreed != 0 {
		t.Errorf("%d disagreements", disagreed)
	}
}
