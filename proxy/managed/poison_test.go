package managed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"gatehouse/proxy/config"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// poisoner spoils what a manager offers.
type poisoner struct {
	*manager
	number   uint64 // of the revision that is spoilt now
	upstream string // of configurations that are right but for one thing
	other    revision.PrivateKey
	busy     string // an address that is in use
}

// poison is a way to do so. make gives the signed head that is offered.
type poison struct {
	name string
	make func(p *poisoner) []byte
	want string // part of the reason
}

// signedText is a signed statement as it is sent.
type signedText struct {
	Statement  string         `json:"statement"`
	Signatures []signatureRaw `json:"signatures"`
}

type signatureRaw struct {
	Key       string `json:"key"`
	Signature []byte `json:"signature"`
}

func (p *poisoner) order() revision.Order { return revision.Order{Epoch: 1, Number: p.number} }

// raw signs any text.
func (p *poisoner) raw(text string, key revision.PrivateKey) []byte {
	p.t.Helper()
	sig, err := key.Sign(context.Background(), []byte(text))
	if err != nil {
		p.t.Fatal(err)
	}
	return encode(signedText{text, []signatureRaw{{key.Public().ID(), sig}}})
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func (p *poisoner) statement(kind revision.Kind, content revision.Hash) revision.Statement {
	return revision.Statement{Kind: kind, Stack: testStack, Group: testGroup, Order: p.order(), Content: content, Time: time.Now().UTC().Truncate(time.Second)}
}

func (p *poisoner) file(name string, data []byte) {
	p.t.Helper()
	path := filepath.Join(string(p.dir), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *poisoner) read(name string) []byte {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(string(p.dir), name))
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}

func (p *poisoner) remove(name string) {
	p.t.Helper()
	if err := os.Remove(filepath.Join(string(p.dir), name)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *poisoner) revisionFile() string {
	return fmt.Sprintf("%s/revisions/1-%d.json", testGroup, p.number)
}

func objectFile(h revision.Hash) string {
	return testGroup + "/objects/" + strings.TrimPrefix(h.String(), "sha256:")
}

var zstdEncoder, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))

func squeeze(data []byte) []byte { return zstdEncoder.EncodeAll(data, nil) }

// good publishes a revision with nothing wrong, whose files are its own, and gives its head.
func (p *poisoner) good() []byte { return p.build(p.files("", "")) }

// files are those of a configuration that serves, with a change.
func (p *poisoner) files(from, to string) map[string][]byte {
	files := configFor(p.upstream)
	text := string(files[config.BundleMain])
	if from != "" && !strings.Contains(text, from) {
		p.t.Fatalf("the configuration has no %q", from)
	}
	files[config.BundleMain] = []byte(strings.Replace(text, from, to, 1) + fmt.Sprintf("# %d\n", p.number))
	files["files/a.txt"] = fmt.Appendf(nil, "a %d", p.number)
	return files
}

// build signs a revision of any files.
func (p *poisoner) build(files map[string][]byte) []byte {
	p.t.Helper()
	b, err := revision.Build(revision.Content{Main: config.BundleMain, Files: files, CRS: []string{"4.25.0"}})
	if err != nil {
		p.t.Fatal(err)
	}
	s := p.statement(revision.KindHead, b.Hash())
	publisher := p.publisher()
	publisher.Depot = depotWithoutHead{p.dir}
	if err := publisher.Publish(context.Background(), b, p.order()); err != nil {
		p.t.Fatal(err)
	}
	return p.raw(string(s.Encode()), p.key)
}

// depotWithoutHead lets any number be published.
type depotWithoutHead struct{ revision.Dir }

func (d depotWithoutHead) Get(ctx context.Context, name string, most int64) ([]byte, string, error) {
	if strings.HasSuffix(name, "/head.json") {
		return nil, "", os.ErrNotExist
	}
	return d.Dir.Get(ctx, name, most)
}

func (d depotWithoutHead) Replace(context.Context, string, string, []byte) error { return nil }

// manifest signs a revision whose manifest has any text.
func (p *poisoner) manifest(text string) []byte {
	h := revision.HashOf([]byte(text))
	p.file(objectFile(h), squeeze([]byte(text)))
	p.file(p.revisionFile(), p.raw(string(p.statement(revision.KindRevision, h).Encode()), p.key))
	return p.raw(string(p.statement(revision.KindHead, h).Encode()), p.key)
}

// manifestOf is the text of a manifest with a file beside the configuration.
func (p *poisoner) manifestOf(name string, size int64) string {
	main := p.files("", "")[config.BundleMain]
	h := revision.HashOf(main)
	p.file(objectFile(h), squeeze(main))
	files := []revision.Part{{Name: config.BundleMain, Hash: h, Size: int64(len(main))}, {Name: name, Hash: revision.HashOf([]byte("abc")), Size: size}}
	p.file(objectFile(revision.HashOf([]byte("abc"))), squeeze([]byte("abc")))
	slices.SortStableFunc(files, func(a, b revision.Part) int { return strings.Compare(a.Name, b.Name) })
	return string(encode(revision.Manifest{Format: 1, Main: config.BundleMain, Files: files, CRS: []string{"4.25.0"}}))
}

