package inspect

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

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

func TestReadEncodedBody(t *testing.T) {
	dir := &SpillDir{path: t.TempDir()}
	text := []byte(strings.Repeat("q=<script>&", 100))
	for _, tt := range []struct {
		name      string
		encodings []string
		body      []byte
		err       error
	}{
		{"gzip", []string{"gzip"}, encode(t, "gzip", text), nil},
		{"x-gzip", []string{"x-gzip"}, encode(t, "gzip", text), nil},
		{"zlib", []string{"deflate"}, encode(t, "deflate", text), nil},
		{"raw deflate", []string{"deflate"}, encode(t, "raw-deflate", text), nil},
		{"brotli", []string{"br"}, encode(t, "br", text), nil},
		{"zstd", []string{"zstd"}, encode(t, "zstd", text), nil},
		{"two layers", []string{"gzip", "br"}, encode(t, "br", encode(t, "gzip", text)), nil},
		{"two layers of deflate", []string{"deflate", "deflate"}, encode(t, "deflate", encode(t, "raw-deflate", text)), nil},
		{"two members", []string{"gzip"}, append(encode(t, "gzip", text), encode(t, "gzip", text)...), errEncoding},
		{"trailing bytes behind gzip", []string{"gzip"}, append(encode(t, "gzip", text), 'x'), errEncoding},
		{"trailing bytes behind zlib", []string{"deflate"}, append(encode(t, "deflate", text), 'x'), errEncoding},
		{"trailing bytes behind brotli", []string{"br"}, append(encode(t, "br", text), 'x'), errEncoding},
		{"trailing bytes behind zstd", []string{"zstd"}, append(encode(t, "zstd", text), 'x'), errEncoding},
		{"cut short", []string{"gzip"}, encode(t, "gzip", text)[:20], errEncoding},
		{"not compressed", []string{"gzip"}, text, errEncoding},
		{"empty", []string{"gzip"}, nil, errEncoding},
		{"inflates a thousandfold", []string{"gzip"}, encode(t, "gzip", make([]byte, 8<<20)), errEncoding},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBody(dir, bytes.NewReader(tt.body), int64(len(tt.body)), 1<<20)
			defer b.Close()
			err := b.read(tt.encodings, 16<<20)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
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

func TestParseEncodings(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		want   string
		err    error
	}{
		{nil, "", nil},
		{[]string{"identity"}, "", nil},
		{[]string{"GZIP"}, "gzip", nil},
		{[]string{"gzip, br"}, "gzip br", nil},
		{[]string{"gzip", "br"}, "gzip br", nil},
		{[]string{"gzip,br,zstd"}, "", errEncoding},
		{[]string{"compress"}, "", errEncoding},
		{[]string{"gzip;q=1"}, "", errEncoding},
	} {
		got, err := parseEncodings(tt.fields)
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
