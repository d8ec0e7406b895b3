package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options adjust loading. The zero value is useful.
type Options struct {
	// CRSVersions are the releases that a policy may name, the newest first. Empty means that any release may be
	// named.
	CRSVersions []string
	// Now is the time against which expiry is judged; nil means time.Now.
	Now func() time.Time
	// Root is a directory whose files are Files, by name with slashes, and none on the disk. Nil is no such directory.
	Root  string
	Files map[string][]byte
	// Sealed opens a sealed certificate (secret: sealed:NAME): PEM of its chain and private key. Nil means that nothing here
	// can, and such a certificate is a problem.
	Sealed func(name string) ([]byte, error)
	// Revision is what the configuration is a part of; the zero Revision is nothing.
	Revision Revision
	// Addresses take the place of what listeners have as their address, by name; Admin takes that of admin.address. Both are
	// of this machine alone. Names that no listener has are left.
	Addresses map[string]string
	Admin     string
}

// Revision is the revision that a configuration is of.
type Revision struct {
	Name      string // such as edge/42
	Group     string
	Published time.Time
}

// Loaded is a configuration without problems and where it came from. It is immutable and safe for concurrent use.
type Loaded struct {
	// Config is complete. In it, file names are absolute, lists that name a file have their Addresses from it, and
	// policies that name a seclang_file have their SecLang from it.
	Config *Config
	// Files are the files that were read, absolute and sorted, and Dirs the directories whose *.yaml and *.yml files
	// were: a reloader watches both.
	Files []string
	Dirs  []string
	// Digest is the hex SHA-256 of the complete configuration and of the files that it refers to. It does not depend
	// on where the files are, how they are formatted, or which of them holds what.
	Digest string
	// Revision is that of Options.
	Revision Revision
	// Warnings are likely mistakes that do not keep the configuration from being used, sorted by place.
	Warnings []Problem

	places   places
	blocks   map[string]block
	contents map[string][]byte
	secrets  map[string][]byte
	newest   string // release of the core rule set, empty if none is known
	now      func() time.Time
}

// Sealed gives a sealed certificate by its name, as it is when opened. The caller must not change it, write it anywhere or
// log it.
func (l *Loaded) Sealed(name string) ([]byte, bool) {
	b, ok := l.secrets[name]
	return b, ok
}

// Position gives the place of a path such as applications[0].exclusions[2].targets[0], or of its nearest ancestor
// that was written.
func (l *Loaded) Position(path string) (file string, line, column int) {
	p := l.places.find(path)
	return p.File, p.Line, p.Column
}

// Content gives the bytes of one of Files as they were when the configuration was loaded; Digest covers them. The
// caller must not change them.
func (l *Loaded) Content(file string) ([]byte, bool) {
	b, ok := l.contents[file]
	return b, ok
}

// Load reads files, or directories of *.yaml and *.yml files, as one configuration. Its error is of type Problems.
func Load(paths ...string) (*Loaded, error) { return Options{}.Load(paths...) }

// LoadBytes reads one configuration from memory. Places in it are reported with name, and relative paths in it are
// relative to name's directory. Its error is of type Problems.
func LoadBytes(name string, data []byte) (*Loaded, error) { return Options{}.LoadBytes(name, data) }

// Load is like the function Load.
func (o Options) Load(paths ...string) (*Loaded, error) {
	l := newLoader(o)
	if len(paths) == 0 {
		l.problemAt(Place{}, "", "no configuration file is given")
	}
	for _, path := range paths {
		for _, file := range l.expand(path) {
			if data, ok := l.readConfig(file); ok {
				l.decode(file, data)
			}
		}
	}
	return l.finish()
}

// LoadBundle reads a configuration as Bundle gives it. Places in it are reported below root, where nothing has to be.
func (o Options) LoadBundle(root string, files map[string][]byte) (*Loaded, error) {
	main, ok := files[BundleMain]
	if !ok {
		return nil, Problems{{Place{File: filepath.Join(root, BundleMain)}, "", "is missing"}}
	}
	o.Root, o.Files = absolute(root), files
	return o.LoadBytes(filepath.Join(o.Root, BundleMain), main)
}

// LoadBytes is like the function LoadBytes.
func (o Options) LoadBytes(name string, data []byte) (*Loaded, error) {
	l := newLoader(o)
	l.decode(name, data)
	return l.finish()
}

// loader is one load in the making.
type loader struct {
	opts     Options
	now      time.Time
	cfg      Config
	places   places
	blocks   map[string]block
	contents map[string][]byte // by absolute path
	secrets  map[string][]byte // sealed certificates, opened, by name
	dirs     []string
	problems []Problem
	warnings []Problem
	// failed holds the paths whose value could not be read, and spoilt also what is above them: what follows from a
	// problem is not reported again.
	failed, spoilt map[string]bool
	// origin maps paths that completing made to the paths where their values were written.
	origin map[string]string
}

func newLoader(o Options) *loader {
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &loader{opts: o, now: o.Now(), places: places{}, blocks: map[string]block{}, contents: map[string][]byte{}, secrets: map[string][]byte{}, failed: map[string]bool{}, spoilt: map[string]bool{}, origin: map[string]string{}}
	return l
}