// content is the hash of the manifest of a head.
func (p *poisoner) content(head []byte) revision.Hash {
	s, err := revision.Verify(head, revision.Want{Kind: revision.KindHead, Stack: testStack, Group: testGroup, Keys: []revision.PublicKey{p.key.Public()}})
	if err != nil {
		p.t.Fatal(err)
	}
	return s.Content
}

// poisons are all kinds.
func poisons() []poison {
	return slices.Concat(poisonedStatements(), poisonedTexts(), poisonedOrders(), poisonedRevisions(), poisonedManifests(), poisonedParts(),
		poisonedConfigurations(), poisonedRules(), poisonedSecrets())
}

// poisonedStatements are signed heads that are not what they say, or that nobody who counts has signed.
func poisonedStatements() []poison {
	var out []poison
	add := func(name, want string, make func(p *poisoner) []byte) {
		out = append(out, poison{"head: " + name, make, want})
	}
	head := func(p *poisoner) (in signedText) {
		_ = json.Unmarshal(p.good(), &in)
		return in
	}
	add("no signature", "is not signed", func(p *poisoner) []byte { in := head(p); in.Signatures = nil; return encode(in) })
	add("signed by another key", "none of these keys is trusted", func(p *poisoner) []byte { return p.raw(head(p).Statement, p.other) })
	add("another key by the name of ours", "signature of key", func(p *poisoner) []byte {
		in := head(p)
		sig, _ := p.other.Sign(context.Background(), []byte(in.Statement))
		in.Signatures[0].Signature = sig
		return encode(in)
	})
	add("nine signatures", "9 signatures", func(p *poisoner) []byte {
		in := head(p)
		in.Signatures = make([]signatureRaw, 9)
		return encode(in)
	})
	for _, n := range []int{0, 1, 32, 63, 65, 128} {
		add(fmt.Sprintf("a signature of %d bytes", n), "signature of key", func(p *poisoner) []byte {
			in := head(p)
			in.Signatures[0].Signature = make([]byte, n)
			return encode(in)
		})
	}
	for _, bit := range []int{0, 100, 255, 256, 400, 511} {
		add(fmt.Sprintf("bit %d of the signature", bit), "signature of key", func(p *poisoner) []byte {
			in := head(p)
			in.Signatures[0].Signature[bit/8] ^= 1 << (bit % 8)
			return encode(in)
		})
	}
	for i, field := range []string{"gatehouse head", "stack", "group", "epoch", "number", "content", "time"} {
		add("a changed "+field, "signature of key", func(p *poisoner) []byte {
			in := head(p)
			lines := strings.Split(in.Statement, "\n")
			last := len(lines[i]) - 1
			lines[i] = lines[i][:last] + string(lines[i][last]^1)
			in.Statement = strings.Join(lines, "\n")
			return encode(in)
		})
	}
	for _, n := range []int{1, 2, 20, 60, 150, 250, 300} {
		add(fmt.Sprintf("cut after %d bytes", n), "read the signed statement", func(p *poisoner) []byte { return p.good()[:n] })
	}
	add("an unknown field", "unknown field", func(p *poisoner) []byte { return append([]byte(`{"note":1,`), p.good()[1:]...) })
	add("something behind it", "behind its end", func(p *poisoner) []byte { return append(p.good(), "{}"...) })
	add("17 KiB of spaces", "more than 16384", func(p *poisoner) []byte { return append(bytes.Repeat([]byte(" "), 17<<10), p.good()...) })
	add("no JSON", "read the signed statement", func(p *poisoner) []byte { return fmt.Appendf(nil, "head %d", p.number) })
	add("compressed", "read the signed statement", func(p *poisoner) []byte { return squeeze(p.good()) })
	for kind, want := range map[revision.Kind]string{revision.KindRevision: "it is a revision, not a head", fleetapi.KindActions: "actions", fleetapi.KindLists: "lists"} {
		add("a statement of kind "+string(kind), want, func(p *poisoner) []byte {
			return p.raw(string(p.statement(kind, p.content(p.good())).Encode()), p.key)
		})
	}
	for _, stack := range []string{"test", "production", "PROD", "prod2"} {
		add("of stack "+stack, "of stack "+stack+", not of prod", func(p *poisoner) []byte {
			s := p.statement(revision.KindHead, p.content(p.good()))
			s.Stack = stack
			return p.raw(string(s.Encode()), p.key)
		})
	}
	for _, group := range []string{"inner", "edges", "EDGE"} {
		add("of group "+group, "of group "+group+", not of edge", func(p *poisoner) []byte {
			s := p.statement(revision.KindHead, p.content(p.good()))
			s.Group = group
			return p.raw(string(s.Encode()), p.key)
		})
	}
	return out
}

