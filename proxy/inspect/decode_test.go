package inspect

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/adler32"
	"hash/crc32"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// encode compresses data as one encoding does.
func encode(t *testing.T, encoding string, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&buf)
	case "deflate":
		w = zlib.NewWriter(&buf)
	case "raw-deflate":
		w, _ = flate.NewWriter(&buf, 6)
	case "br":
		w = brotli.NewWriter(&buf)
	case "zstd":
		w, _ = zstd.NewWriter(&buf)
	default:
		t.Fatalf("unknown encoding %q", encoding)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// polyglot gives data that is well formed both in zlib's format, where it is filler, and as raw deflate, where text is
// at its end. The zlib header opens a stored block of 218 bytes in the raw reading, and in zlib's own is followed by a
// stored block of 65317 bytes; text, compressed, is in the latter behind the former.
func polyglot(t *testing.T, text string) []byte {
	t.Helper()
	const rawLength, zlibLength = 0x00da, 0xff25
	content := bytes.Repeat([]byte("filler, "), zlibLength/8+1)[:zlibLength]
	copy(content[rawLength-2:], encode(t, "raw-deflate", []byte(text)))
	data := []byte{0x78, 0xda, 0x00, 0x25, 0xff, 0xda, 0x00}
	data = append(append(data, content...), 0x01, 0x00, 0x00, 0xff, 0xff)
	data = binary.BigEndian.AppendUint32(data, adler32.Checksum(content))
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	asZlib, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(asZlib, content) {
		t.Fatalf("zlib reads %d bytes (%v)", len(asZlib), err)
	}
	if raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(data))); err != nil || string(raw[rawLength:]) != text {
		t.Fatalf("raw deflate reads %q (%v)", raw, err)
	}
	return data
}

// changed gives data with the bits of one byte flipped, counted from the end if at is negative.
func changed(data []byte, at int, bits byte) []byte {
	data = bytes.Clone(data)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= bits
	return data
}

// cut gives data without its last n bytes.
func cut(data []byte, n int) []byte { return data[:len(data)-n] }

// gzipHeader gives text as one member with a header of flags, and what they announce.
func gzipHeader(t *testing.T, flags byte, fields string, text []byte) []byte {
	t.Helper()
	z := encode(t, "gzip", text)
	head := append([]byte{}, z[:10]...)
	head[3] = flags
	head = append(head, fields...)
	if flags&2 != 0 {
		head = binary.LittleEndian.AppendUint16(head, uint16(crc32.ChecksumIEEE(head)))
	}
	return append(head, z[10:]...)
}

// zstdFrame gives text, of up to 255 bytes, as one frame with one block as it is, and a header of one size byte.
func zstdFrame(flags byte, fields string, text string) []byte {
	n := len(text)<<3 | 1
	return append([]byte("\x28\xb5\x2f\xfd"+string([]byte{flags})+fields), append([]byte{byte(n), byte(n >> 8), byte(n >> 16)}, text...)...)
}

