package revision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// signedAt is when everything in these tests is signed.
var signedAt = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func newKey(t testing.TB) PrivateKey {
	t.Helper()
	k, err := NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// stack is a depot with a publisher and a reader of group edge.
type stack struct {
	t   *testing.T
	dir string
	key PrivateKey
	*Publisher
	*Reader
}

func newStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{t: t, dir: t.TempDir(), key: newKey(t)}
	s.Publisher = &Publisher{Depot: Dir(s.dir), Stack: "prod", Group: "edge", Signers: []Signer{s.key}, Now: func() time.Time { return signedAt }}
	s.Reader = &Reader{Depot: Dir(s.dir), Stack: "prod", Group: "edge", Keys: []PublicKey{s.key.Public()}}
	return s
}

func content(text string) Content {
	return Content{Main: "gatehouse.yaml", CRS: []string{"4.25.0"}, Files: map[string][]byte{
		"gatehouse.yaml": []byte(text), "rules/own.conf": []byte("SecAction \"id:1,phase:1,pass\"\n"), "empty": nil,
	}}
}

func (s *stack) publish(number uint64, text string) {
	s.t.Helper()
	b, err := Build(content(text))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.Publish(s.t.Context(), b, Order{Epoch: 1, Number: number}); err != nil {
		s.t.Fatal(err)
	}
}

// read takes the latest revision as a gateway does.
func (s *stack) read(known Statement) (*Revision, error) {
	head, err := s.Reader.Head(s.t.Context())
	if err != nil {
		return nil, err
	}
	if err := head.Follows(known); err != nil {
		return nil, err
	}
	return s.Reader.Revision(s.t.Context(), head)
}

// TestRoundTrip publishes three revisions and reads the latest.
func TestRoundTrip(t *testing.T) {
	s := newStack(t)
	if _, err := s.read(Statement{}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an empty depot: %v", err)
	}
	for n := range uint64(3) {
		text := fmt.Sprintf("version: 1 # %d", n)
		s.publish(n+1, text)
		got, err := s.read(Statement{})
		if err != nil {
			t.Fatal(err)
		}
		want := content(text)
		if !maps.EqualFunc(got.Files, want.Files, bytes.Equal) || got.Manifest.Main != want.Main {
			t.Fatalf("revision %d: %q", n+1, got.Files)
		}
		if st := got.Statement; st.Order != (Order{1, n + 1}) || st.Time != signedAt || st.Group != "edge" {
			t.Fatalf("revision %d: %+v", n+1, st)
		}
	}
	objects, err := os.ReadDir(filepath.Join(s.dir, "edge", "objects"))
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 3*2+2 { // of each the manifest and the configuration, and two files that stay the same
		t.Errorf("%d objects", len(objects))
	}
}