// poisonedTexts are statements that the key has signed, and that are not written as statements are.
func poisonedTexts() []poison {
	var out []poison
	for _, x := range []struct{ name, from, to, want string }{
		{"a later format", "head 1\n", "head 2\n", "is of format 2"},
		{"no format", "head 1\n", "head\n", "begins no statement"},
		{"another product", "gatehouse head", "doorhouse head", "begins no statement"},
		{"an unknown kind", "gatehouse head", "gatehouse tail", "no statements of kind"},
		{"no stack", "stack prod\n", "", "has 6 lines"},
		{"no group", "group edge\n", "", "has 6 lines"},
		{"an empty group", "group edge\n", "group \n", "is no name of a group"},
		{"a group with a slash", "group edge\n", "group edge/../x\n", "is no name of a group"},
		{"a stack with a space", "stack prod\n", "stack pr od\n", "is no name of a stack"},
		{"a long stack", "stack prod\n", "stack " + strings.Repeat("p", 64) + "\n", "is no name of a stack"},
		{"fields in another order", "stack prod\ngroup edge\n", "group edge\nstack prod\n", "is not its stack"},
		{"a field twice", "stack prod\n", "stack prod\nstack prod\n", "has 8 lines"},
		{"something behind it", "Z\n", "Z\nx\n", "has 8 lines"},
		{"no line break at the end", "Z\n", "Z", "has 6 lines"},
		{"line breaks of another system", "stack prod\n", "stack prod\r\n", "is no name of a stack"},
		{"a negative epoch", "epoch 1\n", "epoch -1\n", "epoch"},
		{"an epoch beyond 64 bits", "epoch 1\n", "epoch 18446744073709551616\n", "epoch"},
		{"an epoch with a leading zero", "epoch 1\n", "epoch 01\n", "not written as statements are"},
		{"an epoch with a sign", "epoch 1\n", "epoch +1\n", "epoch"},
		{"a number that is none", "number ", "number x", "number"},
		{"a number in hexadecimal", "number ", "number 0x", "number"},
		{"a hash of another kind", "content sha256:", "content sha512:", "is no hash"},
		{"a hash without a kind", "content sha256:", "content ", "is no hash"},
		{"a long hash", "content sha256:", "content sha256:00", "is no hash"},
		{"a time of another day", "time 20", "time 30000-20", "time"},
		{"a time with fractions", "Z\n", ".5Z\n", "not written as statements are"},
		{"5 KiB", "stack prod\n", "stack prod" + strings.Repeat(" ", 5<<10) + "\n", "more than 4096"},
	} {
		out = append(out, poison{"text: " + x.name, func(p *poisoner) []byte {
			text := string(p.statement(revision.KindHead, p.content(p.good())).Encode())
			changed := strings.Replace(text, x.from, x.to, 1)
			if changed == text {
				p.t.Fatalf("the statement has no %q", x.from)
			}
			return p.raw(changed, p.key)
		}, x.want})
	}
	return append(out, poison{"text: number 0", func(p *poisoner) []byte {
		s := p.statement(revision.KindHead, p.content(p.good()))
		s.Order.Number = 0
		return p.raw(string(s.Encode()), p.key)
	}, "numbers begin at 1"})
}

// poisonedOrders are right but for their place among the revisions. What is served is revision 1000 of epoch 1.
func poisonedOrders() []poison {
	var out []poison
	for _, o := range []revision.Order{{Epoch: 1, Number: 999}, {Epoch: 1, Number: 1}, {Epoch: 0, Number: 1000}, {Epoch: 0, Number: 1 << 62}, {Epoch: 0, Number: 1}} {
		out = append(out, poison{"order: " + o.String(), func(p *poisoner) []byte {
			s := p.statement(revision.KindHead, p.content(p.good()))
			s.Order = o
			return p.raw(string(s.Encode()), p.key)
		}, "is older than 1000 (epoch 1)"})
	}
	return append(out, poison{"order: another 1000", func(p *poisoner) []byte {
		s := p.statement(revision.KindHead, p.content(p.good()))
		s.Order.Number = servedNumber
		return p.raw(string(s.Encode()), p.key)
	}, "there are two revisions 1000"})
}

