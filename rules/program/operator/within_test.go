package operator

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestWithin compares @within with a search for the whole value, for more lists than it remembers, whose memory is used
// again, and for values of all lengths that are in them, nearly, or not at all.
func TestWithin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var lists []string
	for i := range 6 {
		var b strings.Builder
		for range 10 * (i + 1) {
			fmt.Fprintf(&b, "/%x/ ", r.Uint64()>>r.IntN(60))
		}
		lists = append(lists, b.String())
	}
	lists = append(lists, "", "/short/", strings.Repeat("/a/", 30), string(make([]byte, 100)))
	holds := newWithin()
	within := 0
	for range 100_000 {
		list := []byte(lists[r.IntN(len(lists))])
		value := fmt.Sprintf("/%x/", r.Uint64()>>r.IntN(60))
		if len(list) > 0 && r.IntN(2) == 0 {
			from := r.IntN(len(list))
			part := []byte(string(list[from : from+r.IntN(len(list)-from+1)]))
			if len(part) > 0 && r.IntN(3) == 0 {
				part[r.IntN(len(part))] ^= 1
			}
			value = string(part)
		}
		argument := string(list)
		want := strings.Contains(argument, value)
		if holds(value, argument) != want {
			t.Fatalf("%q within %q: want %v", value, argument, want)
		}
		if want {
			within++
		}
	}
	if within < 10_000 || within > 90_000 {
		t.Errorf("%d of 100,000 are within", within)
	}
}

// TestWithinKeepsItsOwn shows that what is remembered of a list is not changed with the list's memory.
func TestWithinKeepsItsOwn(t *testing.T) {
	memory := []byte(strings.Repeat("/abcdef/ ", 10))
	p := newPieces(string(memory))
	if !p.mayHold("/abcdef/") || p.mayHold("/zyxwvu/") {
		t.Error("the pieces are not those of the text")
	}
}

func BenchmarkWithin(b *testing.B) {
	var list strings.Builder
	for i := range 40 {
		fmt.Fprintf(&list, "/x-header-%d/ ", i*i)
	}
	argument := list.String()
	values := []string{"/user-agent/", "/accept-language/", "/host/", "/cookie/", "/x-forwarded-for/"}
	for name, holds := range map[string]Comparison{
		"remembered": newWithin(), "searched": func(value, argument string) bool { return strings.Contains(argument, value) },
	} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				if holds(values[i%len(values)], argument) {
					b.Fatal("within")
				}
			}
		})
	}
}