// TestPartsAreReadOnce shows that what a gateway has is not asked for again, and is verified.
func TestPartsAreReadOnce(t *testing.T) {
	s := newStack(t)
	s.publish(1, "version: 1")
	first, err := s.read(Statement{})
	if err != nil {
		t.Fatal(err)
	}
	s.publish(2, "version: 1 # again")
	same := HashOf(first.Files["rules/own.conf"])
	if err := os.Remove(filepath.Join(s.dir, objectName("edge", same))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.read(Statement{}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a part that is gone: %v", err)
	}
	s.Have = func(h Hash) ([]byte, bool) {
		for _, data := range first.Files {
			if HashOf(data) == h {
				return data, true
			}
		}
		return nil, false
	}
	if _, err := s.read(Statement{}); err != nil {
		t.Fatalf("a part that is here: %v", err)
	}
	s.Have = func(Hash) ([]byte, bool) { return []byte("something else"), true }
	if _, err := s.read(Statement{}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("parts that were changed here: %v", err)
	}
}

// TestPublishNeverGoesBack shows what a publisher does not do to a depot.
func TestPublishNeverGoesBack(t *testing.T) {
	s := newStack(t)
	s.publish(5, "version: 1")
	publish := func(epoch, number uint64, text string) error {
		b, err := Build(content(text))
		if err != nil {
			t.Fatal(err)
		}
		return s.Publish(t.Context(), b, Order{epoch, number})
	}
	if err := publish(1, 5, "version: 1"); err != nil {
		t.Errorf("the same again: %v", err)
	}
	var older *OlderError
	if err := publish(1, 4, "version: 1"); !errors.As(err, &older) {
		t.Errorf("a lower number: %v", err)
	}
	var fork *ForkError
	if err := publish(1, 5, "version: 1 # other"); !errors.As(err, &fork) {
		t.Errorf("another of that number: %v", err)
	}
	if err := publish(2, 1, "version: 1 # restored"); err != nil {
		t.Errorf("a higher epoch: %v", err)
	}
	if err := publish(1, 6, "version: 1"); !errors.As(err, &older) {
		t.Errorf("a lower epoch: %v", err)
	}
	other := *s.Publisher
	other.Signers = []Signer{newKey(t)}
	if err := other.Advance(t.Context(), Order{9, 9}, Hash{}); err == nil {
		t.Error("another key moves the head")
	}
}

// TestRace has publishers move the head at once: the highest number stands at the end, and none was lost.
func TestRace(t *testing.T) {
	s := newStack(t)
	var publishers sync.WaitGroup
	var mu sync.Mutex
	won := uint64(0)
	for n := range uint64(12) {
		publishers.Go(func() {
			b, err := Build(content(fmt.Sprintf("version: 1 # %d", n)))
			if err != nil {
				t.Error(err)
				return
			}
			var older *OlderError
			switch err := s.Publish(t.Context(), b, Order{1, n + 1}); {
			case err == nil:
				mu.Lock()
				won = max(won, n+1)
				mu.Unlock()
			case !errors.As(err, &older):
				t.Error(err)
			}
		})
	}
	publishers.Wait()
	got, err := s.read(Statement{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Statement.Order.Number != won || won != 12 {
		t.Errorf("the head is at %d, %d was published", got.Statement.Order.Number, won)
	}
}

// poison is a way to spoil a depot, or what a gateway knows.
type poison struct {
	name string
	make func(s *stack) (known Statement)
	want string // part of the error
}

// file writes a file of the depot.
func (s *stack) file(name string, data []byte) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) bytes(name string) []byte {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// sign writes a head and a revision as they are given, whatever they say.
func (s *stack) sign(head, rev Statement, signer Signer) {
	s.t.Helper()
	for name, st := range map[string]Statement{HeadName("edge"): head, revisionName("edge", head.Order): rev} {
		text := st.Encode()
		sig, err := signer.Sign(s.t.Context(), text)
		if err != nil {
			s.t.Fatal(err)
		}
		data, err := json.Marshal(signed{Statement: string(text), Signatures: []signature{{Key: signer.Public().ID(), Signature: sig}}})
		if err != nil {
			s.t.Fatal(err)
		}
		s.file(name, data)
	}
}

// manifest publishes a manifest of any text as number 2.
func (s *stack) putManifest(text string) {
	s.t.Helper()
	h := HashOf([]byte(text))
	s.file(objectName("edge", h), compress([]byte(text)))
	st := s.statement(KindRevision, Order{1, 2}, h)
	head := st
	head.Kind = KindHead
	s.sign(head, st, s.key)
}

// manifestWith is a manifest with one more file.
func manifestWith(name string, data []byte, size int64) string {
	main := []byte("version: 1")
	files := []Part{{Name: "gatehouse.yaml", Hash: HashOf(main), Size: int64(len(main))}, {Name: name, Hash: HashOf(data), Size: size}}
	text, _ := json.Marshal(Manifest{Format: 1, Main: "gatehouse.yaml", Files: files})
	return string(text)
}

func head(s *stack) Statement {
	h, err := s.Reader.Head(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return h
}

// edit changes the text of a signed statement without signing it again.
func (s *stack) edit(name, from, to string) {
	var in signed
	if err := json.Unmarshal(s.bytes(name), &in); err != nil {
		s.t.Fatal(err)
	}
	changed := strings.Replace(in.Statement, from, to, 1)
	if changed == in.Statement {
		s.t.Fatalf("%s has no %q", name, from)
	}
	in.Statement = changed
	data, err := json.Marshal(in)
	if err != nil {
		s.t.Fatal(err)
	}
	s.file(name, data)
}

var poisons = []poison{
	{"no signature", func(s *stack) Statement {
		data, _ := json.Marshal(signed{Statement: string(head(s).Encode())})
		s.file(HeadName("edge"), data)
		return Statement{}
	}, "is not signed"},
	{"a signature of zeros", func(s *stack) Statement {
		data, _ := json.Marshal(signed{Statement: string(head(s).Encode()), Signatures: []signature{{s.key.Public().ID(), make([]byte, 64)}}})
		s.file(HeadName("edge"), data)
		return Statement{}
	}, "signature of key"},
	{"a short signature", func(s *stack) Statement {
		data, _ := json.Marshal(signed{Statement: string(head(s).Encode()), Signatures: []signature{{s.key.Public().ID(), []byte{1}}}})
		s.file(HeadName("edge"), data)
		return Statement{}
	}, "signature of key"},
	{"another key", func(s *stack) Statement {
		st := s.statement(KindRevision, Order{1, 2}, Hash{})
		h := st
		h.Kind = KindHead
		s.sign(h, st, newKey(s.t))
		return Statement{}
	}, "none of these keys is trusted"},
	{"the head's number is changed", func(s *stack) Statement { s.edit(HeadName("edge"), "number 1", "number 2"); return Statement{} }, "signature of key"},
	{"the head's content is changed", func(s *stack) Statement {
		s.edit(HeadName("edge"), "content sha256:", "content sha256:0")
		return Statement{}
	}, "signature of key"},
	{"the head's time is changed", func(s *stack) Statement { s.edit(HeadName("edge"), "2026", "2027"); return Statement{} }, "signature of key"},
	{"the revision's content is changed", func(s *stack) Statement {
		s.edit(revisionName("edge", Order{1, 1}), "content sha256:", "content sha256:0")
		return Statement{}
	}, "signature of key"},
	{"a head for a revision", func(s *stack) Statement {
		s.file(revisionName("edge", Order{1, 1}), s.bytes(HeadName("edge")))
		return Statement{}
	}, "it is a head, not a revision"},
	{"a revision for a head", func(s *stack) Statement {
		s.file(HeadName("edge"), s.bytes(revisionName("edge", Order{1, 1})))
		return Statement{}
	}, "it is a revision, not a head"},
	{"another group", func(s *stack) Statement { s.Reader.Group = "inner"; s.copyGroup("inner"); return Statement{} }, "of group edge, not of inner"},
	{"another stack", func(s *stack) Statement { s.Reader.Stack = "test"; return Statement{} }, "of stack prod, not of test"},
	{"an older number", func(s *stack) Statement { return s.statement(KindHead, Order{1, 2}, Hash{}) }, "is older than"},
	{"an older epoch", func(s *stack) Statement { return s.statement(KindHead, Order{2, 1}, Hash{}) }, "is older than"},
	{"another of the same number", func(s *stack) Statement { return s.statement(KindHead, Order{1, 1}, Hash{}) }, "there are two revisions"},
	{"the revision is of another number", func(s *stack) Statement {
		st := s.statement(KindRevision, Order{1, 1}, head(s).Content)
		h := s.statement(KindHead, Order{1, 2}, st.Content)
		s.sign(h, st, s.key)
		return Statement{}
	}, "it is revision 1 (epoch 1), not 2"},
	{"the revision is of another content", func(s *stack) Statement {
		st := s.statement(KindRevision, Order{1, 2}, Hash{1})
		h := s.statement(KindHead, Order{1, 2}, Hash{2})
		s.sign(h, st, s.key)
		return Statement{}
	}, "there are two revisions"},
	{"no revision", func(s *stack) Statement { s.remove(revisionName("edge", Order{1, 1})); return Statement{} }, "no such file"},
	{"an empty head", func(s *stack) Statement { s.file(HeadName("edge"), nil); return Statement{} }, "EOF"},
	{"half a head", func(s *stack) Statement {
		data := s.bytes(HeadName("edge"))
		s.file(HeadName("edge"), data[:len(data)/2])
		return Statement{}
	}, "unexpected EOF"},
	{"a long head", func(s *stack) Statement {
		s.file(HeadName("edge"), bytes.Repeat([]byte(" "), MaxSigned+1))
		return Statement{}
	}, "more than"},
	{"an unknown field", func(s *stack) Statement {
		s.file(HeadName("edge"), append([]byte(`{"note":"x",`), s.bytes(HeadName("edge"))[1:]...))
		return Statement{}
	}, "unknown field"},
	{"something behind the head", func(s *stack) Statement {
		s.file(HeadName("edge"), append(s.bytes(HeadName("edge")), '1'))
		return Statement{}
	}, "behind its end"},
	{"many signatures", func(s *stack) Statement {
		in := signed{Statement: "x", Signatures: make([]signature, 9)}
		data, _ := json.Marshal(in)
		s.file(HeadName("edge"), data)
		return Statement{}
	}, "9 signatures"},
	{"a tampered file", func(s *stack) Statement {
		s.file(objectName("edge", HashOf([]byte("version: 1"))), compress([]byte("version: 2")))
		return Statement{}
	}, "it was changed"},
	{"a longer file", func(s *stack) Statement {
		s.file(objectName("edge", HashOf([]byte("version: 1"))), compress([]byte("version: 1 # more")))
		return Statement{}
	}, "more than the 10 bytes"},
	{"a shorter file", func(s *stack) Statement {
		s.file(objectName("edge", HashOf([]byte("version: 1"))), compress([]byte("version")))
		return Statement{}
	}, "it has 7 bytes, not 10"},
	{"a truncated object", func(s *stack) Statement {
		name := objectName("edge", HashOf([]byte("version: 1")))
		s.file(name, s.bytes(name)[:8])
		return Statement{}
	}, "cannot be decompressed"},
	{"an object that is not compressed", func(s *stack) Statement {
		s.file(objectName("edge", HashOf([]byte("version: 1"))), []byte("version: 1"))
		return Statement{}
	}, "cannot be decompressed"},
	{"a bomb", func(s *stack) Statement {
		s.file(objectName("edge", HashOf([]byte("version: 1"))), compress(make([]byte, 100<<20))[:1<<10])
		return Statement{}
	}, "more than the 10 bytes"},
	{"a large object", func(s *stack) Statement {
		s.file(objectName("edge", HashOf([]byte("version: 1"))), make([]byte, 10<<20))
		return Statement{}
	}, "it has more than"},
	{"no object", func(s *stack) Statement {
		s.remove(objectName("edge", HashOf([]byte("version: 1"))))
		return Statement{}
	}, "no such file"},
	{"no manifest", func(s *stack) Statement { s.remove(objectName("edge", head(s).Content)); return Statement{} }, "the manifest"},
	{"a manifest that is a bomb", func(s *stack) Statement {
		s.file(objectName("edge", head(s).Content), compress(make([]byte, 100<<20)))
		return Statement{}
	}, "the manifest: it holds more"},
	{"a manifest of another revision", func(s *stack) Statement {
		s.file(objectName("edge", head(s).Content), compress([]byte(manifestWith("x", nil, 0))))
		return Statement{}
	}, "it was changed"},
	{"a manifest that is no JSON", func(s *stack) Statement { s.putManifest("files: []"); return Statement{} }, "read the manifest"},
	{"a manifest of a later format", func(s *stack) Statement { s.putManifest(`{"format":2,"parts":[]}`); return Statement{} }, "is of format 2, and this version knows 1"},
	{"a manifest without a format", func(s *stack) Statement { s.putManifest(`{"main":"a","files":[]}`); return Statement{} }, "is of format 0"},
	{"a manifest with an unknown field", func(s *stack) Statement {
		s.putManifest(`{"format":1,"main":"a","files":[],"run":"sh"}`)
		return Statement{}
	}, "unknown field"},
	{"no configuration", func(s *stack) Statement { s.putManifest(`{"format":1,"main":"a","files":[]}`); return Statement{} }, "not among the files"},
	{"a file above", func(s *stack) Statement { s.putManifest(manifestWith("../x", nil, 0)); return Statement{} }, "is no name of a file"},
	{"an absolute file", func(s *stack) Statement { s.putManifest(manifestWith("/etc/passwd", nil, 0)); return Statement{} }, "is no name of a file"},
	{"a file in two writings", func(s *stack) Statement { s.putManifest(manifestWith("x//y", nil, 0)); return Statement{} }, "is no name of a file"},
	{"a file with a backslash", func(s *stack) Statement { s.putManifest(manifestWith(`x\y`, nil, 0)); return Statement{} }, "is no name of a file"},
	{"a file with a line break", func(s *stack) Statement { s.putManifest(manifestWith("x\ny", nil, 0)); return Statement{} }, "is no name of a file"},
	{"a file twice", func(s *stack) Statement { s.putManifest(manifestWith("gatehouse.yaml", nil, 0)); return Statement{} }, "twice, or not in order"},
	{"files in another order", func(s *stack) Statement { s.putManifest(manifestWith("a", nil, 0)); return Statement{} }, "twice, or not in order"},
	{"a file of less than nothing", func(s *stack) Statement { s.putManifest(manifestWith("x", nil, -1)); return Statement{} }, "-1 bytes"},
	{"a file that is too large", func(s *stack) Statement { s.putManifest(manifestWith("x", nil, MaxFile+1)); return Statement{} }, "more than"},
	{"a size that is wrong", func(s *stack) Statement {
		s.file(objectName("edge", HashOf([]byte("abc"))), compress([]byte("abc")))
		s.putManifest(manifestWith("x", []byte("abc"), 4))
		return Statement{}
	}, "it has 3 bytes, not 4"},
	{"too many files", func(s *stack) Statement {
		m := Manifest{Format: 1, Main: "f00000"}
		for i := range MaxFiles + 1 {
			m.Files = append(m.Files, Part{Name: fmt.Sprintf("f%05d", i)})
		}
		text, _ := json.Marshal(m)
		s.putManifest(string(text))
		return Statement{}
	}, "10001 files"},
	{"too much in all", func(s *stack) Statement {
		m := Manifest{Format: 1, Main: "f0"}
		for i := range 9 {
			m.Files = append(m.Files, Part{Name: fmt.Sprintf("f%d", i), Size: MaxFile})
		}
		text, _ := json.Marshal(m)
		s.putManifest(string(text))
		return Statement{}
	}, "more than 268435456"},
}

func (s *stack) remove(name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// copyGroup copies the objects of group edge, as another group's.
func (s *stack) copyGroup(to string) {
	s.t.Helper()
	if err := os.CopyFS(filepath.Join(s.dir, to), os.DirFS(filepath.Join(s.dir, "edge"))); err != nil {
		s.t.Fatal(err)
	}
}

// TestPoison shows that nothing of a spoilt depot is taken, and that the reason is said.
func TestPoison(t *testing.T) {
	for _, p := range poisons {
		t.Run(p.name, func(t *testing.T) {
			s := newStack(t)
			s.publish(1, "version: 1")
			if _, err := s.read(Statement{}); err != nil {
				t.Fatalf("before: %v", err)
			}
			known := p.make(s)
			r, err := s.read(known)
			if err == nil {
				t.Fatalf("it is taken: %+v", r.Statement)
			}
			if !strings.Contains(err.Error(), p.want) {
				t.Errorf("%v\nwant %s", err, p.want)
			}
		})
	}
}

// TestStatements shows that a statement is written in one way.
func TestStatements(t *testing.T) {
	good := Statement{Kind: KindRevision, Stack: "prod", Group: "edge", Order: Order{1, 42}, Content: HashOf([]byte("x")), Time: signedAt}
	text := string(good.Encode())
	if got, err := parseStatement([]byte(text)); err != nil || got != good {
		t.Fatalf("%+v: %v", got, err)
	}
	for name, bad := range map[string]string{
		"empty":               "",
		"no end":              strings.TrimSuffix(text, "\n"),
		"one more line":       text + "note x\n",
		"one less line":       strings.Replace(text, "number 42\n", "", 1),
		"another order":       strings.Replace(text, "stack prod\ngroup edge", "group edge\nstack prod", 1),
		"leading zero":        strings.Replace(text, "number 42", "number 042", 1),
		"plus":                strings.Replace(text, "number 42", "number +42", 1),
		"negative":            strings.Replace(text, "number 42", "number -42", 1),
		"number 0":            strings.Replace(text, "number 42", "number 0", 1),
		"beyond 64 bits":      strings.Replace(text, "number 42", "number 18446744073709551616", 1),
		"another time zone":   strings.Replace(text, "10:00:00Z", "11:00:00+01:00", 1),
		"fractions":           strings.Replace(text, "10:00:00Z", "10:00:00.5Z", 1),
		"CRLF":                strings.ReplaceAll(text, "\n", "\r\n"),
		"upper case hash":     strings.Replace(text, "sha256:2d", "sha256:2D", 1),
		"short hash":          strings.Replace(text, "sha256:2d", "sha256:", 1),
		"unknown kind":        strings.Replace(text, "gatehouse revision", "gatehouse thing", 1),
		"later format":        strings.Replace(text, "revision 1", "revision 2", 1),
		"group with a slash":  strings.Replace(text, "group edge", "group edge/x", 1),
		"group that is above": strings.Replace(text, "group edge", "group ..", 1),
		"no group":            strings.Replace(text, "group edge", "group ", 1),
		"no stack":            strings.Replace(text, "stack prod", "stack ", 1),
		"group of a bundle":   strings.Replace(text, "gatehouse revision", "gatehouse trust", 1),
		"long":                text + strings.Repeat("x", MaxStatement),
	} {
		if bad == text {
			t.Fatalf("%s: nothing is changed", name)
		}
		if s, err := parseStatement([]byte(bad)); err == nil {
			t.Errorf("%s is taken: %+v", name, s)
		}
	}
}

// TestTwoKeys rotates the key: what both have signed is taken by those who know either.
func TestTwoKeys(t *testing.T) {
	old, next, other := newKey(t), newKey(t), newKey(t)
	st := Statement{Kind: KindHead, Stack: "prod", Group: "edge", Order: Order{1, 1}, Time: signedAt}
	data, err := Sign(t.Context(), st, old, next)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		keys []PublicKey
		ok   bool
	}{
		"old": {[]PublicKey{old.Public()}, true}, "next": {[]PublicKey{next.Public()}, true},
		"both": {[]PublicKey{other.Public(), next.Public(), old.Public()}, true}, "other": {[]PublicKey{other.Public()}, false}, "none": {nil, false},
	} {
		if _, err := Verify(data, Want{Kind: KindHead, Stack: "prod", Group: "edge", Keys: c.keys}); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Sign(t.Context(), st); err == nil {
		t.Error("a statement is signed by nobody")
	}
}

// TestKeyFiles reads and refuses key files.
func TestKeyFiles(t *testing.T) {
	key := newKey(t)
	text, err := key.EncodePEM()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadPrivateKey(file)
	if err != nil || got.Public().String() != key.Public().String() {
		t.Fatalf("%v: %v", got.Public(), err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPrivateKey(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read: %v", err)
	}
	keys, err := ParsePublicKeys("# of prod\n" + key.Public().String() + "\n\n")
	if err != nil || len(keys) != 1 || keys[0].ID() != key.Public().ID() {
		t.Errorf("%v: %v", keys, err)
	}
	for _, bad := range []string{"", "# nothing", "ed25519:", "ed25519:AAAA", "rsa:" + strings.Repeat("A", 43) + "=", key.Public().String() + "x"} {
		if _, err := ParsePublicKeys(bad); err == nil {
			t.Errorf("%q is taken for keys", bad)
		}
	}
	for _, bad := range []string{"", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := ParsePrivateKey([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}

// TestBuild refuses what no gateway would take.
func TestBuild(t *testing.T) {
	a, err := Build(content("x"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Build(content("x"))
	if err != nil || a.Hash() != b.Hash() {
		t.Errorf("the same content has hashes %s and %s: %v", a.Hash(), b.Hash(), err)
	}
	for name, c := range map[string]Content{
		"nothing":         {},
		"no main":         {Main: "a", Files: map[string][]byte{"b": nil}},
		"a file above":    {Main: "../a", Files: map[string][]byte{"../a": nil}},
		"an absolute one": {Main: "/a", Files: map[string][]byte{"/a": nil}},
		"too large":       {Main: "a", Files: map[string][]byte{"a": make([]byte, MaxFile+1)}},
	} {
		if _, err := Build(c); err == nil {
			t.Errorf("%s is built", name)
		}
	}
}

// FuzzVerify gives any bytes for a signed statement: none is taken that was not signed, and nothing panics.
func FuzzVerify(f *testing.F) {
	key := newKey(f)
	st := Statement{Kind: KindHead, Stack: "prod", Group: "edge", Order: Order{1, 1}, Time: signedAt}
	data, err := Sign(context.Background(), st, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"statement":"","signatures":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Verify(data, Want{Kind: KindHead, Stack: "prod", Group: "edge", Keys: []PublicKey{key.Public()}})
		if err == nil && got != st {
			t.Errorf("%q is taken: %+v", data, got)
		}
		_, _ = parseStatement(data)
		_, _ = parseManifest(data)
	})
}
