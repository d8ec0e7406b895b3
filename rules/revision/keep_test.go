package revision

import (
	"os"
	"path/filepath"
	"testing"
)

// TestKeep: a revision that was kept is read again without the depot it came from, is repaired if it was damaged, and what no
// kept revision needs goes.
func TestKeep(t *testing.T) {
	s := newStack(t)
	s.publish(1, "version: 1")
	first, err := s.read(Statement{})
	if err != nil {
		t.Fatal(err)
	}
	s.publish(2, "version: 1 # 2")
	second, err := s.read(Statement{})
	if err != nil {
		t.Fatal(err)
	}
	here := Dir(t.TempDir())
	for _, v := range []*Revision{first, second, second} {
		if err := v.Keep(t.Context(), here); err != nil {
			t.Fatal(err)
		}
	}
	reader := &Reader{Depot: here, Stack: "prod", Group: "edge", Keys: s.Keys}
	for _, v := range []*Revision{first, second} {
		if _, err := reader.Revision(t.Context(), v.Statement); err != nil {
			t.Errorf("revision %s: %v", v.Statement.Order, err)
		}
	}
	damaged := HashOf(second.Files["gatehouse.yaml"])
	for name, data := range map[string][]byte{"cut": compress([]byte("version"))[:5], "another": compress([]byte("version: 9 # 9"))} {
		if err := os.WriteFile(filepath.Join(string(here), objectName("edge", damaged)), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok := here.Have("edge")(damaged); ok {
			t.Errorf("%s: a damaged part is here", name)
		}
		if err := second.Keep(t.Context(), here); err != nil {
			t.Fatal(err)
		}
		if _, ok := here.Have("edge")(damaged); !ok {
			t.Errorf("%s: the part was not repaired", name)
		}
	}
	if err := here.Retain("edge", second); err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Revision(t.Context(), first.Statement); err == nil {
		t.Error("the first revision is still there")
	}
	if _, err := reader.Revision(t.Context(), second.Statement); err != nil {
		t.Errorf("the second one went with it: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Join(string(here), "edge", "objects")); len(left) != 4 { // the manifest and three files
		t.Errorf("%d objects are left", len(left))
	}
}
