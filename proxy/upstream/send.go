package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/http/httpguts"

	"gatehouse/proxy/buffer"
)

// send writes the request, or its head if the body is sent beside the reply. What is in memory goes out with as few
// writes as it takes buffers, mostly one.
func (x *exchange) send() error {
	streams := x.body != nil && !x.body.inMemory(x.req.HTTP.ContentLength)
	if streams || x.firstByte <= 2*patience {
		x.watch()
	} else {
		x.conn.hurry(time.Now())
	}
	through := buffer.Borrow()
	defer through.Return()
	head := x.appendHead(through[:0])
	switch {
	case streams:
		return x.startUpload(head)
	case x.body != nil:
		return x.writeSized(head, true)
	}
	return x.write(head)
}

// ownHeader reports whether a header field is the connection's or the framing's, which are written here.
func ownHeader(name string) bool {
	switch name {
	case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive", "Proxy-Connection", "Expect":
		return true
	default:
		return false
	}
}

// isUpgrade reports whether a request asks for another protocol.
func isUpgrade(r *http.Request) bool {
	return r.Header.Get("Upgrade") != "" && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}

func appendLine(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// appendHead appends the request line and the header: method, target, host and values as they are, framing our own.
func (x *exchange) appendHead(b []byte) []byte {
	r := x.req.HTTP
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, x.req.Target...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendLine(b, "Host", r.Host)
	upgrade := isUpgrade(r)
	for name, values := range r.Header {
		if ownHeader(name) || (name == "Upgrade" && !upgrade) {
			continue
		}
		for _, v := range values {
			b = appendLine(b, name, v)
		}
	}
	switch {
	case upgrade:
		b = appendLine(b, "Connection", "Upgrade")
	case x.close == closeAfter:
		b = appendLine(b, "Connection", "close")
	}
	return append(x.appendFraming(b), "\r\n"...)
}

func (x *exchange) appendFraming(b []byte) []byte {
	r := x.req.HTTP
	switch {
	case x.body == nil:
		if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
			b = appendLine(b, "Content-Length", "0")
		}
	case r.ContentLength >= 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.ContentLength, 10)
		b = append(b, "\r\n"...)
	default:
		b = appendLine(b, "Transfer-Encoding", "chunked")
		for name := range r.Trailer {
			b = appendLine(b, "Trailer", name)
		}
	}
	return b
}

// startUpload writes the head and leaves the body to a goroutine.
func (x *exchange) startUpload(head []byte) error {
	x.upload = make(chan struct{})
	if err := x.write(head); err != nil {
		x.failure = err
		close(x.upload)
		return err
	}
	go x.runUpload()
	return nil
}

// runUpload sends the body while the reply is awaited, and starts the clock for the first byte when it is sent.
func (x *exchange) runUpload() {
	err := x.writeBody()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failure = err
	defer close(x.upload)
	var body bodyError
	switch {
	case errors.As(err, &body):
		_ = x.conn.raw.Close() // the upstream must see that the body is not whole
	case x.headDone:
	case err != nil:
		_ = x.conn.raw.SetReadDeadline(time.Now().Add(afterBreak))
	default:
		_ = x.conn.raw.SetReadDeadline(time.Now().Add(x.firstByte))
	}
}

func (x *exchange) writeBody() error {
	through := buffer.Borrow()
	defer through.Return()
	if x.req.HTTP.ContentLength < 0 {
		return x.writeChunked(through[:])
	}
	return x.writeSized(through[:0], false)
}

// writeSized sends b and behind it the body, for which the rest of b is used: as it comes, so that the upstream sees a
// stream as the client sends it, or gathered.
func (x *exchange) writeSized(b []byte, gather bool) error {
	length := x.req.HTTP.ContentLength
	for sent := int64(0); ; {
		if len(b) == cap(b) || len(b) > 0 && !gather {
			if err := x.write(b); err != nil {
				return err
			}
			b = b[:0]
		}
		n, err := x.body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		sent += int64(n)
		switch {
		case sent > length:
			return bodyError{ErrBodyLength}
		case err == nil:
			continue
		case !errors.Is(err, io.EOF):
			return bodyError{err}
		case sent < length:
			return bodyError{fmt.Errorf("%w: %d of %d bytes", ErrBodyLength, sent, length)}
		}
		return x.write(b)
	}
}

// chunkRoom is what the size of a chunk that fits into a buffer takes, with its CRLF.
const chunkRoom = 8

// writeChunked sends the body as it comes, each piece with one write, by means of b.
func (x *exchange) writeChunked(b []byte) error {
	for {
		n, err := x.body.Read(b[chunkRoom : len(b)-len("\r\n")])
		if n > 0 {
			var room [chunkRoom]byte
			size := append(strconv.AppendInt(room[:0], int64(n), 16), "\r\n"...)
			start := chunkRoom - len(size)
			copy(b[start:], size)
			chunk := append(b[start:chunkRoom+n], "\r\n"...)
			if err := x.write(chunk); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bodyError{err}
		}
	}
	b = append(b[:0], "0\r\n"...)
	for name, values := range x.req.HTTP.Trailer {
		for _, v := range values {
			if !httpguts.ValidTrailerHeader(name) || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(v) {
				return bodyError{fmt.Errorf("trailer %q cannot be sent", name)}
			}
			b = appendLine(b, name, v)
		}
	}
	return x.write(append(b, "\r\n"...))
}

// write bounds every write, so that an upstream that stops reading does not hold a request for ever.
func (x *exchange) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if x.unwatch != nil {
		_ = x.conn.raw.SetWriteDeadline(time.Now().Add(x.firstByte))
	}
	_, err := x.conn.conn.Write(b)
	return err
}
