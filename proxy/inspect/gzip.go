package inspect

import (
	"compress/gzip"
	"errors"
	"io"
	"strings"
)

// Flags of a gzip header (RFC 1952, section 2.3.1).
const (
	gzipText = 1 << 0
	gzipName = 1 << 3
)

// Bounds of the file name in a gzip header: its length in bytes and what it must not hold.
const (
	maxGzipName = 255
	nameForbids = `&=;%<>"'`
)

// openGzip opens one gzip member. Its header may hold a file name, which the gzip tool writes, and nothing else: extra
// fields, comments and header checksums are written by few, and skipped in different ways.
func openGzip(in byteReader, lenient bool) (io.Reader, error) {
	head, err := in.Peek(4)
	if err == nil && !lenient && head[3]&^(gzipText|gzipName) != 0 {
		return nil, errors.New("the gzip header has an extra field, a comment, a checksum or unknown flags")
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	if !lenient && !plainName(z.Name) {
		return nil, errors.New("the file name in the gzip header is longer than 255 bytes, or holds control characters or one of " + nameForbids)
	}
	z.Multistream(false)
	return z, nil
}

// plainName says whether name, whose runes are the bytes of a gzip header, can be the name of a file in any charset, and
// is nothing that an application which does not decode the body reads as a field or as markup.
func plainName(name string) bool {
	n := 0
	for _, b := range name {
		if n++; b < ' ' || b == 0x7f || n > maxGzipName {
			return false
		}
	}
	return !strings.ContainsAny(name, nameForbids)
}
