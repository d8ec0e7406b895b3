package transform

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gatehouse/rules/crs"
	"gatehouse/rules/program/byteset"
	"gatehouse/rules/seclang"
)

// check compares one transformation of one value with the reference, and what is promised about it.
func check(t *testing.T, r *reference, name, in string) {
	t.Helper()
	f, ok := Lookup(name)
	if !ok {
		t.Fatalf("Lookup(%q) finds nothing", name)
	}
	kept := strings.Clone(in)
	var s Scratch
	out, changed, err := f.Apply(&s, in)
	if got, want := (answer{out, changed}), r.ask(t, in); got != want {
		t.Errorf("t:%s of %q = %q, changed %v; want %q, changed %v", name, in, got.out, got.changed, want.out, want.changed)
	}
	if err != nil && (out != in || changed) {
		t.Errorf("t:%s of %q: error %v with %q, changed %v", name, in, err, out, changed)
	}
	same := out == in && !changed && err == nil
	mask := byteset.Of(in)
	for _, m := range []byteset.Set{mask, mask.Union(byteset.Range(0, 127)), mask.Union(byteset.Range(0, 255))} {
		if f.Unchanged(m, in) && !same {
			t.Errorf("t:%s is said to leave %q, and gives %q, changed %v, error %v", name, in, out, changed, err)
		}
	}
	if all := mask.Union(f.Adds()); !byteset.Of(out).Within(all) {
		t.Errorf("%s(%q) = %q has bytes that neither the value nor Adds has", name, in, out)
	}
	if float64(len(out)) > f.Grows()*float64(len(in)) && !math.IsInf(f.Grows(), 1) {
		t.Errorf("%s(%q) = %q is longer than Grows says", name, in, out)
	}
	checkReaches(t, f, in, in, false)
	remove, _ := Lookup("removeWhitespace")
	if dense, _, _ := remove.Apply(&s, in); name != "removeWhitespace" {
		checkReaches(t, f, dense, in, true)
	}
	if set, ok := f.Relevant(); ok && !set.Intersects(mask) && !same {
		t.Errorf("t:%s has no byte to act on in %q, and gives %q, changed %v, error %v", name, in, out, changed, err)
	}
	// The result outlives later ones, and the input was left alone.
	first := strings.Clone(out)
	f.Apply(&s, out)
	f.Apply(&s, in+"%41\\x41 A")
	if out != first || in != kept {
		t.Errorf("t:%s of %q: result %q became %q, input became %q", name, kept, first, out, in)
	}
}

// checkReaches checks what is said of the result for in, by in itself or by the value before white space was removed.
func checkReaches(t testing.TB, f *Func, in, before string, spaced bool) {
	t.Helper()
	var s Scratch
	out, _, _ := f.Apply(&s, in)
	bytes := byteset.Of(out)
	for _, n := range []int{0, min(1, len(out)), len(out) / 2, len(out)} {
		if !f.Reaches(before, n, nil, spaced) {
			t.Errorf("%s(%q) has %d bytes, and is said not to reach %d", f.Name(), in, len(out), n)
		}
		for i := 0; i < len(out); i += 1 + len(out)/16 {
			if set := byteset.Of(out[i : i+1]); !f.Reaches(before, n, &set, spaced) {
				t.Errorf("%s(%q) = %q is said not to reach %d with %q", f.Name(), in, out, n, out[i])
			}
		}
		if none := bytes.Complement(); f.Checks() && !spaced && f.Reaches(before, n, &none, spaced) {
			t.Errorf("%s(%q) = %q is said to have one of %v", f.Name(), in, out, none)
		}
	}
}

func TestAgreesWithReference(t *testing.T) {
	count := 0
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			r := newReference(t, name)
			for _, in := range seeds() {
				check(t, r, name, in)
				count++
			}
		})
	}
	if count < 5000 {
		t.Errorf("%d comparisons, want at least 5000", count)
	}
}

