package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/proxy/limit"
)

// spoolMemory is how much of a body is held in memory before it goes to a file.
const spoolMemory = 256 << 10

// SpillDir is a private directory for bodies that are too long to hold in memory. Files are unlinked as soon as they
// are open, so that a process that dies leaves nothing behind. It also knows how much is held, there and in memory.
type SpillDir struct {
	path string
	// Budget counts what is held and bounds it.
	Budget limit.Budget
}

// errBudget says that a body was not taken in because too much is held already.
var errBudget = errors.New("the gateway holds as many bytes of bodies as it may")

// OpenSpillDir makes the directory under parent (the system's temporary directory if empty), readable by this user
// alone, and removes what an earlier process may have left in it.
func OpenSpillDir(parent string) (*SpillDir, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	dir := filepath.Join(parent, fmt.Sprintf("gatehouse-spill-%d", os.Geteuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make spill directory: %w", err)
	}
	// Whoever else has made it does not own it from here on: without the right to do so, this fails.
	if err := os.Lchown(dir, os.Geteuid(), -1); err != nil {
		return nil, fmt.Errorf("own spill directory: %w; remove it or set TMPDIR", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return nil, fmt.Errorf("open spill directory: %w", err)
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 {
		return nil, fmt.Errorf("spill directory %s must be a directory with mode 0700; remove it or set TMPDIR", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("sweep spill directory: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "body-") {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, fmt.Errorf("sweep spill directory: %w", err)
			}
		}
	}
	return &SpillDir{path: dir}, nil
}

// Path is the directory's place in the file system.
func (d *SpillDir) Path() string { return d.path }

// Held is the number of body bytes that are held, in memory or in files.
func (d *SpillDir) Held() int64 { return d.Budget.Held() }

// create opens a new file that has no name any more.
func (d *SpillDir) create() (*os.File, error) {
	f, err := os.CreateTemp(d.path, "body-")
	if err != nil {
		return nil, err
	}
	// Another process that starts may have swept it already.
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// spool holds the bytes of a body: in memory at first, then in a file. It is written first, then read any number of
// times; it is not safe for concurrent use.
type spool struct {
	dir    *SpillDir
	memory bytes.Buffer
	file   *os.File
	size   int64
	// unsaved is what the Write that failed could not put into the file. It is the end of what was taken from the
	// client, and still has to be forwarded.
	unsaved []byte
}

// Write appends p. After an error, which is an *os.PathError or errBudget, the spool takes no more.
func (s *spool) Write(p []byte) (int, error) {
	if !s.dir.Budget.Take(int64(len(p))) {
		return 0, errBudget
	}
	if s.file == nil && s.memory.Len()+len(p) <= spoolMemory {
		s.size += int64(len(p))
		return s.memory.Write(p)
	}
	n, err := s.writeFile(p)
	s.size += int64(n)
	if err != nil {
		s.unsaved = bytes.Clone(p[n:])
		return n, fmt.Errorf("spill body: %w", err)
	}
	return n, nil
}

// writeFile appends p to the file; the first one is begun with what is in memory.
func (s *spool) writeFile(p []byte) (int, error) {
	if s.file == nil {
		f, err := s.dir.create()
		if err != nil {
			return 0, err
		}
		if _, err := f.Write(s.memory.Bytes()); err != nil {
			return 0, errors.Join(err, f.Close())
		}
		s.file, s.memory = f, bytes.Buffer{}
	}
	return s.file.Write(p)
}

// reader reads the spool from its start, at most n bytes. It has Len, as bytes.Reader has.
func (s *spool) reader(n int64) lenReader {
	n = min(n, s.size)
	if s.file == nil {
		return bytes.NewReader(s.memory.Bytes()[:n])
	}
	return &fileReader{io.NewSectionReader(s.file, 0, n)}
}

// Close frees what the spool holds.
func (s *spool) Close() error {
	s.dir.Budget.Give(s.size + int64(len(s.unsaved)))
	s.memory, s.size, s.unsaved = bytes.Buffer{}, 0, nil
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}

// fileReader is a section reader that knows how many bytes are left.
type fileReader struct{ *io.SectionReader }

// Len is the number of bytes left.
func (r *fileReader) Len() int {
	at, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	return int(r.Size() - at)
}
