package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// spoolMemory is how much of a body is held in memory before it goes to a file.
const spoolMemory = 256 << 10

// SpillDir is a private directory for bodies that are too long to hold in memory. Files are unlinked as soon as they
// are open, so that a process that dies leaves nothing behind.
type SpillDir struct{ path string }

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

// spool holds the bytes of a body: in memory at first, then in a file. It is written first, then read any number of
// times; it is not safe for concurrent use.
type spool struct {
	dir    *SpillDir
	memory bytes.Buffer
	file   *os.File
	size   int64
}

// Write appends p.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) > spoolMemory {
		f, err := os.CreateTemp(s.dir.path, "body-")
		if err != nil {
			return 0, fmt.Errorf("spill body: %w", err)
		}
		if err := os.Remove(f.Name()); err != nil {
			return 0, errors.Join(fmt.Errorf("spill body: %w", err), f.Close())
		}
		s.file = f
		if _, err := f.Write(s.memory.Bytes()); err != nil {
			return 0, fmt.Errorf("spill body: %w", err)
		}
		s.memory = bytes.Buffer{}
	}
	var n int
	var err error
	if s.file != nil {
		n, err = s.file.Write(p)
	} else {
		n, err = s.memory.Write(p)
	}
	s.size += int64(n)
	return n, err
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
	s.memory = bytes.Buffer{}
	if s.file == nil {
		return nil
	}
	return s.file.Close()
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
