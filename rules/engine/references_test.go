package engine

import (
	"fmt"
	"testing"

	"gatehouse/rules"
)

// TestReferencesAreFew samples more policies than are kept.
func TestReferencesAreFew(t *testing.T) {
	e, w := open(t, Options{Sample: 1})
	f := newFake()
	var loads []string
	f.load = func(policy string) { loads = append(loads, policy) }
	f.begin = func(string) *rules.Result { return &rules.Result{Uninspected: true} } // disagrees, so that it can be waited for
	e.sampler.references.engine = f
	var sets []*onProgram
	for i := range maxReferences + 2 {
		sets = append(sets, compiled(t, e, policyNamed(fmt.Sprint("policy", i), fmt.Sprintf("# %d\n%s", i, testPolicy))))
	}
	n := 0
	sample := func(i int) {
		t.Helper()
		get(sets[i], "/")
		n++
		w.wait(t, "the sample", func() bool { return w.disagreed == n })
	}
	for i := range maxReferences {
		sample(i)
	}
	sample(0)                 // used again: 1 is the oldest now
	sample(maxReferences)     // in place of 1
	sample(0)                 // still there
	sample(1)                 // in place of 2
	sample(maxReferences + 1) // in place of 3
	want := []string{"policy0", "policy1", "policy2", "policy3", "policy4", "policy1", "policy5"}
	if fmt.Sprint(loads) != fmt.Sprint(want) {
		t.Errorf("loaded %v, want %v", loads, want)
	}
	if f.most > maxReferences {
		t.Errorf("%d rule sets of the reference at a time, want at most %d", f.most, maxReferences)
	}
	if err := sets[0].Close(); err != nil {
		t.Fatal(err)
	}
	if f.opened("policy0") != 0 {
		t.Error("the reference of a policy that was closed is open")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if n := f.count(); n != 0 {
		t.Errorf("%d rule sets of the reference are open after Close", n)
	}
}

// TestReloadWhileSamplesWait closes a policy while the reference judges a sample of it and others wait.
func TestReloadWhileSamplesWait(t *testing.T) {
	for _, c := range []struct {
		name    string
		again   bool // the new revision has the same policy
		dropped int
		judged  int
	}{
		{"another policy", false, 3, 1},
		{"the same policy", true, 0, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, w := open(t, Options{Sample: 1})
			busy, goOn := make(chan struct{}, 10), make(chan struct{})
			f := newFake()
			f.begin = func(string) *rules.Result {
				busy <- struct{}{}
				<-goOn
				return &rules.Result{}
			}
			e.sampler.references.engine = f
			old, err := e.Load(policyNamed("shop", testPolicy))
			if err != nil {
				t.Fatal(err)
			}
			for range 4 {
				get(old, "/")
			}
			<-busy
			if c.again {
				compiled(t, e, policyNamed("shop", testPolicy))
			}
			if err := old.Close(); err != nil { // does not wait
				t.Fatal(err)
			}
			if err := old.Close(); err != nil {
				t.Fatalf("closed twice: %v", err)
			}
			if n := f.opened("shop"); n != 1 {
				t.Errorf("%d rule sets of the reference are open while one is in use", n)
			}
			close(goOn)
			for range c.judged - 1 {
				<-busy
			}
			w.wait(t, "the others", func() bool { return w.dropped == c.dropped })
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if n := f.opened("shop"); n != 0 {
				t.Errorf("%d rule sets of the reference are open after Close", n)
			}
		})
	}
}

// TestPolicyThatIsClosedWhileItLoads is not kept.
func TestPolicyThatIsClosedWhileItLoads(t *testing.T) {
	e, w := open(t, Options{Sample: 1})
	loading, goOn := make(chan struct{}), make(chan struct{})
	f := newFake()
	f.load = func(string) { close(loading); <-goOn }
	e.sampler.references.engine = f
	set, err := e.Load(policyNamed("shop", testPolicy))
	if err != nil {
		t.Fatal(err)
	}
	get(set, "/")
	<-loading
	if err := set.Close(); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	w.wait(t, "the sample to be dropped", func() bool { return w.dropped == 1 })
	if n := f.opened("shop"); n != 0 {
		t.Errorf("%d rule sets of the reference are open", n)
	}
}
