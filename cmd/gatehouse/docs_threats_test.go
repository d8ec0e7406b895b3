package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// namedTest is how the threat model names a test: its package and its function.
var namedTest = regexp.MustCompile("`\\./([a-z0-9/]+) (Test[A-Za-z0-9]+)`")

// TestDocsThreatModelTests: the tests that the threat model names are there.
func TestDocsThreatModelTests(t *testing.T) {
	found := namedTest.FindAllStringSubmatch(readPage(t, filepath.Join(docsDir, "threat-model.md")), -1)
	if len(found) < 10 {
		t.Errorf("%d tests are named, want at least 10", len(found))
	}
	for _, m := range found {
		files, err := filepath.Glob(filepath.Join("..", "..", m[1], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		there := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			there = there || strings.Contains(string(text), "\nfunc "+m[2]+"(t *testing.T) {")
		}
		if !there {
			t.Errorf("there is no %s in %s", m[2], m[1])
		}
	}
}