// poisonedRevisions have a right head and a wrong revision behind it.
func poisonedRevisions() []poison {
	var out []poison
	add := func(name, want string, spoil func(p *poisoner, data []byte) []byte) {
		out = append(out, poison{"revision: " + name, func(p *poisoner) []byte {
			head := p.good()
			p.file(p.revisionFile(), spoil(p, p.read(p.revisionFile())))
			return head
		}, want})
	}
	add("empty", "read the signed statement", func(*poisoner, []byte) []byte { return nil })
	for _, n := range []int{1, 50, 200, 300} {
		add(fmt.Sprintf("cut after %d bytes", n), "read the signed statement", func(_ *poisoner, data []byte) []byte { return data[:n] })
	}
	add("longer than it may be", "more than 16384 bytes", func(_ *poisoner, data []byte) []byte { return append(data, bytes.Repeat([]byte(" "), 17<<10)...) })
	add("not signed", "is not signed", func(_ *poisoner, data []byte) []byte {
		var in signedText
		_ = json.Unmarshal(data, &in)
		in.Signatures = nil
		return encode(in)
	})
	sign := func(change func(s *revision.Statement)) func(p *poisoner, data []byte) []byte {
		return func(p *poisoner, _ []byte) []byte {
			s := p.statement(revision.KindRevision, revision.HashOf([]byte("x")))
			change(&s)
			return p.raw(string(s.Encode()), p.key)
		}
	}
	add("of another key", "none of these keys is trusted", func(p *poisoner, _ []byte) []byte {
		return p.raw(string(p.statement(revision.KindRevision, revision.HashOf([]byte("x"))).Encode()), p.other)
	})
	add("a head", "it is a head, not a revision", sign(func(s *revision.Statement) { s.Kind = revision.KindHead }))
	add("of another stack", "of stack test, not of prod", sign(func(s *revision.Statement) { s.Stack = "test" }))
	add("of another group", "of group inner, not of edge", sign(func(s *revision.Statement) { s.Group = "inner" }))
	add("of a lower number", "it is revision 1 (epoch 1), not", sign(func(s *revision.Statement) { s.Order.Number = 1 }))
	add("of a higher number", "it is revision 99999 (epoch 1), not", sign(func(s *revision.Statement) { s.Order.Number = 99999 }))
	add("of another epoch", "(epoch 2), not", sign(func(s *revision.Statement) { s.Order.Epoch = 2 }))
	add("of another content", "there are two revisions", sign(func(*revision.Statement) {}))
	out = append(out, poison{"revision: missing", func(p *poisoner) []byte {
		head := p.good()
		p.remove(p.revisionFile())
		return head
	}, "does not have edge/revisions/1-"})
	return out
}

// poisonedManifests have a right revision and a wrong manifest behind it.
func poisonedManifests() []poison {
	var out []poison
	spoil := func(name, want string, change func(data []byte) []byte) {
		out = append(out, poison{"manifest: " + name, func(p *poisoner) []byte {
			head := p.good()
			object := objectFile(p.content(head))
			p.file(object, change(p.read(object)))
			return head
		}, want})
	}
	spoil("empty", "it was changed", func([]byte) []byte { return nil })
	for _, n := range []int{1, 8, 40} {
		spoil(fmt.Sprintf("cut after %d bytes", n), "the manifest: it cannot be decompressed", func(data []byte) []byte { return data[:n] })
	}
	spoil("not compressed", "the manifest: it cannot be decompressed", func([]byte) []byte { return []byte(`{"format":1}`) })
	spoil("of another revision", "the manifest: its hash is", func([]byte) []byte { return squeeze([]byte(`{"format":1,"main":"a","files":[]}`)) })
	spoil("a bomb of 100 MiB", "the manifest: it holds more than", func([]byte) []byte { return squeeze(make([]byte, 100<<20)) })
	spoil("10 MiB as they are", "it has more than", func([]byte) []byte { return make([]byte, 10<<20) })
	out = append(out, poison{"manifest: missing", func(p *poisoner) []byte {
		head := p.good()
		p.remove(objectFile(p.content(head)))
		return head
	}, "the manifest: the manager does not have"})
	for name, x := range map[string][2]string{
		"no JSON":               {"files: []", "read the manifest"},
		"a list":                {`[]`, "read the manifest"},
		"null":                  {`null`, "is of format 0"},
		"of a later format":     {`{"format":2,"parts":[]}`, "is of format 2, and this version knows 1"},
		"of a format far ahead": {`{"format":1000}`, "is of format 1000"},
		"of no format":          {`{"main":"a","files":[]}`, "is of format 0"},
		"of a negative format":  {`{"format":-1,"main":"a","files":[]}`, "is of format -1"},
		"with an unknown field": {`{"format":1,"main":"a","files":[],"run":"sh"}`, "unknown field"},
		"without files":         {`{"format":1,"main":"gatehouse.yaml","files":[]}`, "not among the files"},
		"without configuration": {`{"format":1,"files":[]}`, "not among the files"},
		"with two values":       {`{"format":1,"main":"a","files":[]}{}`, "read the manifest"},
	} {
		out = append(out, poison{"manifest: " + name, func(p *poisoner) []byte { return p.manifest(x[0]) }, x[1]})
	}
	for _, name := range []string{"../x", "../../etc/passwd", "/etc/passwd", "x//y", "./x", "x/", ".", "..", "x/../../y", `x\y`, "x\ny", "x\x00", "x\x7f", strings.Repeat("x", 201)} {
		out = append(out, poison{fmt.Sprintf("manifest: a file %.20q", name), func(p *poisoner) []byte { return p.manifest(p.manifestOf(name, 3)) }, "is no name of a file"})
	}
	for name, x := range map[string]struct {
		size int64
		want string
	}{"-1": {-1, "has -1 bytes"}, "2": {2, "more than the 2 bytes"}, "4": {4, "it has 3 bytes, not 4"}, "0": {0, "more than the 0 bytes"}, "65 MiB": {65 << 20, "more than 67108864"}, "2^62": {1 << 62, "more than 67108864"}} {
		out = append(out, poison{"manifest: a size of " + name, func(p *poisoner) []byte { return p.manifest(p.manifestOf("x", x.size)) }, x.want})
	}
	many := func(n int, size int64) string {
		m := revision.Manifest{Format: 1, Main: "f00000"}
		for i := range n {
			m.Files = append(m.Files, revision.Part{Name: fmt.Sprintf("f%05d", i), Size: size})
		}
		return string(encode(m))
	}
	return append(out,
		poison{"manifest: a file twice", func(p *poisoner) []byte { return p.manifest(p.manifestOf(config.BundleMain, 3)) }, "listed twice"},
		poison{"manifest: too many files", func(p *poisoner) []byte { return p.manifest(many(revision.MaxFiles+1, 0)) }, "10001 files"},
		poison{"manifest: too much in all", func(p *poisoner) []byte { return p.manifest(many(9, revision.MaxFile)) }, "more than 268435456"},
		poison{"manifest: another configuration", func(p *poisoner) []byte {
			return p.manifest(strings.Replace(p.manifestOf("other.yaml", 3), `"main":"gatehouse.yaml"`, `"main":"other.yaml"`, 1))
		}, `the configuration of the revision is "other.yaml"`},
		poison{"manifest: a release that is not here", func(p *poisoner) []byte {
			return p.manifest(strings.Replace(p.manifestOf("x", 3), `"4.25.0"`, `"4.99.0"`, 1))
		}, "needs release \"4.99.0\""},
	)
}

