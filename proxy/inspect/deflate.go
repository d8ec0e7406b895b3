package inspect

import (
	"compress/flate"
	"compress/zlib"
	"errors"
	"io"
)

// zlibDictionary is the flag for a dictionary in the second byte of zlib's format (RFC 1950, section 2.2). compress/zlib
// takes the checksum of an empty one for that of none.
const zlibDictionary = 1 << 5

// openDeflate opens the encoding deflate, which is zlib's format (RFC 9110, section 8.4.1.2). Some applications read raw
// deflate (RFC 1951) instead, or as well; lenient does.
func openDeflate(in byteReader, lenient bool) (io.Reader, error) {
	head, _ := in.Peek(5) // what is shorter is for zlib to refuse
	if lenient && !isZlib(head) {
		return flate.NewReader(in), nil
	}
	if !lenient && isStored(head) {
		return nil, errors.New("it can be read both as zlib and as raw deflate; send gzip")
	}
	if len(head) > 1 && head[1]&zlibDictionary != 0 {
		return nil, errors.New("it needs a dictionary")
	}
	z, err := zlib.NewReader(in)
	if errors.Is(err, zlib.ErrHeader) {
		return nil, errors.New("it is not in zlib's format (RFC 1950); raw deflate is not accepted")
	}
	return z, err
}

// isZlib says whether data begins like zlib's format: with method 8 and a window of at most 32 KiB.
func isZlib(head []byte) bool {
	return len(head) > 0 && head[0]&0x0f == 8 && head[0]>>4 <= 7
}

// isStored says whether data that begins like zlib's format begins like raw deflate, too. Its first byte then opens a
// stored block, of which the length and its complement follow (RFC 1951, section 3.2.4).
func isStored(head []byte) bool {
	return len(head) >= 5 && head[1]^head[3] == 0xff && head[2]^head[4] == 0xff
}
