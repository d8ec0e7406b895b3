package revision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Dir is a Depot in a directory. What it has written is on the disk.
type Dir string

// Get implements Depot.
func (d Dir) Get(_ context.Context, name string, most int64) (data []byte, tag string, err error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	if data, err = io.ReadAll(io.LimitReader(f, most+1)); err != nil {
		return nil, "", err
	}
	if int64(len(data)) > most {
		return nil, "", fmt.Errorf("%s: it has more than %d bytes", d.path(name), most)
	}
	return data, dirTag(data), nil
}

// dirTag is the tag of what an object holds.
func dirTag(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Create implements Depot.
func (d Dir) Create(_ context.Context, name string, data []byte) error {
	path := d.path(name)
	if _, err := os.Lstat(path); err == nil {
		return ErrChanged
	}
	temporary, err := d.write(path, data)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, path); err != nil { // never over one that is there
		if errors.Is(err, fs.ErrExist) {
			return ErrChanged
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

// Replace implements Depot. Writers wait for each other.
func (d Dir) Replace(ctx context.Context, name, tag string, data []byte) error {
	path := d.path(name)
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	const most = 1 << 20
	_, now, err := d.Get(ctx, name, most)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if now != tag {
		return ErrChanged
	}
	temporary, err := d.write(path, data)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		os.Remove(temporary)
		return err
	}
	return syncDir(filepath.Dir(path))
}

const (
	dirMode  = 0o755
	fileMode = 0o644 // nothing in a depot is secret
)

func (d Dir) path(name string) string { return filepath.Join(string(d), filepath.FromSlash(name)) }

// write writes a file beside path, and answers its name.
func (d Dir) write(path string, data []byte) (temporary string, err error) {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(fileMode), f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