// poisonedParts have a right manifest and a wrong file behind it.
func poisonedParts() []poison {
	var out []poison
	for _, name := range []string{config.BundleMain, "files/a.txt"} {
		spoil := func(what, want string, change func(p *poisoner, object string, data []byte)) {
			out = append(out, poison{"part " + name + ": " + what, func(p *poisoner) []byte {
				head := p.good()
				data := p.files("", "")[name]
				change(p, objectFile(revision.HashOf(data)), data)
				return head
			}, want})
		}
		spoil("missing", "the manager does not have", func(p *poisoner, object string, _ []byte) { p.remove(object) })
		spoil("empty", "it has 0 bytes", func(p *poisoner, object string, _ []byte) { p.file(object, nil) })
		for _, n := range []int{1, 6} {
			spoil(fmt.Sprintf("cut after %d bytes", n), "it cannot be decompressed", func(p *poisoner, object string, _ []byte) { p.file(object, p.read(object)[:n]) })
		}
		spoil("cut by one byte", "the file "+name+": it ", func(p *poisoner, object string, _ []byte) { data := p.read(object); p.file(object, data[:len(data)-1]) })
		spoil("changed", "its hash is", func(p *poisoner, object string, data []byte) {
			changed := bytes.Clone(data)
			changed[0] ^= 1
			p.file(object, squeeze(changed))
		})
		spoil("longer", "it holds more than", func(p *poisoner, object string, data []byte) { p.file(object, squeeze(append(bytes.Clone(data), '#'))) })
		spoil("ten times as long", "it holds more than", func(p *poisoner, object string, data []byte) { p.file(object, squeeze(bytes.Repeat(data, 10))) })
		spoil("shorter", "bytes, not", func(p *poisoner, object string, data []byte) { p.file(object, squeeze(data[1:])) })
		spoil("a bomb of 100 MiB", "it holds more than", func(p *poisoner, object string, _ []byte) { p.file(object, squeeze(make([]byte, 100<<20))[:1<<10]) })
		spoil("10 MiB as they are", "it has more than", func(p *poisoner, object string, _ []byte) { p.file(object, make([]byte, 10<<20)) })
		spoil("not compressed", "it cannot be decompressed", func(p *poisoner, object string, data []byte) { p.file(object, data) })
	}
	return out
}

