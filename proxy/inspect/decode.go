package inspect

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// Bounds of decoding. A body that inflates beyond maxRatio once it is longer than ratioFree is not data that an
// application sends.
const (
	maxEncodings  = 2
	maxRatio      = 200
	ratioFree     = 1 << 20
	zstdMaxWindow = 8 << 20 // RFC 9659
)

// errEncoding marks a Content-Encoding that cannot be decoded: unknown, stacked too deep, corrupt, or followed by
// other data.
var errEncoding = errors.New("Content-Encoding")

func isEncoding(err error) bool { return errors.Is(err, errEncoding) }

// parseEncodings reads the Content-Encoding fields (RFC 9110, section 8.4), in the order in which they were applied.
func parseEncodings(fields []string) ([]string, error) {
	var encodings []string
	for _, field := range fields {
		for name := range strings.SplitSeq(field, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "", "identity":
			case "gzip", "x-gzip", "deflate", "br", "zstd":
				encodings = append(encodings, name)
			default:
				return nil, fmt.Errorf("%w: %q is not one of gzip, deflate, br, zstd", errEncoding, name)
			}
		}
	}
	if len(encodings) > maxEncodings {
		return nil, fmt.Errorf("%w: %d encodings on top of each other, more than %d", errEncoding, len(encodings), maxEncodings)
	}
	return encodings, nil
}

// decoder undoes the encodings of r. Its errors wrap errEncoding when the encoded data is at fault, and are the
// reader's own when reading failed.
type decoder struct {
	source *sourceReader
	layers []io.Reader // from the outside in
	close  []func()
	out    int64
}

// sourceReader counts what is read and keeps the error of the source apart from the decoders' errors.
type sourceReader struct {
	r     *bufio.Reader
	n     int64
	fault error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.fault = err
	}
	return n, err
}

// ReadByte makes the source an io.ByteReader, so that decoders take no byte beyond their own stream.
func (s *sourceReader) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		s.n++
	} else if err != io.EOF {
		s.fault = err
	}
	return b, err
}

func newDecoder(r io.Reader, encodings []string) (*decoder, error) {
	d := &decoder{source: &sourceReader{r: bufio.NewReader(r)}}
	var in byteReader = d.source
	for i := len(encodings) - 1; i >= 0; i-- {
		layer, err := d.layer(in, encodings[i])
		if err != nil {
			d.Close()
			if d.source.fault != nil {
				return nil, d.source.fault
			}
			return nil, fmt.Errorf("%w: %s: %w", errEncoding, encodings[i], err)
		}
		d.layers = append(d.layers, layer)
		in = bufio.NewReader(layer)
	}
	return d, nil
}

type byteReader interface {
	io.Reader
	io.ByteReader
}

func (d *decoder) layer(in byteReader, encoding string) (io.Reader, error) {
	switch encoding {
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		return &single{z, in}, nil
	case "deflate": // zlib by RFC 9110; many clients send raw deflate
		first, err := peek(in)
		if err != nil {
			return nil, err
		}
		if first&0x0f == 8 && first>>4 <= 7 {
			z, err := zlib.NewReader(in)
			if err != nil {
				return nil, err
			}
			return &single{z, in}, nil
		}
		return &single{flate.NewReader(in), in}, nil
	case "br":
		return &single{brotli.NewReader(in), in}, nil
	case "zstd":
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdMaxWindow), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, err
		}
		d.close = append(d.close, z.Close)
		return z, nil
	}
	return nil, fmt.Errorf("%q is unknown", encoding)
}

// peek looks at the first byte of in, which is the source or a bufio.Reader.
func peek(in byteReader) (byte, error) {
	var r *bufio.Reader
	switch x := in.(type) {
	case *sourceReader:
		r = x.r
	case *bufio.Reader:
		r = x
	default:
		return 0, errors.New("unknown reader")
	}
	b, err := r.Peek(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// single is one compressed stream, behind which nothing may follow.
type single struct {
	io.Reader
	rest io.Reader
}

func (s *single) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF {
		var one [1]byte
		if m, restErr := s.rest.Read(one[:]); m > 0 {
			return n, errors.New("data after the end of the compressed stream")
		} else if restErr != nil && restErr != io.EOF {
			return n, restErr
		}
	}
	return n, err
}

// Read yields decoded bytes.
func (d *decoder) Read(p []byte) (int, error) {
	n, err := d.layers[len(d.layers)-1].Read(p)
	d.out += int64(n)
	switch {
	case d.source.fault != nil:
		return n, d.source.fault
	case err != nil && err != io.EOF:
		return n, fmt.Errorf("%w: %w", errEncoding, err)
	case d.out > ratioFree && d.out > maxRatio*d.source.n:
		return n, fmt.Errorf("%w: the body inflates to more than %d times its size", errEncoding, maxRatio)
	}
	return n, err
}

// Close frees the decoders. It does not close the source.
func (d *decoder) Close() {
	for _, f := range d.close {
		f()
	}
}
