package proxy_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// compress writes text through a compressor.
func compress(t *testing.T, open func(io.Writer) (io.WriteCloser, error), text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// encodingCases are Content-Encodings: those that are decoded, around every type of body; and those that are refused.
func encodingCases(t *testing.T) []bodyCase {
	zipped := func(v string) string {
		return compress(t, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }, v)
	}
	zlibbed := func(v string) string {
		return compress(t, func(w io.Writer) (io.WriteCloser, error) { return zlib.NewWriter(w), nil }, v)
	}
	deflated := func(v string) string {
		return compress(t, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, 6) }, v)
	}
	br := func(v string) string {
		return compress(t, func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriter(w), nil }, v)
	}
	zst := func(v string) string {
		return compress(t, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)) }, v)
	}
	member := func(flags byte, fields, v string) string {
		z := zipped(v)
		return z[:3] + string(rune(flags)) + z[4:10] + fields + z[10:]
	}
	same := func(v string) string { return v }
	var list []bodyCase
	for _, e := range []struct {
		name    string
		headers []string
		encode  func(string) string
	}{
		{"identity", []string{"Content-Encoding: identity"}, same},
		{"empty", []string{"Content-Encoding: "}, same},
		{"gzip", []string{"Content-Encoding: gzip"}, zipped},
		{"GZIP", []string{"Content-Encoding: GZIP"}, zipped},
		{"x-gzip", []string{"Content-Encoding: x-gzip"}, zipped},
		{"deflate", []string{"Content-Encoding: deflate"}, zlibbed},
		{"br", []string{"Content-Encoding: br"}, br},
		{"zstd", []string{"Content-Encoding: zstd"}, zst},
		{"gzip twice", []string{"Content-Encoding: gzip, gzip"}, func(v string) string { return zipped(zipped(v)) }},
		{"gzip in br", []string{"Content-Encoding: gzip, br"}, func(v string) string { return br(zipped(v)) }},
		{"zstd in deflate", []string{"Content-Encoding: zstd , deflate"}, func(v string) string { return zlibbed(zst(v)) }},
		{"gzip with a file name", []string{"Content-Encoding: gzip"}, func(v string) string { return member(8, "body.txt\x00", v) }},
	} {
		for _, plain := range plainBodies {
			c := plain
			c.name = "encoding " + e.name + ", " + plain.name
			c.headers, c.body = e.headers, func(v string) string { return e.encode(plain.body(v)) }
			list = append(list, c)
		}
	}
	bomb := strings.Repeat("a", 8<<20)
	for _, e := range []struct {
		name, encoding string
		body           func(string) string
	}{
		{"compress", "compress", same},
		{"unheard of", "sdch", same},
		{"aws-chunked", "aws-chunked", func(v string) string { return "5;chunk-signature=0\r\n" + v + "\r\n0\r\n\r\n" }},
		{"exi", "exi", same},
		{"pack200-gzip", "pack200-gzip", same},
		{"dcb", "dcb", same},
		{"a quality", "gzip;q=1", zipped},
		{"quoted", `"gzip"`, zipped},
		{"separated by space", "gzip gzip", func(v string) string { return zipped(zipped(v)) }},
		{"a wildcard", "*", same},
		{"three deep", "gzip, gzip, gzip", func(v string) string { return zipped(zipped(zipped(v))) }},
		{"unknown inside", "rot13, gzip", zipped},
		{"unknown outside", "gzip, rot13", zipped},
		{"identity and gzip", "identity,gzip", zipped},
		{"an empty element and gzip", ",gzip", zipped},
		{"two fields", "zstd\nContent-Encoding: deflate", func(v string) string { return zlibbed(zst(v)) }},
		{"the same field twice", "gzip\nContent-Encoding: gzip", func(v string) string { return zipped(zipped(v)) }},
		{"a dotted letter", "gz\u0130p", zipped},
		{"raw deflate", "deflate", deflated},
		{"raw deflate in gzip", "deflate, gzip", func(v string) string { return zipped(deflated(v)) }},
		{"zeros behind deflate", "deflate", func(v string) string { return zlibbed(v) + "\x00\x00" }},
		{"deflate with a dictionary", "deflate", func(v string) string { return "\x78\xbb\x00\x00\x00\x01" + zlibbed(v)[2:] }},
		{"gzip with an extra field", "gzip", func(v string) string { return member(4, "\x04\x00AB\x00\x00", v) }},
		{"gzip with a comment", "gzip", func(v string) string { return member(16, "comment\x00", v) }},
		{"gzip with a long file name", "gzip", func(v string) string { return member(8, strings.Repeat("n", 256)+"\x00", v) }},
		{"gzip with a field in its file name", "gzip", func(v string) string { return member(8, "&q="+attackValue+"\x00", v) }},
		{"gzip with reserved flags", "gzip", func(v string) string { return member(0x40, "", v) }},
		{"gzip with another size", "gzip", func(v string) string { z := zipped(v); return z[:len(z)-1] + "\x01" }},
		{"zeros behind gzip", "gzip", func(v string) string { return zipped(v) + "\x00\x00" }},
		{"zstd frames", "zstd", func(v string) string { return zst(v[:len(v)/2]) + zst(v[len(v)/2:]) }},
		{"zstd behind a skippable frame", "zstd", func(v string) string { return "\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + zst(v) }},
		{"zstd before a skippable frame", "zstd", func(v string) string { return zst(v) + "\x50\x2a\x4d\x18\x04\x00\x00\x00skip" }},
		{"zstd with a dictionary", "zstd", func(v string) string { return "\x28\xb5\x2f\xfd\x01\x58\x07" + zst(v)[6:] }},
		{"gzip members", "gzip", func(v string) string { return zipped(v) + zipped("&z=1") }},
		{"bytes behind gzip", "gzip", func(v string) string { return zipped(v) + "x" }},
		{"bytes behind deflate", "deflate", func(v string) string { return zlibbed(v) + "x" }},
		{"bytes behind raw deflate", "deflate", func(v string) string { return deflated(v) + "x" }},
		{"bytes behind br", "br", func(v string) string { return br(v) + "x" }},
		{"bytes behind zstd", "zstd", func(v string) string { return zst(v) + "x" }},
		{"gzip cut off", "gzip", func(v string) string { z := zipped(v); return z[:len(z)-6] }},
		{"gzip with another checksum", "gzip", func(v string) string {
			z := []byte(zipped(v))
			z[len(z)-6] ^= 1
			return string(z)
		}},
		{"deflate cut off", "deflate", func(v string) string { z := zlibbed(v); return z[:len(z)-3] }},
		{"br cut off", "br", func(v string) string { z := br(v); return z[:len(z)-3] }},
		{"zstd cut off", "zstd", func(v string) string { z := zst(v); return z[:len(z)-3] }},
		{"gzip in name alone", "gzip", same},
		{"br in name alone", "br", func(v string) string { return "\xff" + v }},
		{"zstd in name alone", "zstd", same},
		{"deflate in name alone", "deflate", func(v string) string { return "\xff" + v }},
		{"once, announced twice", "gzip, gzip", zipped},
		{"gzip bomb", "gzip", func(string) string { return zipped(bomb) }},
		{"br bomb", "br", func(string) string { return br(bomb) }},
		{"zstd bomb", "zstd", func(string) string { return zst(bomb) }},
		{"bomb in a bomb", "gzip, gzip", func(string) string { return zipped(zipped(bomb)) }},
	} {
		plain := plainBodies[len(list)%3] // a form, multipart or JSON
		list = append(list, bodyCase{
			name: "encoding " + e.name + ", refused", contentType: plain.contentType, headers: strings.Split("Content-Encoding: "+e.encoding, "\n"),
			body: func(v string) string { return e.body(plain.body(v)) }, reasons: []event.Reason{event.ContentEncoding},
		})
	}
	return list
}

// TestEncodedBodiesRefused shows the rule of docs/threat-model.md for applications that do not decode.
func TestEncodedBodiesRefused(t *testing.T) {
	page, err := os.ReadFile("../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	rule := regexp.MustCompile("`(SecRule REQUEST_HEADERS:Content-Encoding [^`]+)`").FindSubmatch(page)
	if rule == nil {
		t.Fatal("docs/threat-model.md lacks the rule")
	}
	upstream := proxytest.NewUpstream(t)
	g := proxytest.Start(t, application(upstream.URL, "block", fmt.Sprintf("    policy: own\npolicies:\n  - name: own\n    seclang: |\n      %s\n", rule[1])))
	zipped := gzipped(t, "a=1")
	for _, tt := range []struct {
		header, body string
		status       int
	}{
		{"X-Other: gzip", "a=1", 200},
		{"Content-Encoding: identity", "a=1", 200},
		{"Content-Encoding: gzip", zipped, 415},
		{"content-encoding: GZIP", zipped, 415},
	} {
		if r, _ := proxytest.Raw(t, g.URL, post("/", "application/x-www-form-urlencoded", tt.body, tt.header)); r == nil || r.StatusCode != tt.status {
			t.Errorf("%s: %v, want %d", tt.header, r, tt.status)
		}
	}
}

// charsetCases are charset parameters.
func charsetCases() []bodyCase {
	with := func(contentType, parameter string) string { return contentType + "; " + parameter }
	var list []bodyCase
	for _, plain := range plainBodies {
		for _, parameter := range []string{
			"charset=utf-8", "charset=UTF-8", `charset="utf-8"`, "CHARSET=utf-8", "Charset=us-ascii", "charset=ISO-8859-1", "charset=windows-1252",
		} {
			c := plain
			c.name, c.contentType = "charset "+parameter+", "+plain.name, with(plain.contentType, parameter)
			list = append(list, c)
		}
	}
	for _, plain := range plainBodies { // it is read, but CRS wants the charset by its name
		c := plain
		c.name, c.contentType, c.reasons = "charset utf8, "+plain.name, with(plain.contentType, "charset=utf8"), []event.Reason{event.CRSScore}
		list = append(list, c)
	}
	for i, parameter := range []string{
		"charset=utf-16", "charset=UTF-16LE", "charset=utf-16be", "charset=utf-32", "charset=utf-32le", "charset=utf-7", "charset=UTF-7",
		"charset=unicode-1-1-utf-7", "charset=ucs-2", "charset=iso-10646-ucs-4", "charset=cesu-8", "charset=scsu", "charset=bocu-1",
		"charset=ibm037", "charset=ibm500", "charset=cp1047", "charset=cp875", "charset=ebcdic-us", "charset=shift_jis", "charset=gbk",
		"charset=gb18030", "charset=hz-gb-2312", "charset=big5", "charset=euc-kr", "charset=iso-2022-jp", "charset=iso-2022-kr",
		"charset=x-user-defined", "charset=windows-1251", "charset=koi8-r", "charset=", `charset=""`, `charset="utf-8 "`, "charset='utf-8'",
		"charset=utf-8,utf-7", "charset=u%74f-8", "charset=unknown", "charset=*",
	} {
		for k := range 2 {
			plain := plainBodies[(i+k*3)%len(plainBodies)]
			c := plain
			c.name, c.contentType = "charset "+parameter+", "+plain.name, with(plain.contentType, parameter)
			c.reasons = []event.Reason{event.Charset, event.ContentType, event.BadRequest}
			list = append(list, c)
		}
	}
	for _, parameters := range []string{
		"charset=utf-8; charset=utf-7", "charset=utf-7; charset=utf-8", "charset*=utf-8''utf-7", "charset*0=utf; charset*1=-7", "charset",
		"charset =utf-7", "charset= utf-7", "=utf-8", "charset=\"utf-7", "; ; charset=utf-7", "boundary=x; charset=utf-7",
	} {
		list = append(list, bodyCase{
			name: "charset " + parameters + ", odd", contentType: with("application/json", parameters), body: asJSON,
			reasons: []event.Reason{event.Charset, event.ContentType},
		})
	}
	return list
}

// utf16Text gives text in UTF-16.
func utf16Text(order binary.AppendByteOrder, mark bool, text string) string {
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xfeff)
	}
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// utf32Text gives text in UTF-32.
func utf32Text(order binary.AppendByteOrder, mark bool, text string) string {
	var b []byte
	if mark {
		b = order.AppendUint32(b, 0xfeff)
	}
	for _, r := range text {
		b = order.AppendUint32(b, uint32(r))
	}
	return string(b)
}

// rawCharsetCases are bodies in a charset that nobody announced.
func rawCharsetCases() []bodyCase {
	little, big := binary.LittleEndian, binary.BigEndian
	var list []bodyCase
	for _, e := range []struct {
		name   string
		encode func(string) string
	}{
		{"UTF-16LE", func(v string) string { return utf16Text(little, false, v) }},
		{"UTF-16BE", func(v string) string { return utf16Text(big, false, v) }},
		{"UTF-16LE with a mark", func(v string) string { return utf16Text(little, true, v) }},
		{"UTF-16BE with a mark", func(v string) string { return utf16Text(big, true, v) }},
		{"UTF-32LE", func(v string) string { return utf32Text(little, false, v) }},
		{"UTF-32BE with a mark", func(v string) string { return utf32Text(big, true, v) }},
	} {
		for _, plain := range plainBodies {
			c := plain
			c.name = "unannounced " + e.name + ", " + plain.name
			c.body = func(v string) string { return e.encode(plain.body(v)) }
			c.reasons = []event.Reason{event.Charset, event.BodySyntax, event.CRSScore}
			list = append(list, c)
		}
	}
	return list
}