// TestEveryCodePoint decodes every %uHHHH, which covers the table of look-alikes, and folds every character's case.
func TestEveryCodePoint(t *testing.T) {
	uni, js := newReference(t, "urlDecodeUni"), newReference(t, "jsDecode")
	for high := range 256 {
		var percent, escaped strings.Builder
		for low := range 256 {
			fmt.Fprintf(&percent, "%%u%02x%02X", high, low)
			fmt.Fprintf(&escaped, `\u%02X%02x\u{%x}`, high, low, high<<8|low)
		}
		check(t, uni, "urlDecodeUni", percent.String())
		check(t, js, "jsDecode", escaped.String())
	}
	for _, name := range []string{"lowercase", "uppercase", "removeWhitespace", "compressWhitespace", "utf8toUnicode"} {
		r := newReference(t, name)
		var b strings.Builder
		for c := range rune(0x20000) {
			b.WriteRune(c)
			if b.Len() > 4000 {
				check(t, r, name, b.String())
				b.Reset()
			}
		}
		check(t, r, name, b.String())
	}
}

// TestEveryShortValue runs all values of up to three bytes over the bytes that a transformation looks at.
func TestEveryShortValue(t *testing.T) {
	alphabets := map[string]string{
		"normalisepath":      "/.a",
		"normalisepathwin":   "/\\. :a",
		"removecomments":     "/*<!->#a",
		"removecommentschar": "/*<!->#a",
		"replacecomments":    "/*a",
		"cmdline":            "/( ,A\"",
		"compresswhitespace": " a\t\xa0\xc2\x85",
		"trim":               " a\n",
	}
	count := 0
	for name, alphabet := range alphabets {
		r := newReference(t, name)
		depth := 3
		if len(alphabet) <= 4 {
			depth = 5
		}
		var walk func(in string)
		walk = func(in string) {
			check(t, r, name, in)
			count++
			if len(in) < depth {
				for i := range len(alphabet) {
					walk(in + alphabet[i:i+1])
				}
			}
		}
		walk("")
	}
	if count < 1000 {
		t.Errorf("%d comparisons, want at least 1000", count)
	}
}

// TestEntitiesAreFound proves the list of names that count without a semicolon: every one is decoded, and no other of up
// to three letters.
func TestEntitiesAreFound(t *testing.T) {
	if len(bareEntities) != 106 {
		t.Errorf("%d names, want 106", len(bareEntities))
	}
	for name := range bareEntities {
		if in := "&" + name + " "; html.UnescapeString(in) == in || !mayHaveEntity(in) {
			t.Errorf("%q is not decoded", in)
		}
	}
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for _, a := range letters {
		for _, b := range letters {
			for _, c := range " " + letters {
				in := "&" + string([]rune{a, b, c})
				if decoded := html.UnescapeString(in) != in; decoded && !mayHaveEntity(in) {
					t.Errorf("%q is decoded and not found", in)
				}
			}
		}
	}
}

func TestLookup(t *testing.T) {
	a, ok := Lookup("normalizePath")
	b, ok2 := Lookup("NORMALISEPATH")
	if !ok || !ok2 || a != b {
		t.Errorf("the two spellings of normalisePath are %p and %p", a, b)
	}
	if _, ok := Lookup("sqlHexDecode"); ok {
		t.Error("sqlHexDecode is found, which the reference does not have")
	}
}

func TestUnchangedIsSharp(t *testing.T) {
	tests := []struct {
		name, in string
		want     bool
	}{
		{"urlDecodeUni", "plain text", true},
		{"urlDecodeUni", "a+b", false},
		{"lowercase", "plain text 1", true},
		{"lowercase", "Plain", false},
		{"cmdLine", "/api/v1/users(1) x", true},
		{"cmdLine", "a /b", false},
		{"compressWhitespace", "two words here", true},
		{"compressWhitespace", "two  spaces", false},
		{"normalisePath", "/api/v1.2/users/", true},
		{"normalisePath", "/api/../users", false},
		{"normalisePathWin", "/api/v1.2/a user", true},
		{"normalisePathWin", "/api./x", false},
		{"removeComments", "a-b/c*d", true},
		{"removeComments", "a--b", false},
		{"htmlEntityDecode", "a=1&b=2", true},
		{"htmlEntityDecode", "a&lt;b", false},
		{"trim", "a b", true},
		{"trim", "a ", false},
		{"length", "", false},
	}
	for _, test := range tests {
		t.Run(test.name+" "+test.in, func(t *testing.T) {
			f, _ := Lookup(test.name)
			if got := f.Unchanged(byteset.Of(test.in), test.in); got != test.want {
				t.Errorf("Unchanged = %v, want %v", got, test.want)
			}
		})
	}
}

