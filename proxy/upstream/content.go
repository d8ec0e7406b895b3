package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"

	"gatehouse/proxy/http1"
)

// maxReplyTrailer bounds the trailer of a reply in bytes, with its empty line.
const maxReplyTrailer = 4 << 10

// content reads the body of a reply to its end and no further. It is not for concurrent use.
type content struct {
	br     *bufio.Reader
	resp   *http.Response // gets the trailer
	left   int64          // bytes to come; -1 if there is no telling
	chunks *chunks        // nil if the body is not chunked
	err    error          // that Read gives from now on
}

// begin is called with the reply's head, and reports whether there is a body.
func (c *content) begin(br *bufio.Reader, method string, resp *http.Response) bool {
	*c = content{br: br, resp: resp, left: resp.ContentLength}
	switch {
	case bodiless(method, resp) || c.left == 0:
		c.err = io.EOF
		return false
	case len(resp.TransferEncoding) > 0:
		c.chunks = &chunks{br: br}
	}
	return true
}

// Read gives io.EOF with the last byte of a body whose length is known, and else after it.
func (c *content) Read(p []byte) (n int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	switch {
	case c.chunks != nil:
		if n, err = c.chunks.Read(p); err == io.EOF { // exactly the end, not an error that wraps it
			if err = c.readTrailer(); err == nil {
				err = io.EOF
			}
		}
	case c.left < 0:
		n, err = c.br.Read(p)
	default:
		n, err = c.sized(p)
	}
	c.err = err
	return n, err
}

func (c *content) sized(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.br.Read(p)
	c.left -= int64(n)
	switch {
	case c.left == 0:
		err = io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readTrailer reads the trailer section and its empty line into the reply (RFC 9112, section 7.1.2).
func (c *content) readTrailer() error {
	for left := maxReplyTrailer; ; {
		line, err := c.br.ReadSlice('\n')
		left -= len(line)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) || left < 0:
			return fmt.Errorf("the trailer exceeds %d bytes", maxReplyTrailer)
		case errors.Is(err, io.EOF):
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case len(line) < 2 || line[len(line)-2] != '\r':
			return errors.New("a line of the trailer ends in a bare LF")
		case len(line) == 2:
			return nil
		}
		name, value, err := http1.ParseField(string(line[:len(line)-2]))
		if err != nil {
			return fmt.Errorf("the trailer: %w", err)
		}
		if c.resp.Trailer == nil {
			c.resp.Trailer = http.Header{}
		}
		c.resp.Trailer[name] = append(c.resp.Trailer[name], value)
	}
}
