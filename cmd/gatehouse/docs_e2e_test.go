//go:build e2e

package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestDocsWithCurl runs the pages as TestDocs does, with the curl of this host.
func TestDocsWithCurl(t *testing.T) {
	path, err := exec.LookPath("curl")
	if err != nil {
		t.Fatalf("the end-to-end tests need curl: %v", err)
	}
	runPages(t, filepath.Dir(path))
}