// poisonedConfigurations are signed as they should be, and cannot be served.
func poisonedConfigurations() []poison {
	var out []poison
	for _, x := range []struct{ name, from, to, want string }{
		{"no YAML", "version: 1\n", "version: [\n", "gatehouse.yaml:"},
		{"an unknown key", "version: 1\n", "version: 1\nversions: 2\n", "versions: is not a key"},
		{"a key twice", "version: 1\n", "version: 1\nversion: 1\n", "version"},
		{"a later version", "version: 1\n", "version: 7\n", "version"},
		{"an alias", "version: 1\n", "version: &x 1\nadmin: *x\n", "gatehouse.yaml:"},
		{"two documents", "version: 1\n", "version: 1\n---\nversion: 1\n", "gatehouse.yaml:"},
		{"an unknown mode", "mode: block", "mode: blok", "is not a mode"},
		{"an empty mode of nonsense", "mode: block", "mode: [block]", "mode"},
		{"an unknown policy", "policy: default", "policy: none", "none"},
		{"an unknown upstream", "upstream: shop }", "upstream: shopp }", "shopp"},
		{"no hosts", `hosts: ["*"]`, "hosts: []", "hosts"},
		{"a bad host", `hosts: ["*"]`, `hosts: ["a b"]`, "hosts"},
		{"a host twice", `hosts: ["*"]`, `hosts: ["*", "*"]`, "hosts"},
		{"a bad upstream", "allow_loopback: true", "allow_loopback: maybe", "allow_loopback"},
		{"an upstream that is no URL", `url: "http`, `url: "ftp`, "url"},
		{"an upstream on this host", ", allow_loopback: true", "", "loopback"},
		{"an unknown release", `version: "4.25.0"`, `version: "9.9.9"`, "9.9.9"},
		{"a bad release", `version: "4.25.0"`, `version: "latest"`, "latest"},
		{"a bad paranoia", `version: "4.25.0"`, `version: "4.25.0", paranoia: 9`, "paranoia"},
		{"a threshold of nothing", `version: "4.25.0"`, `version: "4.25.0", inbound_threshold: -1`, "inbound_threshold"},
		{"a bad listener", `trusted_hops: 0`, `trusted_hops: -1`, "trusted_hops"},
		{"a bad address", `{ name: http, address: "127.0.0.1:0"`, `{ name: http, address: "nonsense"`, "address"},
		{"an address that is not of this host", `{ name: http, address: "127.0.0.1:0"`, `{ name: http, address: "192.0.2.1:80"`, "192.0.2.1:80"},
		{"an unknown protocol", "trusted_hops: 0", "trusted_hops: 0, protocol: gopher", "protocol"},
		{"HTTPS without a certificate", "trusted_hops: 0", "trusted_hops: 0, protocol: https", "certificates"},
		{"another admin address", `admin: { address: "127.0.0.1:0" }`, `admin: { address: "127.0.0.1:1" }`, "needs a restart"},
		{"a certificate that is not here", "version: 1\n", "version: 1\ncertificates: [{ name: a, cert_file: /nowhere/a.pem, key_file: /nowhere/a.key }]\n", "/nowhere/a.pem"},
		{"a secret store that is not there", "version: 1\n", "version: 1\ncertificates: [{ name: a, secret: \"ssm:a\" }]\n", "not available"},
		{"a list from a file that is not in it", "version: 1\n", "version: 1\nlists: [{ name: a, file: files/none.txt }]\n", "files/none.txt"},
		{"a list from this host's disk", "version: 1\n", "version: 1\nlists: [{ name: a, file: /etc/hostname }]\n", "it is not in the revision"},
		{"a list that climbs out", "version: 1\n", "version: 1\nlists: [{ name: a, file: ../../etc/hostname }]\n", "it is not in the revision"},
		{"a page from this host's disk", "mode: block", "mode: block, replies: { html_file: /etc/hostname }", "it is not in the revision"},
		{"rules from this host's disk", `policies: [{ name: default,`, `policies: [{ name: default, seclang_file: /etc/hostname,`, "it is not in the revision"},
		{"a list of no addresses", "version: 1\n", "version: 1\nlists: [{ name: a, addresses: [nonsense] }]\n", "nonsense"},
		{"an exclusion of everything", "mode: block", "mode: block, exclusions: [{ name: off, rules: [949110], paths: [/], reason: x }]", "949110"},
		{"a policy that extends itself", "{ name: default,", "{ name: default, extends: default,", "extends"},
		{"a route twice", "upstream: shop }", "upstream: shop, routes: [{ path: / }, { path: / }] }", "routes[1]"},
		{"a route with dots", "upstream: shop }", "upstream: shop, routes: [{ path: /a/../b }] }", "dot segment"},
		{"a bad body limit", "upstream: shop }", "upstream: shop, routes: [{ path: /, body: { max_bytes: many } }] }", "max_bytes"},
		{"a log that is a directory", "logs: { access: none, events: none }", "logs: { access: /tmp/, events: none }", "/tmp"},
	} {
		out = append(out, poison{"configuration: " + x.name, func(p *poisoner) []byte { return p.build(p.files(x.from, x.to)) }, x.want})
	}
	return append(out,
		poison{"configuration: missing", func(p *poisoner) []byte {
			files := p.files("", "")
			files["other.yaml"] = files[config.BundleMain]
			delete(files, config.BundleMain)
			b, err := revision.Build(revision.Content{Main: "other.yaml", Files: files})
			if err != nil {
				p.t.Fatal(err)
			}
			publisher := p.publisher()
			publisher.Depot = depotWithoutHead{p.dir}
			if err := publisher.Publish(context.Background(), b, p.order()); err != nil {
				p.t.Fatal(err)
			}
			return p.raw(string(p.statement(revision.KindHead, b.Hash()).Encode()), p.key)
		}, `is "other.yaml", not gatehouse.yaml`},
		poison{"configuration: empty", func(p *poisoner) []byte {
			return p.build(map[string][]byte{config.BundleMain: fmt.Appendf(nil, "# %d", p.number)})
		}, "applications"},
		poison{"configuration: binary", func(p *poisoner) []byte {
			return p.build(map[string][]byte{config.BundleMain: append([]byte{0, 1, 2, 0xff, byte(p.number)}, "x"...)})
		}, "gatehouse.yaml"},
		poison{"configuration: a port in use", func(p *poisoner) []byte {
			return p.build(p.files(`{ name: http, address: "127.0.0.1:0"`, `{ name: http, address: "`+p.busy+`"`))
		}, "is in use"},
	)
}

