package inspect

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
)

// FuzzDecode: whatever is decoded ends, with bytes in proportion to what came in, or an error; and what was encoded once
// or twice is what comes out.
func FuzzDecode(f *testing.F) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = io.WriteString(w, "some text") // to memory
	_ = w.Close()
	for _, s := range []string{z.String(), z.String() + z.String(), "\x78\x9c\x03\x00\x00\x00\x00\x01", "\x28\xb5\x2f\xfd\x00\x00\x01\x00\x00", "\x0b\x02\x80abc\x03", ""} {
		for coding := range byte(6) {
			f.Add(s, coding)
		}
	}
	fields := []string{"gzip", "deflate", "br", "zstd", "gzip, deflate", "br, zstd"}
	f.Fuzz(func(t *testing.T, text string, coding byte) {
		encodings, err := parseEncodings([]string{fields[int(coding)%len(fields)]})
		if err != nil {
			t.Fatal(err)
		}
		d, err := newDecoder(strings.NewReader(text), encodings)
		if err != nil {
			return
		}
		defer d.Close()
		n, err := io.Copy(io.Discard, io.LimitReader(d, 64<<20))
		if most := int64(ratioFree + maxRatio*len(text) + 64<<10); n > most {
			t.Fatalf("%d bytes became %d: %v", len(text), n, err)
		}
		if err == nil && d.source.n != int64(len(text)) {
			t.Fatalf("%d of %d bytes were read", d.source.n, len(text))
		}
	})
}
