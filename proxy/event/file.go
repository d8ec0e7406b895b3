package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// The rotation of a file that sets none.
const (
	defaultMaxSize = 100 << 20
	defaultKeep    = 5
)

// output is where a queue's batches go. Only the queue's own goroutine uses it.
type output interface {
	// write writes whole lines and says how many bytes of batch were written, cut down to whole lines.
	write(batch []byte) (int, error)
	reopen() error
	close() error
}

// stream is an output that cannot be reopened, such as stdout.
type stream struct{ w io.Writer }

func (s stream) write(batch []byte) (int, error) { return s.w.Write(batch) }
func (s stream) reopen() error                   { return nil }
func (s stream) close() error                    { return nil }

// file is an output that is rotated by size: path is renamed to path.1, path.1 to path.2 and so on, up to keep. After an
// error it is opened again for the next batch, so that it recovers once there is space or the directory is back.
type file struct {
	path     string
	maxSize  int64
	keep     int
	f        handle // nil after an error
	size     int64
	rotateAt int64
}

// handle is what file needs of an *os.File.
type handle interface {
	io.WriteCloser
	Truncate(size int64) error
}

func openFile(path string, maxSize int64, keep int) (*file, error) {
	if maxSize <= 0 {
		maxSize = defaultMaxSize
	}
	if keep <= 0 {
		keep = defaultKeep
	}
	o := &file{path: path, maxSize: maxSize, keep: keep}
	return o, o.reopen()
}

func (o *file) reopen() error {
	f, err := os.OpenFile(o.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return errors.Join(err, o.close())
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close(), o.close())
	}
	err = o.close()
	o.f, o.size, o.rotateAt = f, info.Size(), o.maxSize
	return err
}

func (o *file) close() error {
	if o.f == nil {
		return nil
	}
	f := o.f
	o.f = nil
	return f.Close()
}

func (o *file) write(batch []byte) (int, error) {
	written := 0
	var rotation error
	for written < len(batch) {
		if o.f == nil {
			if err := o.reopen(); err != nil {
				return written, err
			}
		}
		part := o.fitting(batch[written:])
		if len(part) == 0 {
			if err := o.rotate(); err != nil {
				// Records matter more than the size: go on in the same file and try again later.
				rotation = fmt.Errorf("rotate %s: %w", o.path, err)
				o.rotateAt = o.size + o.maxSize
			}
			continue
		}
		n, err := o.f.Write(part)
		if err != nil {
			whole := bytes.LastIndexByte(part[:n], '\n') + 1
			if whole < n {
				err = errors.Join(err, o.f.Truncate(o.size+int64(whole)))
			}
			return written + whole, errors.Join(err, o.close())
		}
		o.size += int64(n)
		written += n
	}
	return written, rotation
}

// fitting gives the whole lines of batch that the file still takes, none if it is to be rotated first. An empty file
// takes at least one line.
func (o *file) fitting(batch []byte) []byte {
	room := o.rotateAt - o.size
	if int64(len(batch)) <= room {
		return batch
	}
	if room > 0 {
		if whole := bytes.LastIndexByte(batch[:room], '\n') + 1; whole > 0 {
			return batch[:whole]
		}
	}
	if o.size > 0 && o.rotateAt == o.maxSize || room <= 0 {
		return nil
	}
	if first := bytes.IndexByte(batch, '\n') + 1; first > 0 {
		return batch[:first]
	}
	return batch
}

func (o *file) rotate() error {
	name := func(i int) string { return o.path + "." + strconv.Itoa(i) }
	for i := o.keep - 1; i >= 1; i-- {
		if err := os.Rename(name(i), name(i+1)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(o.path, name(1)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return o.reopen()
}