func TestReadEncodedBody(t *testing.T) {
	dir := &SpillDir{path: t.TempDir()}
	text := []byte(strings.Repeat("q=<script>&", 100))
	short := string(text[:11])
	skip := []byte("\x5f\x2a\x4d\x18\x04\x00\x00\x00skip")
	zstdText := encode(t, "zstd", text)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, tt := range []struct {
		name      string
		encodings []string
		body      []byte
		err       error
	}{
		{"gzip", []string{"gzip"}, encode(t, "gzip", text), nil},
		{"x-gzip", []string{"x-gzip"}, encode(t, "gzip", text), nil},
		{"zlib", []string{"deflate"}, encode(t, "deflate", text), nil},
		{"raw deflate", []string{"deflate"}, encode(t, "raw-deflate", text), errEncoding},
		{"zlib and raw deflate at once", []string{"deflate"}, polyglot(t, "q=<script>"), errEncoding},
		{"the same inside gzip", []string{"deflate", "gzip"}, encode(t, "gzip", polyglot(t, "q=<script>")), errEncoding},
		{"zlib with a bad header checksum", []string{"deflate"}, changed(encode(t, "deflate", text), 1, 1), errEncoding},
		{"zlib with a window too large", []string{"deflate"}, append([]byte{0x88, 0x1c}, encode(t, "deflate", text)[2:]...), errEncoding},
		{"zlib with another checksum", []string{"deflate"}, changed(encode(t, "deflate", text), -1, 1), errEncoding},
		{"zlib with a dictionary", []string{"deflate"}, append([]byte{0x78, 0xbb, 0, 0, 0, 1}, encode(t, "deflate", text)[2:]...), errEncoding},
		{"zlib and zeros", []string{"deflate"}, append(encode(t, "deflate", text), 0, 0), errEncoding},
		{"gzip marked as text", []string{"gzip"}, gzipHeader(t, 1, "", text), nil},
		{"gzip with a name", []string{"gzip"}, gzipHeader(t, 8, "r\xc3\xa9port (1).json\x00", text), nil},
		{"gzip with the longest name", []string{"gzip"}, gzipHeader(t, 8, strings.Repeat("n", 255)+"\x00", text), nil},
		{"gzip with a longer name", []string{"gzip"}, gzipHeader(t, 8, strings.Repeat("n", 256)+"\x00", text), errEncoding},
		{"gzip with a line end in its name", []string{"gzip"}, gzipHeader(t, 8, "a\nb\x00", text), errEncoding},
		{"gzip with a field in its name", []string{"gzip"}, gzipHeader(t, 8, "&q\x00", text), errEncoding},
		{"gzip with markup in its name", []string{"gzip"}, gzipHeader(t, 8, "<svg \x00", text), errEncoding},
		{"gzip with an extra field", []string{"gzip"}, gzipHeader(t, 4, "\x04\x00AB\x00\x00", text), errEncoding},
		{"gzip with a comment", []string{"gzip"}, gzipHeader(t, 16, "comment\x00", text), errEncoding},
		{"gzip with a header checksum", []string{"gzip"}, gzipHeader(t, 2, "", text), errEncoding},
		{"gzip with reserved flags", []string{"gzip"}, gzipHeader(t, 0x20, "", text), errEncoding},
		{"gzip with another method", []string{"gzip"}, changed(encode(t, "gzip", text), 2, 1), errEncoding},
		{"gzip with another checksum", []string{"gzip"}, changed(encode(t, "gzip", text), -5, 1), errEncoding},
		{"gzip with another size", []string{"gzip"}, changed(encode(t, "gzip", text), -1, 1), errEncoding},
		{"gzip and zeros", []string{"gzip"}, append(encode(t, "gzip", text), 0, 0), errEncoding},
		{"gzip behind an empty member", []string{"gzip"}, join(encode(t, "gzip", nil), encode(t, "gzip", text)), errEncoding},
		{"brotli and zeros", []string{"br"}, append(encode(t, "br", text), 0, 0), errEncoding},
		{"brotli twice", []string{"br"}, join(encode(t, "br", text), encode(t, "br", text)), errEncoding},
		{"brotli with a large window", []string{"br"}, []byte("\x11\x1e\x03"), errEncoding},
		{"zstd frames", []string{"zstd"}, join(zstdText, zstdText), errEncoding},
		{"zstd and an empty frame", []string{"zstd"}, join(zstdText, encode(t, "zstd", nil)), errEncoding},
		{"zstd behind a skippable frame", []string{"zstd"}, join(skip, zstdText), errEncoding},
		{"zstd before a skippable frame", []string{"zstd"}, join(zstdText, skip), errEncoding},
		{"zstd, skippable frames alone", []string{"zstd"}, skip, errEncoding},
		{"zstd and zeros", []string{"zstd"}, join(zstdText, []byte{0, 0}), errEncoding},
		{"zstd with another checksum", []string{"zstd"}, changed(zstdText, -1, 1), errEncoding},
		{"zstd with another size", []string{"zstd"}, zstdFrame(0x20, "\x0c", short), errEncoding},
		{"zstd with a dictionary", []string{"zstd"}, zstdFrame(0x21, "\x01\x0b", short), errEncoding},
		{"zstd with dictionary 0", []string{"zstd"}, zstdFrame(0x21, "\x00\x0b", short), errEncoding},
		{"zstd with a reserved bit", []string{"zstd"}, zstdFrame(0x28, "\x0b", short), errEncoding},
		{"zstd with a window of 16 MiB", []string{"zstd"}, zstdFrame(0, "\x70", short), errEncoding},
		{"zstd with a segment of 16 MiB", []string{"zstd"}, zstdFrame(0xa0, "\x00\x00\x00\x01", short), errEncoding},
		{"zstd cut at a block", []string{"zstd"}, zstdFrame(0x20, "\x0b", "")[:6], errEncoding},
		{"zstd empty", []string{"zstd"}, nil, errEncoding},
		{"zstd in gzip, cut at its checksum", []string{"zstd", "gzip"}, cut(encode(t, "gzip", zstdText), 8), errEncoding},
		{"zstd in gzip with another checksum", []string{"zstd", "gzip"}, changed(encode(t, "gzip", zstdText), -5, 1), errEncoding},
		{"brotli", []string{"br"}, encode(t, "br", text), nil},
		{"zstd", []string{"zstd"}, encode(t, "zstd", text), nil},
		{"two layers", []string{"gzip", "br"}, encode(t, "br", encode(t, "gzip", text)), nil},
		{"two layers of deflate", []string{"deflate", "deflate"}, encode(t, "deflate", encode(t, "deflate", text)), nil},
		{"trailing bytes behind brotli around gzip", []string{"gzip", "br"}, append(encode(t, "br", encode(t, "gzip", text)), 'x'), errEncoding},
		{"two members", []string{"gzip"}, append(encode(t, "gzip", text), encode(t, "gzip", text)...), errEncoding},
		{"trailing bytes behind gzip", []string{"gzip"}, append(encode(t, "gzip", text), 'x'), errEncoding},
		{"trailing bytes behind zlib", []string{"deflate"}, append(encode(t, "deflate", text), 'x'), errEncoding},
		{"trailing bytes behind brotli", []string{"br"}, append(encode(t, "br", text), 'x'), errEncoding},
		{"trailing bytes behind zstd", []string{"zstd"}, join(zstdText, []byte{'x'}), errEncoding},
		{"cut short", []string{"gzip"}, encode(t, "gzip", text)[:20], errEncoding},
		{"not compressed", []string{"gzip"}, text, errEncoding},
		{"empty", []string{"gzip"}, nil, errEncoding},
		{"inflates a thousandfold", []string{"gzip"}, encode(t, "gzip", make([]byte, 8<<20)), errEncoding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			byByte := newBody(dir, iotest.OneByteReader(bytes.NewReader(tt.body)), -1, 1<<20)
			defer byByte.Close()
			if err := byByte.read(tt.encodings, 16<<20); !errors.Is(err, tt.err) {
				t.Fatalf("byte by byte: error %v, want %v", err, tt.err)
			}
			b := newBody(dir, bytes.NewReader(tt.body), int64(len(tt.body)), 1<<20)
			defer b.Close()
			err := b.read(tt.encodings, 16<<20)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			for word, says := range map[string]string{"dictionary": "needs a dictionary", "segment": "needs a window"} {
				if strings.Contains(tt.name, word) && !strings.Contains(err.Error(), says) {
					t.Errorf("error %q does not say that it %s", err, says)
				}
			}
			if err != nil {
				b.forwardRaw()
			} else if got, _ := io.ReadAll(b.inspected().Reader); !bytes.Equal(got, text) {
				t.Errorf("inspected %d bytes, want %d", len(got), len(text))
			}
			var r io.Reader = strings.NewReader("")
			if forwarded, _ := b.forward(); forwarded != nil {
				r = forwarded
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, tt.body) {
				t.Errorf("forwarded %d bytes, want the %d as received (%v)", len(got), len(tt.body), err)
			}
		})
	}
}

