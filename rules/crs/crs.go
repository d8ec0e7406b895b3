// Package crs holds the embedded releases of the OWASP Core Rule Set, as data: rule text, the setup example and the
// files that the rules read. It parses nothing and decides nothing.
//
// A binary carries the current and the previous release, so that a policy which pins a release keeps its verdicts when
// the binary is upgraded. Their text comes from the CRS Go module, in two versions: see the replace directive in go.mod.
package crs

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	previous "gatehouse.invalid/crs-previous"
	current "github.com/corazawaf/coraza-coreruleset/v4"

	"gatehouse/rules"
)

// Release is one release of the Core Rule Set.
type Release struct {
	// Version is the release without a leading v: 4.25.0.
	Version string
	// SetupExample is the text of crs-setup.conf.example.
	SetupExample string
	// Rules are the rule files in load order, named Dir()/FILE. The setup has to be loaded before them.
	Rules []rules.Source
	// Data holds the files that operators of Rules name (@pmFromFile), and nothing else, without a directory.
	Data fs.FS
}

// Dir is the directory in which the release's files stand as far as rule text is concerned: crs-4.25.0.
func (r Release) Dir() string { return dir(r.Version) }

func dir(version string) string { return "crs-" + version }

// embedded is one release as its module carries it.
type embedded struct {
	version string
	files   fs.FS
	read    func() (Release, error) // the same text for all: a gateway has thousands of policies with it
}

// releases lists what is embedded, newest first.
var releases = []*embedded{newEmbedded("4.25.0", current.FS), newEmbedded("4.22.0", previous.FS)}

func newEmbedded(version string, files fs.FS) *embedded {
	e := &embedded{version: version, files: files}
	e.read = sync.OnceValues(e.load)
	return e
}

const (
	ruleDir      = "@owasp_crs"
	setupExample = "@crs-setup.conf.example"
)

// Versions lists the embedded releases, newest first.
func Versions() []string {
	versions := make([]string, len(releases))
	for i, e := range releases {
		versions[i] = e.version
	}
	return versions
}

// Load returns the release of that version; an empty version is the newest. A version that is not embedded is an
// error that names those that are.
func Load(version string) (Release, error) {
	i := 0
	if version != "" {
		i = slices.IndexFunc(releases, func(e *embedded) bool { return e.version == version })
	}
	if i < 0 {
		return Release{}, fmt.Errorf("CRS %q is not embedded; choose one of %s, or leave the version empty for the newest",
			version, strings.Join(Versions(), ", "))
	}
	r, err := releases[i].read()
	r.Rules = slices.Clone(r.Rules) // the caller's own
	return r, err
}

func (e *embedded) load() (Release, error) {
	r := Release{Version: e.version}
	setup, err := fs.ReadFile(e.files, setupExample)
	if err != nil {
		return Release{}, fmt.Errorf("read the setup example of CRS %s: %w", e.version, err)
	}
	r.SetupExample = string(setup)

	sub, err := fs.Sub(e.files, ruleDir)
	if err != nil {
		return Release{}, fmt.Errorf("open CRS %s: %w", e.version, err)
	}
	r.Data = dataFS{sub}
	entries, err := fs.ReadDir(sub, ".") // sorted: the numbers in the file names are the load order
	if err != nil {
		return Release{}, fmt.Errorf("list CRS %s: %w", e.version, err)
	}
	for _, entry := range entries {
		if path.Ext(entry.Name()) != ".conf" {
			continue
		}
		text, err := fs.ReadFile(sub, entry.Name())
		if err != nil {
			return Release{}, fmt.Errorf("read CRS %s: %w", e.version, err)
		}
		r.Rules = append(r.Rules, rules.Source{Name: path.Join(r.Dir(), entry.Name()), Text: string(text)})
	}
	if len(r.Rules) == 0 {
		return Release{}, fmt.Errorf("CRS %s has no rule files", e.version)
	}
	return r, nil
}

// dataFS shows the .data files of a release and nothing else.
type dataFS struct{ files fs.FS }

func (d dataFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) || path.Ext(name) != ".data" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return d.files.Open(name)
}