// poisonedRules are configurations whose rules are refused, by what confines them, by the compiler or by the self-test.
func poisonedRules() []poison {
	var out []poison
	rules := func(name, text, want string) {
		out = append(out, poison{"rules: " + name, func(p *poisoner) []byte {
			files := p.files(`policies: [{ name: default,`, `policies: [{ name: default, seclang_file: files/own.conf,`)
			files["files/own.conf"] = []byte(text + fmt.Sprintf("\n# %d\n", p.number))
			return p.build(files)
		}, want})
	}
	for _, directive := range []string{
		"Include /etc/passwd", "SecRuleEngine Off", "SecRequestBodyAccess Off", "SecResponseBodyAccess Off", "SecAuditLog /tmp/x", "SecAuditEngine On",
		"SecDebugLog /tmp/x", "SecDataDir /tmp", "SecDefaultAction \"phase:1,pass\"", "SecRequestBodyLimit 1", "SecRemoteRules key https://example.com/",
		"SecUploadDir /tmp", "SecTmpDir /tmp", "SecUnknownThing On", "SecArgumentsLimit 1", "SecComponentSignature x", "SecWebAppID x",
		"SecCollectionTimeout 1", "SecRuleScript /tmp/x.lua", "SecPcreMatchLimit 1",
	} {
		rules(strings.Fields(directive)[0], directive, strings.Fields(directive)[0])
	}
	for i, pattern := range []string{"(", "[a", "a**", "(?P<x", "a)", "(?!a)b", "(?<=a)b", "[z-a]", "*a", `(a)\1`} {
		rules(fmt.Sprintf("pattern %d", i), fmt.Sprintf(`SecRule ARGS "@rx %s" "id:%d,phase:2,deny"`, pattern, 10+i), "own.conf:1")
	}
	for name, text := range map[string]string{
		"no id":                 `SecRule ARGS "@rx a" "phase:2,deny"`,
		"a reserved id":         `SecRule ARGS "@rx a" "id:949110,phase:2,deny"`,
		"an id twice":           "SecAction \"id:7,phase:1,pass\"\nSecAction \"id:7,phase:1,pass\"",
		"an unknown operator":   `SecRule ARGS "@magic a" "id:8,phase:2,deny"`,
		"an operator that runs": `SecRule ARGS "@inspectFile /bin/sh" "id:8,phase:2,deny"`,
		"an operator that asks": `SecRule REMOTE_ADDR "@rbl example.com" "id:8,phase:1,deny"`,
		"a file of this host":   `SecRule ARGS "@pmFromFile /etc/passwd" "id:8,phase:2,deny"`,
		"an unknown action":     `SecRule ARGS "@rx a" "id:8,phase:2,exec:/bin/sh"`,
		"an unknown variable":   `SecRule NOTHING "@rx a" "id:8,phase:2,deny"`,
		"an unknown transform":  `SecRule ARGS "@rx a" "id:8,phase:2,t:magic,deny"`,
		"an open quote":         `SecRule ARGS "@rx a`,
	} {
		rules(name, text, "own.conf")
	}
	rules("everything is refused", `SecAction "id:9,phase:2,pass,nolog,setvar:tx.inbound_anomaly_score_pl1=+100"`, "self-test: an ordinary request is refused")
	rules("an attack leaves no trace", `SecRule REQUEST_URI "@rx ." "id:9,phase:1,pass,nolog,ctl:ruleRemoveByTag=attack-xss"`, "self-test: a script in a parameter leaves no trace")
	rules("the score is set back", `SecAction "id:9,phase:1,pass,nolog,setvar:tx.blocking_inbound_anomaly_score=0"`, "belongs to the gateway or to CRS")
	rules("the engine is switched off", `SecRule REQUEST_URI "@rx ." "id:9,phase:1,pass,nolog,ctl:ruleEngine=Off"`, "ctl:ruleEngine cannot be used")
	rules("all rules are removed", "SecRuleRemoveById 1-999999", "cannot be changed")
	return out
}

