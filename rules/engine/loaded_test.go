package engine

import (
	"runtime"
	"testing"
	"time"

	"gatehouse/rules"
)

func loadedPolicy(name, text string) rules.Policy {
	return rules.Policy{Name: name, Sources: []rules.Source{{Name: "text", Text: text}}}
}

// TestUnchangedPoliciesAreShared loads a policy again while somebody has it, under other names and with other limits.
func TestUnchangedPoliciesAreShared(t *testing.T) {
	e := New(Options{})
	load := func(p rules.Policy) *onProgram {
		t.Helper()
		set, err := e.Load(p)
		if err != nil {
			t.Fatal(err)
		}
		return set.(*onProgram)
	}
	const text = `SecRule ARGS "@rx attack" "id:1,phase:2,deny"`
	first := load(loadedPolicy("first", text))
	if again := load(loadedPolicy("second", text)); again.ready != first.ready {
		t.Error("the same text is compiled again")
	}
	if other := load(loadedPolicy("first", text+"\n")); other.ready == first.ready {
		t.Error("another text has the same program")
	}
	limited := loadedPolicy("first", text)
	limited.Limits.Arguments = 7
	if other := load(limited); other.ready == first.ready {
		t.Error("other limits have the same program")
	}
	runtime.KeepAlive(first)
}

// TestProgramsAreForgotten shows that closed policies leave nothing behind.
func TestProgramsAreForgotten(t *testing.T) {
	e := New(Options{})
	for i := range 50 {
		set, err := e.Load(loadedPolicy("policy", `SecRule ARGS "@streq `+string(rune('a'+i%26))+time.Duration(i).String()+`" "id:1,phase:2,deny"`))
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Close(); err != nil {
			t.Fatal(err)
		}
		set = nil
		runtime.GC()
	}
	e.loaded.mu.Lock()
	defer e.loaded.mu.Unlock()
	if n := len(e.loaded.programs); n > 3 {
		t.Errorf("%d programs are remembered that nobody has", n)
	}
}
