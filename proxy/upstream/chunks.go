package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"gatehouse/proxy/http1"
)

// maxReplyExtensions bounds the extensions of all chunks of a reply in bytes: nobody reads them.
const maxReplyExtensions = 16 << 10

// chunks reads a chunked body up to its trailer (RFC 9112, section 7.1).
type chunks struct {
	br         *bufio.Reader
	left       int64 // of the current chunk
	begun      bool
	extensions int // bytes of extensions so far
}

// Read gives io.EOF behind the last chunk, and io.ErrUnexpectedEOF where the connection ends before.
func (c *chunks) Read(p []byte) (int, error) {
	if c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.br.Read(p)
	c.left -= int64(n)
	return n, cutOff(err)
}

// next reads the line in front of a chunk, and the end of the chunk before.
func (c *chunks) next() error {
	if c.begun {
		switch line, err := c.line(); {
		case err != nil:
			return err
		case len(line) > 0:
			return errors.New("a chunk is longer than its size")
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, ok := http1.ParseChunkSize(bytes.TrimRight(line, " \t")) // some servers fill up with spaces
	if !ok {
		return errors.New("a chunk size is malformed")
	}
	if c.extensions += extension; c.extensions > maxReplyExtensions {
		return errors.New("the chunk extensions are too long")
	}
	if size == 0 {
		return io.EOF
	}
	c.left = size
	return nil
}

// line reads a line, and gives it without its CRLF.
func (c *chunks) line() ([]byte, error) {
	line, err := c.br.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errors.New("a chunk size is too long")
	case err != nil:
		return nil, cutOff(err)
	case len(line) < 2 || line[len(line)-2] != '\r':
		return nil, errors.New("a line between chunks ends in a bare LF")
	}
	return line[:len(line)-2], nil
}

// cutOff is an error of the connection within a body.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
