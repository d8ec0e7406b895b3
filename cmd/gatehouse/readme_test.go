package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// projectDir is the checkout, seen from this package.
const projectDir = "../.."

// readmeCommands are the lines of README.md's shell blocks. The end-to-end test runs them.
func readmeCommands(t *testing.T) []string {
	t.Helper()
	var lines []string
	for _, b := range fencedBlocks(readPage(t, filepath.Join(projectDir, "README.md"))) {
		if b.language == "sh" {
			lines = append(lines, strings.Split(strings.TrimSpace(b.text), "\n")...)
		}
	}
	return lines
}

// TestReadme compares README.md with the program, the Makefile and the folder that it stands in.
func TestReadme(t *testing.T) {
	page := readPage(t, filepath.Join(projectDir, "README.md"))

	lines := readmeCommands(t)
	if len(lines) < 4 {
		t.Errorf("only %d lines of shell: %q", len(lines), lines)
	}
	for _, line := range lines {
		if word, _, _ := strings.Cut(line, " "); word != "make" && word != "curl" {
			t.Errorf("%q is run by no test", line)
		}
	}

	makefile := readPage(t, filepath.Join(projectDir, "Makefile"))
	for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z0-9-]+)").FindAllStringSubmatch(page, -1) {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(m[1]) + `:`).MatchString(makefile) {
			t.Errorf("make %s: there is no such target", m[1])
		}
	}

	names := nextWords("")
	named := 0
	for _, m := range regexp.MustCompile("`(?:bin/)?gatehouse\\s+([a-z]+)").FindAllStringSubmatch(page, -1) {
		named++
		if !slices.Contains(names, m[1]) {
			t.Errorf("gatehouse %s: there is no such command", m[1])
		}
	}
	if named < 8 {
		t.Errorf("only %d commands are named", named)
	}

	links := link.FindAllStringSubmatch(page, -1)
	for _, m := range links {
		if _, err := os.Stat(filepath.Join(projectDir, m[1])); err != nil {
			t.Errorf("link: %v", err)
		}
	}
	if len(links) == 0 {
		t.Error("there is no link")
	}
}

// TestReadmeConfiguration shows that the shortest useful configuration is one.
func TestReadmeConfiguration(t *testing.T) {
	loaded := 0
	for _, b := range fencedBlocks(readPage(t, filepath.Join(projectDir, "README.md"))) {
		if b.language != "yaml" {
			continue
		}
		loaded++
		file := filepath.Join(t.TempDir(), "gatehouse.yaml")
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		c := &cli{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }}
		if code := c.main(t.Context(), []string{"check", file}); code != exitOK || !strings.Contains(stdout.String(), "\nok: 1 application\n") {
			t.Errorf("README.md:%d: exit code %d\n%s%s", b.line, code, stdout.String(), stderr.String())
		}
	}
	if loaded == 0 {
		t.Error("there is no configuration")
	}
}
