package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzLoad shows that no file can stop the loader, and that whatever loads prints to a file that loads to the same.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/problems/*.yaml", "testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("applications: [{ hosts: [a.example], upstream: \"http://a.internal\", owner: \"a: b # c\", replies: { contact: 'x' } }]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := testOptions.LoadBytes("fuzz.yaml", data)
		if err != nil {
			if problems := err.(Problems); len(problems) == 0 {
				t.Fatal("an error without a problem")
			}
			return
		}
		text := Print(l.Config)
		again, err := testOptions.LoadBytes("fuzz.yaml", text)
		if err != nil {
			t.Fatalf("the printed file does not load: %v\n%s", err, text)
		}
		if diff := cmp.Diff(l.Config, again.Config, equal); diff != "" {
			t.Fatalf("the printed file differs (-first +again):\n%s\n%s", diff, text)
		}
	})
}
