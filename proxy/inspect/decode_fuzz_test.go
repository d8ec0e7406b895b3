package inspect

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"io"
	"strings"
	"testing"
)

// FuzzDecode: whatever is decoded ends, with bytes in proportion to what came in, or an error. What is decoded was read
// to its end, has no other reading as raw deflate or without the gzip header's fields, and does not decode with anything
// behind it.
func FuzzDecode(f *testing.F) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = io.WriteString(w, "some text") // to memory
	_ = w.Close()
	for _, s := range []string{
		z.String(), z.String() + z.String(), "\x78\x9c\x03\x00\x00\x00\x00\x01", "\x78\x9c\xfb\x63\x04\xf0\x02\x2c\x01\x2f", "\x28\xb5\x2f\xfd\x00\x00\x01\x00\x00",
		"\x28\xb5\x2f\xfd\x20\x01\x09\x00\x00x", "\x0b\x02\x80abc\x03", "",
	} {
		for coding := range byte(6) {
			f.Add(s, coding)
		}
	}
	fields := []string{"gzip", "deflate", "br", "zstd", "gzip, deflate", "br, zstd"}
	f.Fuzz(func(t *testing.T, text string, coding byte) {
		field := fields[int(coding)%len(fields)]
		n, read, err := decodeText(t, field, text)
		if most := int64(ratioFree + maxRatio*len(text) + 64<<10); n > most {
			t.Fatalf("%d bytes became %d: %v", len(text), n, err)
		}
		if err != nil {
			return
		}
		if read != int64(len(text)) {
			t.Fatalf("%d of %d bytes were read", read, len(text))
		}
		for _, more := range []string{"\x00", "x", text, "\x50\x2a\x4d\x18\x00\x00\x00\x00"} {
			if _, _, err := decodeText(t, field, text+more); err == nil {
				t.Fatalf("it decodes with %q behind it", more)
			}
		}
		switch {
		case strings.HasSuffix(field, "deflate"):
			if n, err := io.Copy(io.Discard, flate.NewReader(strings.NewReader(text))); n > 0 || err == nil {
				t.Fatalf("raw deflate has %d bytes of it (%v)", n, err)
			}
		case field == "gzip" && text[3]&^(gzipText|gzipName) != 0:
			t.Fatalf("it has flags %#x", text[3])
		case strings.HasSuffix(field, "zstd") && !strings.HasPrefix(text, "\x28\xb5\x2f\xfd"):
			t.Fatal("it does not begin with a frame")
		}
	})
}

// decodeText decodes text as the body of a request, and tells how many bytes came out and were read.
func decodeText(t *testing.T, field, text string) (n, read int64, err error) {
	encodings, err := requestEncodings([]string{field})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDecoder(strings.NewReader(text), encodings, false)
	if err != nil {
		return 0, 0, err
	}
	defer d.Close()
	n, err = io.Copy(io.Discard, io.LimitReader(d, 64<<20))
	return n, d.source.n, err
}
