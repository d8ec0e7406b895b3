package spool

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gatehouse/rules/fleetapi"
)

// files are the batches on disk, the first one first.
type files struct {
	dir   string
	spool string // the name of what this process writes: each numbers its own from 1, whatever is left of those before

	mu   sync.Mutex // guards what follows
	list []file
	last int64 // sequence
	wake chan struct{}
}

// file is a batch. What is known of it is in its name, also when it cannot be read any more.
type file struct {
	spool    string
	sequence int64
	events   int
	size     int64
}

const (
	suffix    = ".batch"
	temporary = ".new-"
)

func (f file) name() string {
	return fmt.Sprintf("%s-%016d-%d%s", f.spool, f.sequence, f.events, suffix)
}

// parseName reads what name wrote.
func parseName(name string) (f file, ok bool) {
	text, ok := strings.CutSuffix(name, suffix)
	parts := strings.Split(text, "-")
	if !ok || len(parts) != 3 {
		return f, false
	}
	sequence, err := strconv.ParseInt(parts[1], 10, 64)
	events, err2 := strconv.Atoi(parts[2])
	f = file{spool: parts[0], sequence: sequence, events: events}
	return f, err == nil && err2 == nil && sequence > 0 && events >= 0 && f.name() == name
}

// onDisk is what a file of so many bytes takes.
func onDisk(bytes int) int64 {
	const block = 4096
	return (int64(bytes) + block - 1) / block * block
}

func openFiles(dir string) (*files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	d := &files{dir: dir, spool: rand.Text(), wake: make(chan struct{})}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), temporary) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, err
			}
			continue
		}
		f, ok := parseName(e.Name())
		info, err := e.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		f.size = onDisk(int(info.Size()))
		d.list = append(d.list, f)
	}
	slices.SortFunc(d.list, func(a, b file) int {
		return cmp.Or(strings.Compare(a.spool, b.spool), cmp.Compare(a.sequence, b.sequence))
	})
	return d, nil
}

// next is the number of the next batch.
func (d *files) next() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last + 1
}

// write writes a batch, and returns when it is on the disk.
func (d *files) write(f file, data []byte) error {
	t, err := os.CreateTemp(d.dir, temporary+"*") // of mode 0600
	if err != nil {
		return err
	}
	name := t.Name()
	_, err = t.Write(data)
	err = errors.Join(err, t.Sync(), t.Close())
	if err == nil {
		if err = os.Rename(name, filepath.Join(d.dir, f.name())); err == nil {
			name = filepath.Join(d.dir, f.name())
			err = d.sync()
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(name))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f.size = onDisk(len(data))
	d.list = append(d.list, f)
	d.last = f.sequence
	close(d.wake)
	d.wake = make(chan struct{})
	return nil
}

func (d *files) sync() error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// waiting is closed at the next write.
func (d *files) waiting() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wake
}

func (d *files) first() (file, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) == 0 {
		return file{}, false
	}
	return d.list[0], true
}

func (d *files) read(f file) ([]byte, error) {
	path := filepath.Join(d.dir, f.name())
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > fleetapi.MaxBatch {
		return nil, fmt.Errorf("%s is no file of 1 to %d bytes", path, fleetapi.MaxBatch)
	}
	return os.ReadFile(path)
}

// remove forgets a batch, also if its file cannot be removed.
func (d *files) remove(f file) error {
	d.mu.Lock()
	d.list = slices.DeleteFunc(d.list, func(x file) bool { return x.spool == f.spool && x.sequence == f.sequence })
	d.mu.Unlock()
	err := os.Remove(filepath.Join(d.dir, f.name()))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (d *files) bytes() (sum int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.list {
		sum += f.size
	}
	return sum
}

func (d *files) number() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.list)
}
