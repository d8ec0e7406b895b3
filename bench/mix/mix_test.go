//go:build !race

package mix

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"mime"
	parts "mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// TestMixes shows of every mix that there are thousands of requests, that no two are the same even without what is only
// there to differ, and that as many are attacks as it says.
func TestMixes(t *testing.T) {
	if len(Mixes()) == 0 {
		t.Fatal("there is no mix")
	}
	for _, m := range Mixes() {
		t.Run(m.Name, func(t *testing.T) {
			requests := m.Requests(1)
			if len(requests) != m.Count || m.Count < 2000 {
				t.Fatalf("%d requests, want %d, and thousands", len(requests), m.Count)
			}
			seen, attacks, hosts := map[string]bool{}, 0, map[string]bool{}
			for i, r := range requests {
				seen[r.Target+string(r.Body)] = true
				if r.Attack {
					attacks++
				}
				if got := m.Attacks(i + 1); got != attacks {
					t.Fatalf("of the first %d requests %d are attacks, and Attacks says %d", i+1, attacks, got)
				}
				hosts[readBack(t, &r).Host] = true
			}
			// A search for one of the same words on the same page may come twice.
			if least := m.Count * 99 / 100; len(seen) < least {
				t.Errorf("%d of %d requests are distinct, want %d at least", len(seen), m.Count, least)
			}
			if want := m.Count * m.AttackPercent / 100; attacks != want {
				t.Errorf("%d attacks, want %d", attacks, want)
			}
			if len(hosts) != m.Hosts {
				t.Errorf("%d hosts, want %d", len(hosts), m.Hosts)
			}
		})
	}
}

// readBack reads what is sent as a server does, and finds the same.
func readBack(t *testing.T, r *Request) *http.Request {
	t.Helper()
	read, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.Wire())))
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Target, err)
	}
	body, err := io.ReadAll(read.Body)
	if err != nil || !bytes.Equal(body, r.Body) || read.Method != r.Method || read.RequestURI != r.Target {
		t.Fatalf("%s %s with %d bytes is read as %s %s with %d: %v", r.Method, r.Target, len(r.Body), read.Method, read.RequestURI, len(body), err)
	}
	read.Body = io.NopCloser(bytes.NewReader(body))
	return read
}

// TestAttacksOverAndOver counts on when the mix begins again.
func TestAttacksOverAndOver(t *testing.T) {
	m := Mix{Count: 150, AttackPercent: 10}
	attacks := 0
	for i := range 1000 {
		if m.attacks(i % m.Count) {
			attacks++
		}
		if got := m.Attacks(i + 1); got != attacks {
			t.Fatalf("of the first %d: %d, want %d", i+1, got, attacks)
		}
	}
}

// TestShares counts the kinds of requests in a shop.
func TestShares(t *testing.T) {
	m := find(t, "shop")
	got := map[string]int{}
	for _, r := range m.Requests(1) {
		kind := r.Method + " " + readBack(t, &r).Header.Get("Content-Type")
		if strings.HasPrefix(r.Target, "/search?") {
			kind = "search"
		}
		got[kind]++
	}
	for kind, tenths := range map[string]int{"GET ": 4, "search": 3, "POST application/x-www-form-urlencoded": 1, "POST application/json": 2} {
		if want := m.Count * tenths / 10; got[kind] != want {
			t.Errorf("%d of kind %q, want %d", got[kind], kind, want)
		}
	}
}

func find(t *testing.T, name string) Mix {
	t.Helper()
	m, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSizes shows that bodies are what they say they are, small and large.
func TestSizes(t *testing.T) {
	for name, size := range map[string]struct{ least, small, large, most int }{
		"api": {1 << 10, 2 << 10, 40 << 10, 64 << 10}, "uploads": {4 << 10, 8 << 10, 192 << 10, 260 << 10},
	} {
		small, large := 0, 0
		for _, r := range find(t, name).Requests(1) {
			n := len(r.Body)
			if n < size.least || n > size.most {
				t.Fatalf("%s: a body of %d bytes, want %d to %d", name, n, size.least, size.most)
			}
			if n < size.small {
				small++
			}
			if n > size.large {
				large++
			}
			if name == "api" && !json.Valid(r.Body) {
				t.Fatalf("no JSON: %s", r.Body)
			}
			if name == "uploads" {
				checkParts(t, &r)
			}
		}
		if small < 50 || large < 50 {
			t.Errorf("%s: %d small and %d large bodies", name, small, large)
		}
	}
}

func checkParts(t *testing.T, r *Request) {
	t.Helper()
	_, parameters, err := mime.ParseMediaType(readBack(t, r).Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parts.NewReader(bytes.NewReader(r.Body), parameters["boundary"]).ReadForm(1 << 20); err != nil {
		t.Fatal(err)
	}
}

// TestSeed shows that the seed, and nothing else, decides what the requests are.
func TestSeed(t *testing.T) {
	m := find(t, "attacks10")
	a, b, c := m.Requests(1), m.Requests(1), m.Requests(2)
	same := 0
	for i := range a {
		if !bytes.Equal(a[i].Wire(), b[i].Wire()) {
			t.Fatalf("request %d differs with the same seed", i)
		}
		if bytes.Equal(a[i].Wire(), c[i].Wire()) {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d requests are the same with another seed", same)
	}
}

// TestSized shows that documents are as large as asked for, and differ.
func TestSized(t *testing.T) {
	for _, size := range []int{0, 1 << 10, 100 << 10, 1 << 20} {
		m := Sized(size)
		if m.Count < 100 {
			t.Errorf("%d requests of %d bytes", m.Count, size)
		}
		m.Count = min(m.Count, 10)
		seen := map[string]bool{}
		for _, r := range m.Requests(1) {
			if n := len(r.Body); n < size*8/10 || n > size*12/10 {
				t.Errorf("a body of %d bytes, want %d", n, size)
			}
			seen[r.Target+string(r.Body)] = true
		}
		if len(seen) != m.Count {
			t.Errorf("%d of %d are distinct", len(seen), m.Count)
		}
	}
}

// TestText shows that text is never shorter than asked for: callers cut it.
func TestText(t *testing.T) {
	for size := range 2000 {
		if n := len(NewSource(uint64(size)).Sized(size)); n < size || n > size+300 {
			t.Fatalf("%d bytes, want %d", n, size)
		}
	}
}
