package http1

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Bounds of what a chunked body may carry beside its content, in bytes.
const (
	maxChunkDigits     = 16
	maxExtension       = 256     // of one chunk
	maxExtensions      = 4 << 10 // of all chunks of a body
	maxTrailer         = 4 << 10
	maxTrailerFields   = 64
	longestChunkPrefix = maxChunkDigits + maxExtension + len("\r\n")
)

// malformedBody makes an error that is ErrMalformedBody.
func malformedBody(detail string) error { return fmt.Errorf("%w: %s", ErrMalformedBody, detail) }

// chunks is where a chunked body stands (RFC 9112, section 7.1).
type chunks struct {
	begun      bool
	left       int64 // of the current chunk's content
	extensions int   // bytes of extensions so far
}

// line waits for a line, of at most limit bytes with its CRLF, and gives it without. It is void after the next read.
func (b *Body) line(limit int, what string) ([]byte, error) {
	in := b.conn.in
	for seen := 0; ; {
		buffered := in.rest()
		i := bytes.IndexByte(buffered[seen:], '\n')
		end := seen + i
		switch {
		case i < 0 && len(buffered) < limit:
			seen = len(buffered)
			if err := b.more(); err != nil {
				return nil, err
			}
			continue
		case i < 0 || end+1 > limit:
			return nil, malformedBody(what + " is too long")
		case end == 0 || buffered[end-1] != '\r':
			return nil, malformedBody("a line that ends in a bare LF where " + what + " should stand")
		}
		in.r += end + 1
		return buffered[:end-1], nil
	}
}

// nextChunk reads up to the content of the next chunk. After the last one it reads the trailer and gives io.EOF.
func (b *Body) nextChunk() error {
	c := &b.chunks
	if c.begun {
		if err := b.chunkEnd(); err != nil {
			return err
		}
	}
	c.begun = true
	line, err := b.line(longestChunkPrefix, "a chunk size")
	if err != nil {
		return err
	}
	size, extension, err := parseChunkSize(line)
	if err != nil {
		return err
	}
	if c.extensions += len(extension); c.extensions > maxExtensions {
		return malformedBody("the chunk extensions are too long")
	}
	if c.left = size; size > 0 {
		return nil
	}
	if err := b.readTrailer(); err != nil {
		return err
	}
	return io.EOF
}

// chunkEnd reads the CRLF after a chunk's content.
func (b *Body) chunkEnd() error {
	in := b.conn.in
	for in.buffered() < 2 {
		if in.buffered() == 1 && in.rest()[0] != '\r' {
			break
		}
		if err := b.more(); err != nil {
			return err
		}
	}
	if rest := in.rest(); rest[0] != '\r' || rest[1] != '\n' {
		return malformedBody("a chunk does not end where its size says")
	}
	in.r += 2
	return nil
}

// parseChunkSize reads 1*HEXDIG and the extension after it.
func parseChunkSize(line []byte) (size int64, extension []byte, err error) {
	i := 0
	for ; i < len(line); i++ {
		digit := unhex(line[i])
		if digit < 0 {
			break
		}
		if i == maxChunkDigits || size >= 1<<59 {
			return 0, nil, malformedBody("a chunk size is too large")
		}
		size = size<<4 | int64(digit)
	}
	if extension = line[i:]; i == 0 || len(extension) > maxExtension || !validExtension(extension) {
		return 0, nil, malformedBody("a chunk size is malformed")
	}
	return size, extension, nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// validExtension takes nothing, or names with or without values after semicolons, without white space around them (RFC
// 9112, section 7.1.1). Extensions mean nothing here and go no further.
func validExtension(s []byte) bool {
	for len(s) > 0 {
		if s[0] != ';' {
			return false
		}
		n := tokenLength(s[1:])
		if n == 0 {
			return false
		}
		if s = s[1+n:]; len(s) == 0 || s[0] != '=' {
			continue
		}
		if n = tokenLength(s[1:]); n == 0 {
			n = quotedLength(s[1:])
		}
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	return true
}

// tokenLength is how many bytes at the beginning of s are a token.
func tokenLength(s []byte) int {
	n := 0
	for n < len(s) && classes[s[n]]&inToken != 0 {
		n++
	}
	return n
}

// quotedLength is how many bytes at the beginning of s are a quoted string, 0 if there is none.
func quotedLength(s []byte) int {
	if len(s) == 0 || s[0] != '"' {
		return 0
	}
	for i := 1; i < len(s) && classes[s[i]]&inValue != 0; i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			if i++; i == len(s) || classes[s[i]]&inValue == 0 {
				return 0
			}
		}
	}
	return 0
}

// readTrailer reads the trailer section and its empty line into the request (RFC 9112, section 7.1.2).
func (b *Body) readTrailer() error {
	left := maxTrailer
	for fields := 0; ; fields++ {
		line, err := b.line(left, "a trailer field")
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		left -= len(line) + 2
		name, value, ref := parseField(string(line))
		switch {
		case ref != nil:
			return malformedBody("trailer: " + ref.detail)
		case !TrailerAllowed(name):
			return malformedBody("the trailer holds " + quoteName(name) + ", which may not come after a body")
		case left < 2 || fields == maxTrailerFields:
			return malformedBody("the trailer is too long")
		}
		if b.request.Trailer == nil {
			b.request.Trailer = http.Header{}
		}
		b.request.Trailer[name] = append(b.request.Trailer[name], value)
	}
}

// TrailerAllowed refuses the fields that frame, route, authenticate or describe a message (RFC 9110, section 6.5.1).
func TrailerAllowed(name string) bool {
	name = textproto.CanonicalMIMEHeaderKey(name)
	switch name {
	case "Cookie", "Set-Cookie", "Upgrade", "Forwarded", "X-Http-Method-Override", "Http2-Settings":
		return false
	}
	return httpguts.ValidTrailerHeader(name) && !strings.HasPrefix(name, "Proxy-") && !strings.HasPrefix(name, "X-Forwarded-")
}

// ParseChunkSize reads the line in front of a chunk, without its CRLF, as strictly as those of requests are read: its size in
// bytes, and how many bytes of extensions it has.
func ParseChunkSize(line []byte) (size int64, extension int, ok bool) {
	size, rest, err := parseChunkSize(line)
	return size, len(rest), err == nil
}