// TestReadEncodedReply shows that replies are read in every way in which clients read them.
func TestReadEncodedReply(t *testing.T) {
	text := []byte(strings.Repeat("root:x:0:0:", 100))
	zstdText := encode(t, "zstd", text)
	for _, tt := range []struct {
		name, encoding string
		body           []byte
		times          int
		err            error
	}{
		{"raw deflate", "deflate", encode(t, "raw-deflate", text), 1, nil},
		{"zlib", "deflate", encode(t, "deflate", text), 1, nil},
		{"gzip with an extra field", "gzip", gzipHeader(t, 4, "\x04\x00AB\x00\x00", text), 1, nil},
		{"zstd frames", "zstd", bytes.Join([][]byte{zstdText, []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00skip"), zstdText}, nil), 2, nil},
		{"zstd with bytes behind it", "zstd", append(bytes.Clone(zstdText), "more"...), 0, errEncoding},
		{"gzip members", "gzip", append(encode(t, "gzip", text), encode(t, "gzip", text)...), 0, errEncoding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBody(&SpillDir{path: t.TempDir()}, bytes.NewReader(tt.body), -1, 1<<20)
			defer b.Close()
			b.reply = true
			if err := b.read([]string{tt.encoding}, 1<<20); !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			} else if err != nil {
				return
			}
			if got, _ := io.ReadAll(b.inspected().Reader); !bytes.Equal(got, bytes.Repeat(text, tt.times)) {
				t.Errorf("inspected %d bytes, want %d times %d", len(got), tt.times, len(text))
			}
		})
	}
}

// TestReadEncodedFault shows that a client that fails is no bad encoding.
func TestReadEncodedFault(t *testing.T) {
	fault := errors.New("the client is gone")
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd"} {
		b := newBody(&SpillDir{path: t.TempDir()}, iotest.ErrReader(fault), -1, 1<<20)
		if err := b.read([]string{encoding}, 1<<20); !errors.Is(err, fault) || isEncoding(err) {
			t.Errorf("%s: error %v", encoding, err)
		}
		b.Close()
	}
}

