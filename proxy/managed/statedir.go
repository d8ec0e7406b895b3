package managed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gatehouse/rules/revision"
)

// stateDir is the directory where a gateway keeps what it must know after a restart. Nobody else may use it.
type stateDir struct {
	path string
	lock *os.File
}

const (
	privateDir  = 0o700
	privateFile = 0o600
	othersMode  = 0o077
)

// openStateDir opens or makes the directory, and keeps other processes out of it until close.
func openStateDir(path string) (*stateDir, error) {
	if path == "" {
		return nil, errors.New("a managed gateway keeps its key and the last good revision on disk: -state-dir names a private directory for them")
	}
	if err := os.MkdirAll(path, privateDir); err != nil {
		return nil, fmt.Errorf("-state-dir: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("-state-dir: %w", err)
	}
	if info.Mode().Perm()&othersMode != 0 {
		return nil, fmt.Errorf("-state-dir %s: others may use it (mode %04o); chmod 700 %s", path, info.Mode().Perm(), path)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("-state-dir %s belongs to user %d, not to %d, who runs this; chown it", path, s.Uid, os.Geteuid())
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, privateFile)
	if err != nil {
		return nil, fmt.Errorf("-state-dir: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("-state-dir %s is in use by another gateway; each needs its own", path), lock.Close())
	}
	return &stateDir{path: path, lock: lock}, nil
}

func (d *stateDir) close() error { return d.lock.Close() }

// depot is where revisions are kept.
func (d *stateDir) depot() revision.Dir { return revision.Dir(filepath.Join(d.path, "revisions")) }

// maxStateFile bounds what is read, in bytes.
const maxStateFile = 1 << 20

// read reads a JSON file. That there is none is a fs.ErrNotExist.
func (d *stateDir) read(name string, to any) error {
	path := filepath.Join(d.path, name)
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case info.Mode().Perm()&othersMode != 0:
		return fmt.Errorf("%s: others may use it (mode %04o); it is not trusted any more: remove it, and this gateway joins again", path, info.Mode().Perm())
	case info.Size() > maxStateFile:
		return fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxStateFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s was damaged: %w", path, err)
	}
	return nil
}

// write replaces a JSON file in one step, and returns when it is on the disk.
func (d *stateDir) write(name string, from any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(d.path, ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(d.path, name))
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return d.sync()
}

// remove removes a file. That there is none is no error.
func (d *stateDir) remove(name string) error {
	if err := os.Remove(filepath.Join(d.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return d.sync()
}

func (d *stateDir) sync() error {
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
