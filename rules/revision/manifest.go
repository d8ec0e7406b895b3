package revision

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Manifest lists what a revision is made of.
type Manifest struct {
	Format int `json:"format"`
	// Main is the name of the file that is the configuration; the others are those that it refers to.
	Main  string `json:"main"`
	Files []Part `json:"files"` // sorted by name
	// CRS are the releases that it needs, such as "4.25.0".
	CRS []string `json:"crs,omitempty"`
}

// Part is a file of a revision.
type Part struct {
	Name string `json:"name"` // relative, with slashes
	Hash Hash   `json:"hash"`
	Size int64  `json:"size"` // bytes
}

// Limits on a revision, in bytes and files.
const (
	MaxManifest = 4 << 20
	MaxFiles    = 10_000
	MaxFile     = 64 << 20
	MaxContent  = 256 << 20 // of all files
)

// Format is the newest format of manifests that this version reads, and the one that it writes.
const Format = 1

const manifestFormat = Format

// encode is the text of the manifest.
func (m *Manifest) encode() ([]byte, error) {
	slices.SortFunc(m.Files, func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	if err := m.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err == nil && len(text) > MaxManifest {
		err = fmt.Errorf("the manifest has %d bytes, more than %d: the revision has too many files", len(text), MaxManifest)
	}
	return text, err
}

// parseManifest reads the text of a manifest.
func parseManifest(text []byte) (*Manifest, error) {
	if len(text) > MaxManifest {
		return nil, fmt.Errorf("the manifest has %d bytes, more than %d", len(text), MaxManifest)
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if version.Format > manifestFormat {
		return nil, &FormatError{What: "manifest", Format: version.Format, Highest: manifestFormat}
	}
	m := &Manifest{}
	if err := decodeStrict(text, m); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	return m, m.check()
}

// check says what is wrong with a manifest.
func (m *Manifest) check() error {
	if m.Format < 1 {
		return fmt.Errorf("the manifest is of format %d", m.Format)
	}
	if len(m.Files) > MaxFiles {
		return fmt.Errorf("the revision has %d files, more than %d", len(m.Files), MaxFiles)
	}
	total, hasMain := int64(0), false
	for i, f := range m.Files {
		switch {
		case !validFile(f.Name):
			return fmt.Errorf("%.200q is no name of a file; it is relative, with slashes, and stays within its directory", f.Name)
		case i > 0 && m.Files[i-1].Name >= f.Name:
			return fmt.Errorf("the file %.200q is listed twice, or not in order", f.Name)
		case f.Size < 0 || f.Size > MaxFile:
			return fmt.Errorf("the file %.200q has %d bytes, more than %d", f.Name, f.Size, int64(MaxFile))
		}
		total += f.Size
		hasMain = hasMain || f.Name == m.Main
	}
	switch {
	case total > MaxContent:
		return fmt.Errorf("the files have %d bytes, more than %d", total, int64(MaxContent))
	case !hasMain:
		return fmt.Errorf("the configuration %.200q is not among the files", m.Main)
	}
	return nil
}

// validFile reports whether a name stays within the directory that it is relative to, and is written in one way.
func validFile(name string) bool {
	const longest = 200
	return name != "" && len(name) <= longest && name != "." && path.Clean(name) == name && name[0] != '/' &&
		name != ".." && !strings.HasPrefix(name, "../") && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f })
}
