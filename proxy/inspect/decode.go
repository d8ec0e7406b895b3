package inspect

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
)

// Bounds of decoding. A body that inflates beyond maxRatio once it is longer than ratioFree is not data that an
// application sends.
const (
	maxEncodings = 2
	maxRatio     = 200
	ratioFree    = 1 << 20
)

// errEncoding marks a Content-Encoding that cannot be decoded: unknown, stacked too deep, corrupt, or followed by
// other data.
var errEncoding = errors.New("Content-Encoding")

func isEncoding(err error) bool { return errors.Is(err, errEncoding) }

// requestEncodings reads the Content-Encoding fields of a request, strictly: applications that look at one field, or at
// the whole value, must come to the same encodings. RFC 9110 does not want identity in the field (section 8.4.1).
func requestEncodings(fields []string) ([]string, error) {
	if len(fields) > 1 {
		return nil, fmt.Errorf("%w: the field is sent %d times; send one field with a list", errEncoding, len(fields))
	}
	for _, field := range fields {
		list := strings.Split(field, ",")
		for _, name := range list {
			if name = lower(name); len(list) > 1 && (name == "" || name == "identity") {
				return nil, fmt.Errorf("%w: %q stands in a list; leave it out", errEncoding, name)
			}
		}
	}
	return parseEncodings(fields)
}

// lower gives the name of an encoding without the space around it, in lower case. Only letters of ASCII have one: a
// name with others is not known.
func lower(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, strings.Trim(name, " \t"))
}

// parseEncodings reads the Content-Encoding fields (RFC 9110, section 8.4), in the order in which they were applied.
func parseEncodings(fields []string) ([]string, error) {
	var encodings []string
	for _, field := range fields {
		for name := range strings.SplitSeq(field, ",") {
			switch name = lower(name); name {
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

// Peek looks at the next bytes without taking them.
func (s *sourceReader) Peek(n int) ([]byte, error) {
	next, err := s.r.Peek(n)
	if err != nil && err != io.EOF {
		s.fault = err
	}
	return next, err
}

// newDecoder undoes encodings. What is read as a request has one reading alone; lenient, for replies, takes what
// clients take as well: raw deflate, several zstd frames, and any header field of gzip.
func newDecoder(r io.Reader, encodings []string, lenient bool) (*decoder, error) {
	d := &decoder{source: &sourceReader{r: bufio.NewReader(r)}}
	var in byteReader = d.source
	for i := len(encodings) - 1; i >= 0; i-- {
		layer, err := d.layer(in, encodings[i], lenient)
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

// byteReader is what decoders read from: by bytes, so that they take none beyond their own stream.
type byteReader interface {
	io.Reader
	io.ByteReader
	Peek(n int) ([]byte, error)
}

func (d *decoder) layer(in byteReader, encoding string, lenient bool) (io.Reader, error) {
	switch encoding {
	case "gzip", "x-gzip":
		z, err := openGzip(in, lenient)
		return &single{z, in}, err
	case "deflate":
		z, err := openDeflate(in, lenient)
		return &single{z, in}, err
	case "br":
		return &single{brotli.NewReader(in), in}, nil
	case "zstd":
		z, err := openZstd(in, lenient)
		if err != nil {
			return nil, err
		}
		d.close = append(d.close, z.Close)
		return z, nil
	}
	return nil, fmt.Errorf("%q is unknown", encoding)
}

// errTrailing says that something follows a compressed stream.
var errTrailing = errors.New("data after the end of the compressed stream")

// single is one compressed stream, behind which nothing may follow.
type single struct {
	io.Reader
	rest io.ByteReader
}

func (s *single) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err == io.EOF {
		switch _, restErr := s.rest.ReadByte(); restErr {
		case nil:
			return n, errTrailing
		case io.EOF:
		default:
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