// finish completes and validates what was decoded.
func (l *loader) finish() (*Loaded, error) {
	unread := len(l.places) == 0 // no file could be read at all: nothing to say about its contents
	if !unread {
		l.readdress()
		l.complete()
		l.validate()
	}
	if len(l.problems) > 0 {
		return nil, Problems(sortProblems(l.problems))
	}
	out := &Loaded{
		Config:   &l.cfg,
		Files:    slices.Sorted(maps.Keys(l.contents)),
		Dirs:     l.dirs,
		Warnings: sortProblems(l.warnings),
		places:   l.places,
		blocks:   l.blocks,
		contents: l.contents,
		secrets:  l.secrets,
		Revision: l.opts.Revision,
		now:      l.opts.Now,
	}
	if len(l.opts.CRSVersions) > 0 {
		out.newest = l.opts.CRSVersions[0]
	}
	out.Digest = digest(out)
	return out, nil
}

// readdress gives listeners the addresses that they have on this machine.
func (l *loader) readdress() {
	for i := range l.cfg.Listeners {
		if address, ok := l.opts.Addresses[l.cfg.Listeners[i].Name]; ok {
			l.cfg.Listeners[i].Address = address
		}
	}
	if l.opts.Admin != "" {
		l.cfg.Admin.Address = l.opts.Admin
	}
}

// problem reports what is wrong at a path, unless the value there could not even be read.
func (l *loader) problem(path, format string, args ...any) {
	if o := l.origin[path]; o != "" {
		path = o
	}
	if l.spoilt[path] || l.failed[""] {
		return
	}
	for p := path; p != ""; p = parentPath(p) {
		if l.failed[p] {
			return
		}
	}
	l.problemAt(l.places.find(path), path, fmt.Sprintf(format, args...))
}

// spoil notes that the value at a path could not be read.
func (l *loader) spoil(path string) {
	l.failed[path] = true
	for p := path; !l.spoilt[p]; p = parentPath(p) {
		l.spoilt[p] = true
	}
}

func (l *loader) problemAt(at Place, path, message string) {
	l.problems = append(l.problems, Problem{at, path, message})
}

func (l *loader) warn(path, format string, args ...any) {
	at := l.places.find(path)
	l.warnings = append(l.warnings, Problem{at, path, fmt.Sprintf(format, args...)})
}

// written says whether the operator wrote the key, with whatever value.
func (l *loader) written(path string) bool {
	_, ok := l.places[path]
	return ok
}

// firstWritten gives the first of paths that the operator wrote, or the first of all.
func (l *loader) firstWritten(paths ...string) string {
	for _, p := range paths {
		if l.written(p) {
			return p
		}
	}
	return paths[0]
}

// expand gives the configuration files behind a path.
func (l *loader) expand(path string) []string {
	info, err := os.Stat(path)
	if err != nil {
		l.problemAt(Place{File: path}, "", "cannot be read: "+reason(err))
		return nil
	}
	if !info.IsDir() {
		return []string{path}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		l.problemAt(Place{File: path}, "", "cannot be read: "+reason(err))
		return nil
	}
	var files []string
	for _, e := range entries { // sorted by name
		if ext := filepath.Ext(e.Name()); (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		l.problemAt(Place{File: path}, "", "the directory holds no *.yaml or *.yml file")
	}
	l.dirs = append(l.dirs, absolute(path))
	return files
}

// maxFile bounds every file that is read.
const maxFile = 64 << 20

// readConfig reads a configuration file.
func (l *loader) readConfig(file string) ([]byte, bool) {
	abs := absolute(file)
	if _, ok := l.contents[abs]; ok {
		l.problemAt(Place{File: file}, "", "the file is given twice")
		return nil, false
	}
	data, err := l.read(abs)
	if err != nil {
		l.problemAt(Place{File: file}, "", "cannot be read: "+reason(err))
		return nil, false
	}
	l.contents[abs] = data
	return data, true
}

// readFile reads a file that the configuration refers to at path.
func (l *loader) readFile(path, file string) ([]byte, bool) { return l.readWith(l.read, path, file) }

// readLocal reads a file that is on this machine, whatever the configuration comes from: certificates and their keys.
func (l *loader) readLocal(path, file string) ([]byte, bool) {
	return l.readWith(readRegular, path, file)
}

func (l *loader) readWith(read func(string) ([]byte, error), path, file string) ([]byte, bool) {
	if data, ok := l.contents[file]; ok {
		return data, true
	}
	data, err := read(file)
	if err != nil {
		l.problem(path, "%q cannot be read: %s", file, reason(err))
		return nil, false
	}
	l.contents[file] = data
	return data, true
}

// read reads a file of the configuration: of a bundle, which refers to nothing else, from memory.
func (l *loader) read(file string) ([]byte, error) {
	if l.opts.Files == nil {
		return readRegular(file)
	}
	name, ok := strings.CutPrefix(file, l.opts.Root+string(filepath.Separator))
	if !ok {
		return nil, errors.New("it is not in the revision")
	}
	data, ok := l.opts.Files[filepath.ToSlash(name)]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// readRegular reads a regular file of a sane size, so that a pipe or a device cannot stop the load.
func readRegular(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("it is a directory")
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is not a regular file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("it is longer than %s", Size(maxFile))
	}
	return os.ReadFile(file)
}

// reason gives an error of the file system without the operation and the path.
func reason(err error) string {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err.Error()
		}
		err = u.Unwrap()
	}
}

// absolute gives the absolute, cleaned form of a path.
func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil { // the working directory is gone
		return filepath.Clean(path)
	}
	return abs
}
