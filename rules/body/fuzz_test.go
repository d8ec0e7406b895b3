package body

import (
	"encoding/xml"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzForm compares with net/url: a form that it takes gives the same names and values, in whatever order.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a&=b&&c==d", "a%20b=%3cx%3E+y", "q=%c0%bcscript%c0%be", "%zz=%", "_charset_=utf-7&a=b", "a=1;b=2", "\xe0\x80\xa7=%f0%80%80%af"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := parse(t, URLEncoded, text, Options{Arguments: 1 << 20})
		want, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		got := map[string][]string{}
		for _, a := range p.Arguments {
			got[a.Name] = append(got[a.Name], a.Value)
		}
		for name, values := range want {
			for _, v := range values {
				i := slices.Index(got[name], v)
				if i < 0 {
					t.Fatalf("%q: %q=%q is missing in %q", text, name, v, p.Arguments)
				}
				got[name] = slices.Delete(got[name], i, i+1)
			}
		}
		for name, values := range got { // what is left are readings of what lenient decoders make of it
			for _, v := range values {
				if !slices.ContainsFunc(p.Arguments, func(a Argument) bool {
					return (a.Name != name || a.Value != v) && Shortest(a.Name) == name && Shortest(a.Value) == v
				}) {
					t.Fatalf("%q: %q=%q is made up", text, name, v)
				}
			}
		}
	})
}

// FuzzMultipart compares with mime/multipart: what we find no fault with it takes, with the same fields and files.
func FuzzMultipart(f *testing.F) {
	for _, s := range []string{
		"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv\r\n--xyz--\r\n",
		"--xyz\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b.txt\"\r\nContent-Type: text/plain\r\n\r\nv\r\n--xyz\r\ncontent-disposition: form-data; name=c\r\n\r\n\r\n--xyz--",
		"\r\n--xyz\r\nContent-Disposition: form-data; name=\"a\"; filename*=UTF-8''b\r\n\r\n--xyzz\r\n--xyz--\r\n",
		"--xyz\r\nContent-Disposition: form-data;; name=a\r\n\r\n\r\n--xyz--", "--xyz\nContent-Disposition: form-data; name=a\n\nv\n--xyz--", "--xyz\r\n\r\nv\r\n--xyz--", "--xyz \r\nContent-Disposition: form-data;name=\"a\\\"b\"\r\n\r\nv\r\n--xyz--\r\nx",
		"--xyz\r\nContent-Disposition:form-dAtA;nAme=(\r\n\r\n\r\n--xyz--",
		"--xyz\r\nContent-Disposition:form-dAtA;nAme=\"0\"\r\n\r\n--xyz 0\r\n--xyz--",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := parse(t, Multipart, text, Options{ContentType: "multipart/form-data; boundary=xyz", Arguments: 1 << 20})
		if text == "" || p.Problem != nil || p.Strict.Any || p.Cut {
			return
		}
		var got, want []string
		for _, a := range p.Arguments {
			got = append(got, a.Name+"="+a.Value)
		}
		for _, file := range p.Files {
			got = append(got, file.Field+" is a file")
		}
		r := multipart.NewReader(strings.NewReader(text), "xyz")
		for {
			part, err := r.NextRawPart()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%q: no fault found, and mime/multipart says: %v", text, err)
			}
			value, err := io.ReadAll(part)
			if err != nil {
				t.Fatalf("%q: no fault found, and mime/multipart says: %v", text, err)
			}
			if d := readDisposition(part.Header.Get("Content-Disposition")); len(d.fileNames) > 0 {
				want = append(want, part.FormName()+" is a file")
			} else {
				want = append(want, part.FormName()+"="+string(value))
			}
		}
		if p.Arguments != nil && slices.ContainsFunc(p.Arguments, func(a Argument) bool { return mayBeOverlong(a.Name + a.Value) }) {
			return // more readings than one
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", text, diff)
		}
	})
}

// FuzzXML compares with the strict decoder of encoding/xml: what we accept it accepts, and the whole text of each element
// and every attribute is among the values.
func FuzzXML(f *testing.F) {
	for _, s := range []string{
		"<a b='c'>x<!-- y -->z<![CDATA[<w>]]></a>", "<?xml version='1.0'?><a xmlns:b='urn:b'><b:c b:d='e'/>&#60;&amp;</a>", "<a><b>x</a></b>", "<a/><b/>", "x<a/>", "<a b='1' b='2'/>",
		"<!DOCTYPE a><a/>", "\xef\xbb\xbf<a>x</a>", strings.Repeat("<a>", 300), "<a>&nbsp;</a>", "<a b=c/>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := parse(t, XML, text, Options{Arguments: 1 << 20})
		if p.Problem != nil || text == "" {
			return
		}
		values := map[string]bool{}
		for _, v := range p.XMLTexts {
			values[v] = true
		}
		d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(text, "\xef\xbb\xbf")))
		d.Entity, d.CharsetReader = xml.HTMLEntity, charsetReader
		var open []string
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("accepted %q: %v", text, err)
			}
			switch token := token.(type) {
			case xml.StartElement:
				if open = append(open, ""); len(open) > maxXMLDepth {
					t.Fatalf("accepted %d levels", len(open))
				}
				for _, a := range token.Attr {
					if !values[a.Value] && !slices.Contains(p.XMLAttributes, a.Value) {
						t.Fatalf("%q: the attribute %q is missing", text, a.Value)
					}
				}
			case xml.CharData:
				if len(open) > 0 {
					open[len(open)-1] += string(token)
				}
			case xml.EndElement:
				if v := strings.TrimSpace(open[len(open)-1]); v != "" && !values[v] {
					t.Fatalf("%q: the text %q is missing in %q", text, v, p.XMLTexts)
				}
				open = open[:len(open)-1]
			}
		}
	})
}