// TestPlainValuesCostNoAllocation also holds for values that change: they go into the scratch.
func TestPlainValuesCostNoAllocation(t *testing.T) {
	for _, name := range names() {
		for kind, in := range map[string]string{"plain": plainValue, "hostile": hostileValue} {
			if kind == "hostile" && name == "htmlentitydecode" {
				continue // the decoder makes its own strings
			}
			f, _ := Lookup(name)
			var s Scratch
			f.Apply(&s, in)
			if n := testing.AllocsPerRun(20, func() {
				s.Reset()
				f.Apply(&s, in)
			}); n > 0 {
				t.Errorf("t:%s of a %s value: %v allocations", name, kind, n)
			}
		}
	}
}

func TestScratchKeepsStringsApart(t *testing.T) {
	var s Scratch
	upper, _ := Lookup("uppercase")
	encode, _ := Lookup("hexEncode")
	for round := range 3 {
		var got, want []string
		for i := range 400 {
			in := strings.Repeat(fmt.Sprintf("value %d-%d;", round, i), i%40)
			out, _, _ := upper.Apply(&s, in)
			hexed, _, _ := encode.Apply(&s, out)
			got = append(got, out, hexed)
			want = append(want, strings.ToUpper(in), fmt.Sprintf("%x", strings.ToUpper(in)))
		}
		used := 0
		for i := range got {
			used += len(want[i])
			if got[i] != want[i] {
				t.Fatalf("round %d: string %d is %q, want %q", round, i, got[i], want[i])
			}
		}
		if s.Used() != used {
			t.Errorf("round %d: Used() = %d, want %d", round, s.Used(), used)
		}
		s.Reset()
	}
	upper.Apply(&s, strings.Repeat("a", 3*largestChunk))
	s.Reset()
	if cap(s.chunk) > largestChunk {
		t.Errorf("%d bytes are kept after a large value", cap(s.chunk))
	}
}

// TestEverythingInCRS: every release's transformations are here.
func TestEverythingInCRS(t *testing.T) {
	count := 0
	for _, version := range crs.Versions() {
		release, err := crs.Load(version)
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range release.Rules {
			file, errs := seclang.Parse(source)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			for _, d := range file.Directives {
				if d.Rule == nil {
					continue
				}
				for _, link := range append([]*seclang.Directive{d}, d.Rule.Links...) {
					for _, action := range link.Rule.All("t") {
						if _, ok := Lookup(action.Value); !ok {
							t.Errorf("%s: t:%s is not there", link.Position, action.Value)
						}
						count++
					}
				}
			}
		}
	}
	if count < 500 {
		t.Errorf("%d transformations, want at least 500", count)
	}
}

// FuzzTransform compares with the reference. The index picks the transformation.
func FuzzTransform(f *testing.F) {
	all := names()
	for i := range all {
		for j := i % 29; j < len(seeds()); j += 29 {
			if in := seeds()[j]; len(in) < 300 {
				f.Add(uint8(i), in)
			}
		}
	}
	var references []*reference
	for _, name := range all {
		references = append(references, newReference(f, name))
	}
	f.Fuzz(func(t *testing.T, index uint8, in string) {
		i := int(index) % len(all)
		check(t, references[i], all[i], in)
	})
}

const (
	plainValue   = "The quick brown fox, order 1234: shipped to 12 High Street. Thanks and see you/soon"
	hostileValue = "%3CscRipt%3E  al\\x65rt(&quot;1&quot;)/* x */ -- %u0041+\\u{41} C^md /c ..\\..\\a/../b\x00\xff\xc2\xa0 \u212a"
)

func BenchmarkTransform(b *testing.B) {
	for _, name := range names() {
		f, _ := Lookup(name)
		if name != strings.ToLower(f.Name()) {
			continue // another name of one that is measured
		}
		for _, value := range []struct{ kind, in string }{
			{"plain", strings.ToLower(plainValue)},
			{"hostile", strings.Repeat(hostileValue, 10)},
		} {
			b.Run("name="+f.Name()+"/value="+value.kind, func(b *testing.B) {
				var s Scratch
				mask := byteset.Of(value.in)
				b.ReportAllocs()
				b.SetBytes(int64(len(value.in)))
				skipped := 0
				for b.Loop() {
					s.Reset()
					if f.Unchanged(mask, value.in) {
						skipped++
						continue
					}
					f.Apply(&s, value.in)
				}
				b.ReportMetric(float64(skipped)/float64(b.N), "unchanged/op")
			})
		}
	}
}
