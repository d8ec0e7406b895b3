//go:build e2e

package s3depot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/rules/revision"
	"gatehouse/rules/revision/s3depot/s3test"
)

func open(t *testing.T, url string) *Depot {
	t.Helper()
	d, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestS3 runs a depot against a real server.
func TestS3(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket("revisions")
	t.Run("objects", func(t *testing.T) { testObjects(t, open(t, "s3://revisions/a/b/")) })
	t.Run("race", func(t *testing.T) { testRace(t) })
	t.Run("revisions", func(t *testing.T) { testRevisions(t, open(t, "s3://revisions/prod")) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t) })
}

func testObjects(t *testing.T, d *Depot) {
	ctx := t.Context()
	if _, _, err := d.Get(ctx, "edge/head.json", 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an object that is not there: %v", err)
	}
	if err := d.Create(ctx, "edge/head.json", []byte("one")); err != nil {
		t.Fatal(err)
	}
	data, tag, err := d.Get(ctx, "edge/head.json", 3)
	if err != nil || string(data) != "one" || tag == "" {
		t.Fatalf("%q, %q, %v", data, tag, err)
	}
	if err := d.Create(ctx, "edge/head.json", []byte("two")); !errors.Is(err, revision.ErrChanged) {
		t.Errorf("create over an object: %v", err)
	}
	if err := d.Replace(ctx, "edge/head.json", "", []byte("two")); !errors.Is(err, revision.ErrChanged) {
		t.Errorf("replace what is not known: %v", err)
	}
	if err := d.Replace(ctx, "edge/head.json", tag, []byte("two")); err != nil {
		t.Fatal(err)
	}
	if err := d.Replace(ctx, "edge/head.json", tag, []byte("old")); !errors.Is(err, revision.ErrChanged) {
		t.Errorf("replace with an old tag: %v", err)
	}
	if err := d.Replace(ctx, "edge/none.json", tag, []byte("x")); !errors.Is(err, revision.ErrChanged) {
		t.Errorf("replace what is not there: %v", err)
	}
	if data, _, err := d.Get(ctx, "edge/head.json", 100); err != nil || string(data) != "two" {
		t.Errorf("%q, %v", data, err)
	}
	if _, _, err := d.Get(ctx, "edge/head.json", 2); err == nil || !strings.Contains(err.Error(), "more than 2 bytes") {
		t.Errorf("a long object: %v", err)
	}
}

// testRace: of many writers of one object, one wins.
func testRace(t *testing.T) {
	d := open(t, "s3://revisions")
	if err := d.Create(t.Context(), "race", []byte("begin")); err != nil {
		t.Fatal(err)
	}
	_, tag, err := d.Get(t.Context(), "race", 100)
	if err != nil {
		t.Fatal(err)
	}
	var created, replaced atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if d.Create(t.Context(), "created", []byte(fmt.Sprint(i))) == nil {
				created.Add(1)
			}
			if d.Replace(t.Context(), "race", tag, []byte(fmt.Sprint(i))) == nil {
				replaced.Add(1)
			}
		})
	}
	all.Wait()
	if created.Load() != 1 || replaced.Load() != 1 {
		t.Errorf("%d have created and %d have replaced it", created.Load(), replaced.Load())
	}
}

// testRevisions publishes to the bucket and reads from it as a gateway does.
func testRevisions(t *testing.T, d *Depot) {
	key, err := revision.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	p := &revision.Publisher{Depot: d, Stack: "prod", Group: "edge", Signers: []revision.Signer{key}}
	r := &revision.Reader{Depot: d, Stack: "prod", Group: "edge", Keys: []revision.PublicKey{key.Public()}}
	for n := range uint64(2) {
		b, err := revision.Build(revision.Content{Main: "g.yaml", Files: map[string][]byte{"g.yaml": fmt.Appendf(nil, "version: 1 # %d", n), "same": []byte("same")}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Publish(t.Context(), b, revision.Order{Epoch: 1, Number: n + 1}); err != nil {
			t.Fatal(err)
		}
		head, err := r.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Revision(t.Context(), head); err != nil || got.Statement.Order.Number != n+1 {
			t.Errorf("%v, %v", got, err)
		}
	}
}

func testRefusals(t *testing.T) {
	if _, _, err := open(t, "s3://nowhere").Get(t.Context(), "x", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a bucket that is not there: %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	if _, _, err := open(t, "s3://revisions").Get(t.Context(), "race", 10); err == nil || !strings.Contains(err.Error(), "access is denied") {
		t.Errorf("a wrong secret: %v", err)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, _, err := open(t, "s3://revisions").Get(ctx, "race", 10); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no server: %v", err)
	}
}
