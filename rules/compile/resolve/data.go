package resolve

import (
	"io/fs"
	"path"
	"sync"

	"gatehouse/rules/crs"
	"gatehouse/rules/program/operator"
)

// files are the data files of the embedded CRS releases, by their directories.
type files struct {
	loaded sync.Once
	dirs   map[string]fs.FS
	err    error
}

func (f *files) load() (map[string]fs.FS, error) {
	f.loaded.Do(func() {
		f.dirs = make(map[string]fs.FS)
		for _, version := range crs.Versions() {
			release, err := crs.Load(version)
			if err != nil {
				f.err = err
				return
			}
			f.dirs[release.Dir()] = release.Data
		}
	})
	return f.dirs, f.err
}

// Data finds the data files and data sets of a rule or link: files are those of the CRS release in whose directory the
// rule's source is.
func (c *Cache) Data(r *Rule) operator.Data {
	if r.Operator == nil {
		return operator.Data{}
	}
	return operator.Data{
		File: func(name string) ([]byte, error) { return c.readFile(r.Operator.Source, name) },
		Dataset: func(name string) ([]string, bool) {
			lines, ok := r.Operator.Datasets[name]
			return lines, ok
		},
	}
}

func (c *Cache) readFile(source, name string) ([]byte, error) {
	dirs, err := c.files.load()
	if err != nil {
		return nil, err
	}
	file := name
	if !path.IsAbs(name) {
		dir := path.Dir(source)
		if _, ok := dirs[dir]; !ok {
			dir = "."
		}
		file = path.Join(dir, name)
	}
	data, ok := dirs[path.Dir(file)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return fs.ReadFile(data, path.Base(file))
}
