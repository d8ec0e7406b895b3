package engine

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
	"gatehouse/rules/rulestest"
)

// TestSpooledCase reads what is stored of a disagreement back, and runs it: as a test file on the reference, which agrees,
// and on the wrong engine, which does not; and as a request.
func TestSpooledCase(t *testing.T) {
	form := rules.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}
	chunked := rules.Header{Name: "Transfer-Encoding", Value: "chunked"}
	for _, c := range []struct {
		name        string
		rule        int
		request     *rules.Request
		body, reply string
	}{
		{"query", 1, request("GET", "/?q=attack%27", rules.Header{Name: "X-Long", Value: strings.Repeat("x", 3000)}), "", ""},
		{"body", 2, request("POST", "/", form, rules.Header{Name: "Content-Length", Value: "22"}), "a=\xff\x00\"\r\n-- x --\n=attack", ""},
		{"chunked body", 2, request("POST", "/", form, chunked), "a=1&q=attack\n", ""},
		{"reply", 3, request("GET", "/"), "", "a leak\nin lines"},
	} {
		for _, detect := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, " detect=", detect), func(t *testing.T) {
				directory := filepath.Join(t.TempDir(), "state", "spool")
				e, w := open(t, Options{Sample: 1, Spool: directory})
				set := compiled(t, e, policyNamed("shop", testPolicy))
				set.RuleSet = wrong{set.RuleSet, c.rule}
				c.request.Detect = detect
				judge(set, c.request, c.body, c.reply)
				w.wait(t, "the disagreement", func() bool { return w.disagreed == 1 })
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				private(t, directory)
				rulesText := readGzip(t, one(t, directory, "policy-*/policy.rules.gz"))
				caseText := read(t, one(t, directory, "disagreement-*/case.rules"))
				if strings.Contains(caseText, "Not as it was: the") {
					t.Errorf("something is lost:\n%s", caseText)
				}
				file, err := rulestest.Parse("stored", rulesText+caseText)
				if err != nil {
					t.Fatalf("%v\n%s", err, caseText)
				}
				reference, err := New(Options{Mode: Reference}).Load(rules.Policy{Sources: file.Sources, Limits: file.Limits})
				if err != nil {
					t.Fatal(err)
				}
				if differences, _ := rulestest.CheckCase(reference, &file.Cases[0], rulestest.AnyEngine); len(differences) > 0 {
					t.Errorf("the reference does not answer as stored: %v\n%s", differences, caseText)
				}
				if differences, _ := rulestest.CheckCase(set.RuleSet, &file.Cases[0], rulestest.AnyEngine); len(differences) == 0 {
					t.Errorf("the wrong engine passes the stored case:\n%s", caseText)
				}
				if err := reference.Close(); err != nil {
					t.Error(err)
				}
				sent, err := http.ReadRequest(bufio.NewReader(strings.NewReader(read(t, one(t, directory, "disagreement-*/request.http")))))
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(sent.Body); err != nil || string(body) != c.body || sent.RequestURI != c.request.Target {
					t.Errorf("the stored request reads back as %s with %q, %v", sent.RequestURI, body, err)
				}
			})
		}
	}
}

// private holds a spool against the modes that it should have.
func private(t *testing.T, directory string) {
	t.Helper()
	files := 0
	if err := filepath.WalkDir(directory, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o700)
		if !d.IsDir() {
			want = 0o600
			files++
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", path, got, want)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if files < 3 {
		t.Errorf("%d files", files)
	}
}

func one(t *testing.T, directory, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(directory, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v; want one", pattern, found, err)
	}
	return found[0]
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readGzip(t *testing.T, path string) string {
	t.Helper()
	r, err := gzip.NewReader(strings.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// comparison is one to store, of about that many bytes.
func comparison(size int) *Comparison {
	return &Comparison{Exchange: compare.Exchange{
		Request: *request("POST", "/"), Body: &compare.Body{Data: bytes.Repeat([]byte("a"), size/2)},
	}}
}

func sampledPolicyOf(text string) *sampledPolicy {
	p := policyNamed("shop", text)
	return &sampledPolicy{Policy: p, digest: digestOf(p)}
}

// TestSpoolIsBounded stores more than fits, in bytes and in number.
func TestSpoolIsBounded(t *testing.T) {
	for _, c := range []struct {
		name  string
		most  int64
		size  int
		count int
	}{
		{"bytes", 100 << 10, 9000, 40},
		{"number", 64 << 20, 10, maxSpooled + 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := openSpool(filepath.Join(t.TempDir(), "spool"), c.most)
			if err != nil {
				t.Fatal(err)
			}
			foreign := filepath.Join(s.path, "notes.txt")
			if err := os.WriteFile(foreign, []byte("not ours"), 0o600); err != nil {
				t.Fatal(err)
			}
			policy := sampledPolicyOf(testPolicy)
			first, last := "", ""
			for range c.count {
				if last, err = s.store(policy, comparison(c.size)); err != nil {
					t.Fatal(err)
				}
				if first == "" {
					first = last
				}
				entries, err := s.entries()
				if err != nil {
					t.Fatal(err)
				}
				total := int64(0)
				for _, e := range entries {
					total += e.size
				}
				if total > c.most || len(entries) > maxSpooled {
					t.Fatalf("%d entries with %d bytes", len(entries), total)
				}
			}
			if _, err := os.Stat(first); err == nil {
				t.Error("the first is still there")
			}
			for _, path := range []string{last, filepath.Join(s.path, policyPrefix+policy.digest.short()), foreign} {
				if _, err := os.Stat(path); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestSpoolIsSwept opens one with less room than before, and with what an earlier process did not finish.
func TestSpoolIsSwept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s, err := openSpool(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := s.store(sampledPolicyOf(testPolicy), comparison(9000)); err != nil {
			t.Fatal(err)
		}
	}
	unfinished := filepath.Join(path, unfinishedPrefix+"1")
	if err := os.Mkdir(unfinished, 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err = openSpool(path, 30<<10); err != nil {
		t.Fatal(err)
	}
	entries, err := s.entries()
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 || len(entries) > 4 {
		t.Errorf("%d entries are left", len(entries))
	}
	if _, err := os.Stat(unfinished); err == nil {
		t.Error("what was not finished is still there")
	}
	if _, err := s.store(sampledPolicyOf(testPolicy), comparison(100<<10)); err == nil {
		t.Error("a case that is larger than the spool is stored")
	}
}

// TestSpoolOfOthers is not used.
func TestSpoolOfOthers(t *testing.T) {
	base := t.TempDir()
	for name, make := range map[string]func(path string) error{
		"readable by others": func(path string) error { return os.Mkdir(path, 0o755) },
		"a link":             func(path string) error { return os.Symlink(base, path) },
		"a file":             func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(base, name)
			if err := make(path); err != nil {
				t.Fatal(err)
			}
			if _, err := openSpool(path, 1<<20); err == nil {
				t.Error("it is used")
			}
			// The engine samples all the same.
			e, w := open(t, Options{Sample: 1, Spool: path})
			set := compiled(t, e, policyNamed("shop", testPolicy))
			set.RuleSet = wrong{set.RuleSet, 1}
			get(set, "/?q=attack")
			w.wait(t, "the disagreement", func() bool { return w.disagreed == 1 })
		})
	}
}
