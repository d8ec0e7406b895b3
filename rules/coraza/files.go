package coraza

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"gatehouse/rules/crs"
)

// ruleFiles is the only file system that Coraza sees while it loads a policy. It holds one file per directive, so that
// the name of the file a rule came from is its place, and the data files of the embedded CRS releases.
//
// A directive's file is named DIR/SOURCE.DIRECTIVE after its position; DIR is the directory of the source's name if it
// is that of a CRS release, since that is where the release's data files are found.
type ruleFiles struct {
	sources []scanned
	names   []string
	data    map[string]fs.FS
	// last is the directive read last: the one that a load error is about.
	last position
}

// position names a directive: source and directive by index.
type position struct{ source, directive int }

// allFiles is the pattern that names every directive's file in load order.
const allFiles = "*"

func newRuleFiles(sources []scanned) (*ruleFiles, error) {
	f := &ruleFiles{sources: sources, data: make(map[string]fs.FS)}
	for _, version := range crs.Versions() {
		release, err := crs.Load(version)
		if err != nil {
			return nil, err
		}
		f.data[release.Dir()] = release.Data
	}
	for i, s := range sources {
		dir := path.Dir(s.name)
		if _, ok := f.data[dir]; !ok {
			dir = "."
		}
		for j, d := range s.directives {
			if !d.dropped {
				f.names = append(f.names, path.Join(dir, fmt.Sprintf("%d.%d", i, j)))
			}
		}
	}
	return f, nil
}

// Glob answers the one pattern that a load asks for.
func (f *ruleFiles) Glob(pattern string) ([]string, error) {
	if pattern != allFiles {
		return nil, &fs.PathError{Op: "glob", Path: pattern, Err: fs.ErrNotExist}
	}
	return f.names, nil
}

// ReadFile reads a directive or a data file.
func (f *ruleFiles) ReadFile(name string) ([]byte, error) {
	if p, ok := parsePosition(name); ok && p.source < len(f.sources) && p.directive < len(f.sources[p.source].directives) {
		f.last = p
		return []byte(f.sources[p.source].directives[p.directive].raw), nil
	}
	if data, ok := f.data[path.Dir(name)]; ok {
		return fs.ReadFile(data, path.Base(name))
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// Open exists for fs.FS; Coraza reads whole files.
func (f *ruleFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// parsePosition reads the position out of a directive's file name.
func parsePosition(name string) (position, bool) {
	first, second, ok := strings.Cut(path.Base(name), ".")
	if !ok {
		return position{}, false
	}
	source, err := strconv.Atoi(first)
	if err != nil || source < 0 {
		return position{}, false
	}
	index, err := strconv.Atoi(second)
	if err != nil || index < 0 {
		return position{}, false
	}
	return position{source: source, directive: index}, true
}