// poisonedSecrets are sealed certificates that do not open, or are none.
func poisonedSecrets() []poison {
	var out []poison
	add := func(name, want string, seal func(p *poisoner) []byte) {
		out = append(out, poison{"secret: " + name, func(p *poisoner) []byte {
			files := p.files("version: 1\n", "version: 1\ncertificates: [{ name: shop, secret: \"sealed:shop\" }]\n")
			if data := seal(p); data != nil {
				files[sealed.FilePrefix+"shop"] = data
			} else {
				files[sealed.FilePrefix+"another"] = p.group.Seal("x", nil)
			}
			return p.build(files)
		}, want})
	}
	label := sealed.CertificateLabel(testStack, testGroup, "shop")
	add("missing", "it is not in the revision", func(*poisoner) []byte { return nil })
	add("of another key", "sealed with another key", func(p *poisoner) []byte { return sealed.NewKey().Seal(label, []byte("x")) })
	add("of another group", "sealed with another key", func(p *poisoner) []byte {
		return p.group.Seal(sealed.CertificateLabel(testStack, "inner", "shop"), []byte("x"))
	})
	add("of another stack", "sealed with another key", func(p *poisoner) []byte {
		return p.group.Seal(sealed.CertificateLabel("test", testGroup, "shop"), []byte("x"))
	})
	add("of another name", "sealed with another key", func(p *poisoner) []byte {
		return p.group.Seal(sealed.CertificateLabel(testStack, testGroup, "wiki"), []byte("x"))
	})
	add("cut", "sealed with another key", func(p *poisoner) []byte { return p.group.Seal(label, []byte("secret"))[:20] })
	add("changed", "sealed with another key", func(p *poisoner) []byte { data := p.group.Seal(label, []byte("secret")); data[30] ^= 1; return data })
	add("of a later format", "that this version knows", func(p *poisoner) []byte { data := p.group.Seal(label, []byte("secret")); data[0] = 9; return data })
	add("in clear", "that this version knows", func(*poisoner) []byte { return []byte("-----BEGIN PRIVATE KEY-----") })
	add("no certificate", "cannot be used", func(p *poisoner) []byte { return p.group.Seal(label, []byte("nothing")) })
	return out
}

// every is each nth of a list.
func every[T any](n int, list []T) []T {
	var out []T
	for i := 0; i < len(list); i += n {
		out = append(out, list[i])
	}
	return out
}

// servedNumber is the number of the revision that is served meanwhile.
const servedNumber = 1000

// TestPoison offers a gateway every kind of bad revision. None is applied, each is reported with its own reason, and a good one
// is taken at the end.
func TestPoison(t *testing.T) {
	m := newManager(t)
	m.publish(servedNumber, 0, configFor(upstreamOf(t, "served")))
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	other, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	o := optionsFor(t, m)
	o.Logger = zapNop
	g := run(t, o)
	g.serves(servedNumber)
	p := &poisoner{manager: m, number: servedNumber, upstream: upstreamOf(t, "poison"), other: other, busy: busy.Addr().String()}
	applied, refused := 0, 0
	reasons := map[string]int{}
	all := poisons()
	if len(all) < 200 {
		t.Errorf("%d kinds are too few", len(all))
	}
	if raceDetector {
		all = every(8, all)
	}
	for _, x := range all {
		t.Run(x.name, func(t *testing.T) {
			p.number++
			p.t = t
			before := len(m.refusals())
			head := x.make(p)
			m.say(func(s *fleetapi.State) { s.Head = head })
			eventually(t, "it is refused", func() bool { return len(m.refusals()) > before || g.number() != servedNumber })
			if g.number() != servedNumber || g.get() != "served" {
				applied++
				t.Fatal("it was applied")
			}
			got := m.refusals()[before]
			if !strings.Contains(got.Reason, x.want) || !strings.Contains(got.Reason, "(from manager)") {
				t.Errorf("%s\nwant %s", got.Reason, x.want)
				return
			}
			if s := g.Status(); s.Refused == nil || s.Refused.Reason != got.Reason {
				t.Errorf("/status says %+v", s.Refused)
			}
			if strings.HasPrefix(x.want, "self-test") { // it came as far as the server, which reloads what it serves at SIGHUP
				if err := g.Server().Reload(); err != nil {
					t.Errorf("what is served is not loaded again: %v", err)
				}
			}
			reasons[x.want]++
			refused++
		})
	}
	t.Logf("%d kinds, %d applied, %d refused with their reason, %d different reasons", len(all), applied, refused, len(reasons))
	p.t = t
	p.number++
	head := p.good()
	m.say(func(s *fleetapi.State) { s.Head = head })
	g.serves(p.number)
}