func TestRequestEncodings(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   string
		err    error
	}{
		{nil, "", nil},
		{[]string{""}, "", nil},
		{[]string{"identity"}, "", nil},
		{[]string{"GZIP"}, "gzip", nil},
		{[]string{"X-Gzip"}, "x-gzip", nil},
		{[]string{" gzip\t,  br"}, "gzip br", nil},
		{[]string{"gzip,gzip"}, "gzip gzip", nil},
		{[]string{"gzip", "br"}, "", errEncoding},
		{[]string{"gzip", "gzip"}, "", errEncoding},
		{[]string{"gzip", ""}, "", errEncoding},
		{[]string{"gzip,br,zstd"}, "", errEncoding},
		{[]string{"gzip,"}, "", errEncoding},
		{[]string{", gzip"}, "", errEncoding},
		{[]string{","}, "", errEncoding},
		{[]string{"identity, gzip"}, "", errEncoding},
		{[]string{"identity,identity"}, "", errEncoding},
		{[]string{"compress"}, "", errEncoding},
		{[]string{"gzip;q=1"}, "", errEncoding},
		{[]string{"gzip gzip"}, "", errEncoding},
		{[]string{"gz\u0130p"}, "", errEncoding}, // which strings.ToLower makes gzip
		{[]string{"\u00a0gzip"}, "", errEncoding},
	} {
		got, err := requestEncodings(tt.fields)
		if strings.Join(got, " ") != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%q: got %q, %v, want %q, %v", tt.fields, got, err, tt.want, tt.err)
		}
	}
}

func TestBodyBounds(t *testing.T) {
	data := make([]byte, 1<<20)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name                   string
		size                   int
		maximum, limit         int64
		truncated, complete    bool
		readErr, forwardErr    error
		wantLength, wantPrefix int64
	}{
		{name: "whole in memory", size: 1000, maximum: 1 << 20, limit: 1000, complete: true, wantLength: 1000, wantPrefix: 1000},
		{name: "cut by one", size: 1001, maximum: 1 << 20, limit: 1000, truncated: true, wantLength: -1, wantPrefix: 1000},
		{name: "whole in a file", size: 600 << 10, maximum: 1 << 20, limit: 1 << 20, complete: true, wantLength: 600 << 10, wantPrefix: 600 << 10},
		{name: "cut in a file", size: 1 << 20, maximum: 1 << 20, limit: 700 << 10, truncated: true, wantLength: -1, wantPrefix: 700 << 10},
		{name: "exactly max_bytes", size: 5000, maximum: 5000, limit: 1000, truncated: true, wantLength: -1, wantPrefix: 1000},
		{name: "over max_bytes while read", size: 5001, maximum: 5000, limit: 5000, readErr: errTooLarge},
		{name: "over max_bytes while forwarded", size: 5001, maximum: 5000, limit: 1000, truncated: true, forwardErr: errTooLarge, wantLength: -1, wantPrefix: 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBody(&SpillDir{path: t.TempDir()}, bytes.NewReader(data[:tt.size]), -1, tt.maximum)
			defer b.Close()
			if err := b.read(nil, tt.limit); !errors.Is(err, tt.readErr) {
				t.Fatalf("error %v, want %v", err, tt.readErr)
			} else if err != nil {
				return
			}
			if b.truncated != tt.truncated || b.complete != tt.complete {
				t.Errorf("truncated %v, complete %v", b.truncated, b.complete)
			}
			got, err := io.ReadAll(b.inspected().Reader)
			if err != nil || !bytes.Equal(got, data[:tt.wantPrefix]) {
				t.Errorf("inspected %d bytes (%v), want %d", len(got), err, tt.wantPrefix)
			}
			r, length := b.forward()
			if length != tt.wantLength {
				t.Errorf("length %d, want %d", length, tt.wantLength)
			}
			got, err = io.ReadAll(r)
			if !errors.Is(err, tt.forwardErr) {
				t.Fatalf("forward: error %v, want %v", err, tt.forwardErr)
			}
			if err == nil && !bytes.Equal(got, data[:tt.size]) {
				t.Errorf("forwarded %d bytes, want %d", len(got), tt.size)
			}
		})
	}
}
