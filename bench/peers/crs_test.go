package peers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/rules/crs"
)

// TestWriteRules shows that engines get the release that the gateway has, directive by directive.
func TestWriteRules(t *testing.T) {
	dir := t.TempDir()
	main, err := writeRules(dir, 4, "SecTmpDir /tmp\n\n")
	if err != nil {
		t.Fatal(err)
	}
	release, err := crs.Load(CRSVersion)
	if err != nil {
		t.Fatal(err)
	}
	if newest, _ := crs.Load(""); newest.Version != CRSVersion {
		t.Errorf("servers are compared with CRS %s, and the newest is %s", CRSVersion, newest.Version)
	}
	text := read(t, main)
	last := 0
	for _, source := range release.Rules {
		name := filepath.Join(dir, filepath.Base(source.Name))
		if got, want := directives(read(t, name)), directives(source.Text); got != want {
			t.Errorf("%s is not what the release has", source.Name)
		}
		at := strings.Index(text, "Include "+name+"\n")
		if at < last {
			t.Errorf("%s is included at %d, and the one before at %d", name, at, last)
		}
		last = at
	}
	if got, want := directives(read(t, filepath.Join(dir, "10-setup.conf"))), directives(release.SetupExample); got != want {
		t.Error("the setup is not the release's")
	}
	if !strings.Contains(read(t, filepath.Join(dir, "11-paranoia.conf")), "setvar:tx.blocking_paranoia_level=4") || !strings.Contains(text, "SecTmpDir /tmp\n") {
		t.Error("the settings are not there")
	}
	if _, err := os.Stat(filepath.Join(dir, "unix-shell.data")); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// directives is a text without empty lines.
func directives(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return b.String()
}

func TestApart(t *testing.T) {
	got := apart("# comment\nSecRule A \"@rx b\" \\\n    \"id:1,chain\"\n    SecRule C \"@eq 1\"\nSecMarker END\n")
	want := "# comment\nSecRule A \"@rx b\" \\\n    \"id:1,chain\"\n\n    SecRule C \"@eq 1\"\n\nSecMarker END\n\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
