package body

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func parse(t testing.TB, processor, text string, o Options) *Parsed {
	t.Helper()
	if o.Arguments == 0 {
		o.Arguments = 1000
	}
	if o.JSONDepth == 0 {
		o.JSONDepth = 64
	}
	p, err := Parse(processor, strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func problem(p *Parsed) string {
	if p.Problem == nil {
		return ""
	}
	return p.Problem.Error()
}

func TestForm(t *testing.T) {
	for _, c := range []struct {
		text string
		want []Argument
	}{
		{"a=1&b=2", []Argument{{"a", "1"}, {"b", "2"}}},
		{"a&=b&&c==d", []Argument{{"a", ""}, {"", "b"}, {"c", "=d"}}},
		{"a%20b=%3cx%3E+y", []Argument{{"a b", "<x> y"}}},
		{"a=%&b=%4&c=%zz&d=%4%41", []Argument{{"a", "%"}, {"b", "%4"}, {"c", "%zz"}, {"d", "%4A"}}},
		{"A=1&a=2", []Argument{{"A", "1"}, {"a", "2"}}},
		{"a=%c0%bcb&%c1%a1=c", []Argument{{"a", "\xc0\xbcb"}, {"a", "<b"}, {"\xc1\xa1", "c"}, {"a", "c"}}},
		{"a=%e9t%e9", []Argument{{"a", "\xe9t\xe9"}}},
		{"_charset_=UTF-8", []Argument{{"_charset_", "UTF-8"}}},
	} {
		p := parse(t, URLEncoded, c.text, Options{})
		if diff := cmp.Diff(c.want, p.Arguments); diff != "" || p.Body != c.text || !p.HasBody || p.Problem != nil {
			t.Errorf("%s: %v (-want +got):\n%s", c.text, p.Problem, diff)
		}
	}
}

func TestCharsetField(t *testing.T) {
	const want = `the field _charset_ names the charset "utf-7", which is not accepted`
	if got := problem(parse(t, URLEncoded, "_charset_=utf-7&a=b", Options{})); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	text := "--xyz\r\nContent-Disposition: form-data; name=\"_charset_\"\r\n\r\nutf-7\r\n--xyz--\r\n"
	if got := problem(parse(t, Multipart, text, Options{ContentType: "multipart/form-data; boundary=xyz"})); got != want {
		t.Errorf("multipart: got %q, want %q", got, want)
	}
}

func TestShortest(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"é€😀":                          "é€😀",
		"\xc0\xbcx\xc0\xbe":            "<x>",
		"\xe0\x80\xa7":                 "'",
		"\xf0\x80\x80\xaf\xf0\x8f\xbf": "/\xf0\x8f\xbf",
		"\xf8\x80\x80\x80\xae":         ".",
		"\xfc\x80\x80\x80\x80\xbb\xc3": ";\xc3",
		"\xe0\xa4\x85\xc0":             "अ\xc0",
		"\xe0\x82\xa9":                 "©",
		"\xc0\x2f":                     "\xc0\x2f",
	} {
		if got := Shortest(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		text    string
		want    []Argument
		problem string
	}{
		{text: `{}`},
		{text: ` [] `},
		{text: `{"a":[],"b":{}}`, want: []Argument{{"json.a", ""}, {"json.b", ""}}},
		{
			text: `{"a":1,"b":"x\n\"","c":null,"d":true,"e":-1.5e+3}`,
			want: []Argument{{"json.a", "1"}, {"json.b", "x\n\""}, {"json.c", ""}, {"json.d", "true"}, {"json.e", "-1.5e+3"}},
		},
		{text: `[{"a":[1,[2]]},3]`, want: []Argument{
			{"json.0.a.0", "1"}, {"json.0.a.1.0", "2"}, {"json.0.a.1", "1"}, {"json.0.a", "2"}, {"json.1", "3"}, {"json", "2"},
		}},
		{text: `{"a.b":{"c":[1,{}]},"a":{"b":2,"d.e":3}}`, want: []Argument{
			{"json:a.b.c.0", "1"}, {"json:a.b.c.1", ""}, {"json:a.b.c", "2"}, {"json.a.b", "2"}, {"json:a.d.e", "3"},
		}},
		{text: `"x"`, want: []Argument{{"json.0", "x"}, {"json", "1"}}},
		{text: `{"\u0061":"\ud83d\ude00\/\ud800"}`, want: []Argument{{"json.a", "😀/\ufffd"}}},
		{text: `{"a":"\ud800\u0041"}`, want: []Argument{{"json.a", "\ufffdA"}}},
		{text: `{"a":1,"a":2}`, want: []Argument{{"json.a", "1"}, {"json.a", "2"}}, problem: `the key "a" appears twice in one JSON object`},
		{
			text: `{"a":1,"\u0061":2,"b":"seen"}`, want: []Argument{{"json.a", "1"}, {"json.a", "2"}, {"json.b", "seen"}},
			problem: `the key "a" appears twice in one JSON object`,
		},
		{text: `{"a":"x"} {"b":1}`, want: []Argument{{"json.a", "x"}}, problem: "the JSON document is not valid at byte 11: expected the end of the document"},
		{text: `{"a":"x",}`, want: []Argument{{"json.a", "x"}}, problem: "the JSON document is not valid at byte 10: expected a key in quotes"},
		{text: `[1,]`, want: []Argument{{"json.0", "1"}}, problem: "the JSON document is not valid at byte 4: expected a value"},
		{text: `[1 2]`, want: []Argument{{"json.0", "1"}}, problem: "the JSON document is not valid at byte 4: expected a comma or the end of the array"},
		{text: `{"a" 1}`, problem: "the JSON document is not valid at byte 6: expected a colon"},
		{text: `[01]`, problem: "the JSON document is not valid at byte 2: expected a value"},
		{text: `[1.]`, problem: "the JSON document is not valid at byte 4: expected a digit"},
		{text: `["\x"]`, problem: "the JSON document is not valid at byte 4: expected an escape that JSON has"},
		{text: `["\u00g0"]`, problem: "the JSON document is not valid at byte 5: expected four hexadecimal digits"},
		{text: "[\"a\nb\"]", problem: "the JSON document is not valid at byte 4: expected no control character in a string"},
		{text: "[\"\xff\"]", problem: "the JSON document is not valid UTF-8"},
		{text: `["`, problem: "the JSON document ends too early"},
		{text: `{"a":`, problem: "the JSON document ends too early"},
		{text: "\xef\xbb\xbf{}", problem: "the JSON document is not valid at byte 1: expected a value"},
		{text: `{"` + strings.Repeat("k", maxKeyLength+1) + `":1}`, problem: "a key of the JSON document is longer than 4096 bytes"},
	} {
		t.Run(abbreviate(c.text), func(t *testing.T) {
			p := parse(t, JSON, c.text, Options{})
			if diff := cmp.Diff(c.want, p.Arguments); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			if problem(p) != c.problem {
				t.Errorf("got problem %q, want %q", problem(p), c.problem)
			}
			if (p.Document == c.text) != (c.problem == "") {
				t.Errorf("got document %q", p.Document)
			}
		})
	}
}

// TestLimits shows what is cut, and that it is said.
func TestLimits(t *testing.T) {
	deep := strings.Repeat(`[`, 1<<20)
	for _, c := range []struct {
		name, processor, text string
		options               Options
		arguments             int
		cut                   bool
		problem               string
	}{
		{"form", URLEncoded, "a&b&c&d", Options{Arguments: 3}, 3, true, ""},
		{"form at the limit", URLEncoded, "a&b&c&", Options{Arguments: 3}, 3, false, ""},
		{"JSON", JSON, `[1,2,3,4]`, Options{Arguments: 3}, 4, true, ""},
		{"JSON at the limit", JSON, `{"a":[1,2,3]}`, Options{Arguments: 3}, 4, false, ""},
		{"lengths of arrays", JSON, `[[[[1]]]]`, Options{Arguments: 3}, 4, true, ""},
		{"NDJSON", NDJSON, "1\n2\n3\n4\n", Options{Arguments: 3}, 6, true, ""},
		{"depth", JSON, deep, Options{JSONDepth: 100}, 0, false, "the JSON document is nested deeper than 100 levels"},
		{
			"names", JSON, strings.Repeat(`{"`+strings.Repeat("x", 1000)+`":`, 60) + `[` + strings.Repeat("1,", 500) + "1]" + strings.Repeat("}", 60),
			Options{},
			-1, false, "the names in the JSON document take many times its size",
		},
		{"text", Text, "a&b", Options{Arguments: 1}, 1, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, c.processor, c.text, c.options)
			if c.arguments >= 0 && len(p.Arguments) != c.arguments || p.Cut != c.cut || problem(p) != c.problem {
				t.Errorf("got %d arguments, cut %v, problem %q", len(p.Arguments), p.Cut, problem(p))
			}
			total := 0
			for _, a := range p.Arguments {
				total += len(a.Name)
			}
			if most := max(flattenBytes, flattenFactor*len(c.text)); total > most {
				t.Errorf("the names take %d bytes of a body of %d", total, len(c.text))
			}
		})
	}
	xml := parse(t, XML, "<a>"+strings.Repeat("<b>x</b>", 50)+"</a>", Options{Arguments: 10})
	if !xml.Cut || len(xml.XMLTexts) != 20 {
		t.Errorf("got %d texts, cut %v", len(xml.XMLTexts), xml.Cut)
	}
}

func TestXML(t *testing.T) {
	for _, c := range []struct {
		text              string
		texts, attributes []string
		problem           string
	}{
		{text: "<a>x</a>", texts: []string{"x"}},
		{text: "<a> x <b>y</b> z </a>", texts: []string{"y", "x  z", "x", "z"}},
		{text: "<a>x<!-- y -->z</a>", texts: []string{"y", "xz", "x", "z"}},
		{text: "<a>x<?p y?>z</a>", texts: []string{"y", "xz", "x", "z"}},
		{text: "<a>x<![CDATA[<y>]]>z</a>", texts: []string{"x<y>z", "x", "<y>", "z"}},
		{text: `<a b="c" xmlns="urn:d" xmlns:e="urn:f"/>`, texts: []string{"c"}, attributes: []string{"c", "urn:d", "urn:f"}},
		{text: "<a>&lt;&#x41;&eacute;</a>", texts: []string{"<Aé"}},
		{text: `<a xmlns="urn:d'" xmlns:e="{f}" g:xmlns="h"/>`, texts: []string{"urn:d'", "{f}", "h"}, attributes: []string{"urn:d'", "{f}", "h"}},
		{text: "<a>open", texts: []string{"open"}, problem: "the XML document ends too early"},
		{text: "<a>sp<b>l</a>it</b>", texts: []string{"l", "spit", "sp", "it"}, problem: "the XML document has an end tag without its start tag"},
		{text: "</a>x</b>", texts: []string{"x"}, problem: "the XML document has an end tag without its start tag"},
		{text: "text", texts: []string{"text"}, problem: "the XML document has text outside of its root element"},
		{text: "<a/>text", texts: []string{"text"}, problem: "the XML document has text outside of its root element"},
		{text: "<!-- x -->", texts: []string{"x"}, problem: "the XML document has no element"},
		{text: "<a>x</a><b>y</b>", texts: []string{"x", "y"}, problem: "the XML document has more than one root element"},
		{text: `<a b="c" b="d"/>`, texts: []string{"c", "d"}, attributes: []string{"c", "d"}, problem: "the XML document has an attribute twice in one element"},
		{text: `<a x:b="c" y:b="d"/>`, texts: []string{"c", "d"}, attributes: []string{"c", "d"}},
		{text: `<a b=c>x</a>`, problem: "the XML document is not valid: XML syntax error on line 1: unquoted or missing attribute value in element"},
		{text: `<a>x&unheard;</a>`, problem: "the XML document is not valid: XML syntax error on line 1: invalid character entity &unheard;"},
		{text: `<?xml version="1.0" encoding="UTF-8" encoding="UTF-7"?><a>x</a>`, texts: []string{"x"}, problem: "the XML document has a declaration that is not valid"},
		{text: "\xef\xbb\xbf<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n<a>x</a>\n", texts: []string{"x"}},
		{text: strings.Repeat("<a>", 256) + "x" + strings.Repeat("</a>", 256), texts: []string{"x"}},
		{text: strings.Repeat("<a>", 257) + "x", problem: "the XML document is nested deeper than 256 levels"},
		{text: "<a>x</a><", texts: []string{"x"}, problem: "the XML document is not valid: XML syntax error on line 1: unexpected EOF"},
		{text: "<a>x</a><b", texts: []string{"x"}, problem: "the XML document is not valid: XML syntax error on line 1: unexpected EOF"},
		{text: `<!ENTITY b "c"><a>x</a>`, texts: []string{"x"}, problem: "the XML document has a declaration outside of a document type"},
		{text: "<!DOCTYPE a><a>x</a>", texts: []string{"x"}, problem: "the XML document has a document type (DOCTYPE), which is not accepted"},
		{text: `<?xml version="1.0" encoding="UTF-16"?><a>x</a>`, problem: `the XML document is not valid: xml: opening charset "UTF-16": the charset "UTF-16" is not accepted`},
		{text: "<?xml version=\"1.0\" encoding=\"windows-1252\"?><a>\xe9</a>", texts: []string{"é"}},
		{text: "<a>\x00</a>", problem: "the XML document is not valid: XML syntax error on line 1: illegal character code U+0000"},
	} {
		t.Run(abbreviate(c.text), func(t *testing.T) {
			p := parse(t, XML, c.text, Options{})
			if diff := cmp.Diff(c.texts, p.XMLTexts); diff != "" {
				t.Errorf("texts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.attributes, p.XMLAttributes); diff != "" && len(c.attributes) > 0 {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
			if problem(p) != c.problem {
				t.Errorf("got problem %q, want %q", problem(p), c.problem)
			}
		})
	}
}

func TestMultipartParts(t *testing.T) {
	const contentType = "multipart/form-data; boundary=xyz"
	one := func(disposition string) string {
		return "--xyz\r\nContent-Disposition: " + disposition + "\r\n\r\nvalue\r\n--xyz--\r\n"
	}
	for _, c := range []struct {
		name, text string
		arguments  []Argument
		files      []File
		strict     Strictness
	}{
		{name: "field", text: one(`form-data; name="a"`), arguments: []Argument{{"a", "value"}}},
		{name: "no quotes", text: one(`form-data; name=a`), arguments: []Argument{{"a", "value"}}},
		{name: "semicolon in quotes", text: one(`form-data; name="a;b\"c"`), arguments: []Argument{{`a;b"c`, "value"}}},
		{name: "file", text: one(`form-data; name="f"; filename="C:\dev\x.txt"`), files: []File{{"f", []string{`C:\dev\x.txt`}, 5}}},
		{name: "empty file name is a field", text: one(`form-data; name="f"; filename=""`), arguments: []Argument{{"f", "value"}}},
		{name: "extended", text: one(`form-data; name="f"; filename*=UTF-8''a%20b+c`), files: []File{{"f", []string{"a b+c"}, 5}}},
		{name: "extended and plain", text: one(`form-data; name="f"; filename="x"; filename*=UTF-8'en'y`), files: []File{{"f", []string{"y", "x"}, 5}}},
		{name: "extended empty", text: one(`form-data; name="f"; filename="x"; filename*=UTF-8''`), files: []File{{"f", []string{"x"}, 5}}},
		{name: "extended in quotes", text: one(`form-data; name="f"; filename*="UTF-8''y"`), files: []File{{"f", []string{"y"}, 5}}, strict: Strictness{Any: true, InvalidQuoting: true}},
		{name: "extended without charset", text: one(`form-data; name="f"; filename="x"; filename*=y`), files: []File{{"f", []string{"x"}, 5}}, strict: Strictness{Any: true}},
		{name: "bad escape", text: one(`form-data; name="f"; filename*=UTF-8''%zz`), files: []File{{"f", []string{"%zz"}, 5}}, strict: Strictness{Any: true}},
		{name: "continuation", text: one(`form-data; name="f"; filename="x"; filename*0="y"`), files: []File{{"f", []string{"y", "x"}, 5}}, strict: Strictness{Any: true}},
		{name: "file name twice", text: one(`form-data; name="f"; filename="x"; filename="y"`), files: []File{{"f", []string{"y", "x"}, 5}}, strict: Strictness{Any: true, DuplicateHeader: true}},
		{name: "not form-data", text: one(`attachment; name="a"`), arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true}},
		{name: "open quote", text: one(`form-data; name="a`), arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true}},
		{name: "words behind the quote", text: one(`form-data; name="a"b`), arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true}},
		{name: "space before the equals sign", text: one(`form-data; name="f"; filename ="x"`), files: []File{{"f", []string{"x"}, 5}}, strict: Strictness{Any: true}},
		{name: "space behind the equals sign", text: one(`form-data; name="f"; filename= "x"`), files: []File{{"f", []string{"x"}, 5}}, strict: Strictness{Any: true}},
		{name: "folded", text: one("form-data;\r\n name=\"a\""), arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true}},
		{
			name: "space before the colon", text: "--xyz\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\nvalue\r\n--xyz--",
			arguments: []Argument{{"", "value"}}, strict: Strictness{Any: true},
		},
		{name: "no headers", text: "--xyz\r\n\r\nvalue\r\n--xyz--\r\n", arguments: []Argument{{"", "value"}}, strict: Strictness{Any: true}},
		{name: "no name", text: one(`form-data; filename="x"`), files: []File{{"", []string{"x"}, 5}}, strict: Strictness{Any: true}},
		{name: "charset", text: one("form-data; name=a\r\nContent-Type: text/plain; charset=utf-8"), arguments: []Argument{{"a", "value"}}},
		{name: "a charset that is not read", text: one("form-data; name=a\r\nContent-Type: text/plain; charset=utf-7"), arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true}},
		{name: "a type that is none", text: one("form-data; name=a\r\nContent-Type: whatever"), arguments: []Argument{{"a", "value"}}},
		{name: "a charset in what is no type", text: one("form-data; name=a\r\nContent-Type: ;charset=x"), arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true}},
		{name: "a NUL in a name", text: one("form-data; name=\"f\"; filename=\"a\x00.txt\""), files: []File{{"f", []string{"a\x00.txt"}, 5}}, strict: Strictness{Any: true}},
		{name: "an empty parameter", text: one("form-data;; name=a"), arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true}},
		{name: "a semicolon at the end", text: one("form-data; name=a; "), arguments: []Argument{{"a", "value"}}},
		{name: "encoded", text: one("form-data; name=a\r\nContent-Encoding: gzip"), arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true}},
		{
			name: "no empty line", text: "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n--xyz--\r\n",
			arguments: []Argument{{"a", ""}}, strict: Strictness{Any: true},
		},
		{
			name: "longer boundary inside", text: "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--xyzz\r\n--xyz--\r\n",
			arguments: []Argument{{"a", "--xyzz"}}, strict: Strictness{Any: true},
		},
		{
			name: "boundary with more behind a space", text: strings.Replace(one(`form-data; name="a"`), "value\r\n", "value\r\n--xyz 0\r\n", 1),
			arguments: []Argument{{"a", "value\r\n--xyz 0"}}, strict: Strictness{Any: true},
		},
		{name: "a value that is no token, without quotes", text: one(`form-data; name=(`), arguments: []Argument{{"(", "value"}}, strict: Strictness{Any: true}},
		{name: "no value, without quotes", text: one(`form-data; name=a; filename=`), arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true}},
		{
			name: "boundary in the middle of a line", text: "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb--xyz\r\n--xyz--\r\n",
			arguments: []Argument{{"a", "b--xyz"}},
		},
		{
			name: "part after the end", text: one(`form-data; name="a"`) + "--xyz\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\nevil\r\n--xyz--\r\n",
			arguments: []Argument{{"a", "value"}}, strict: Strictness{Any: true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, Multipart, c.text, Options{ContentType: contentType})
			if diff := cmp.Diff(c.arguments, p.Arguments); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.files, p.Files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if p.Strict != c.strict || p.Problem != nil {
				t.Errorf("got %+v, %v; want %+v", p.Strict, p.Problem, c.strict)
			}
		})
	}
}

func TestMultipartContentType(t *testing.T) {
	const text = "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue\r\n--xyz--\r\n"
	for _, contentType := range []string{
		"", "multipart/form-data", "multipart/form-data; boundary=xyz; boundary=abc", "multipart/form-data; boundary=xyz" + strings.Repeat(";", 17),
	} {
		if p := parse(t, Multipart, text, Options{ContentType: contentType}); p.Problem == nil || !p.Strict.Any {
			t.Errorf("%q: problem %v, strictness %+v", contentType, p.Problem, p.Strict)
		}
	}
}

func TestReadErrorIsAnError(t *testing.T) {
	for _, processor := range []string{URLEncoded, Multipart, JSON, NDJSON, XML, Text, Raw} {
		gone := errors.New("gone")
		_, err := Parse(processor, io.MultiReader(strings.NewReader("a=1"), iotest.ErrReader(gone)), Options{})
		if !errors.Is(err, gone) {
			t.Errorf("%s: got %v", processor, err)
		}
	}
}

// FuzzJSON compares with encoding/json: what we accept it accepts, with the same values, and what we refuse beyond it is
// refused for one of the known reasons.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"\u00e9\ud83d\ude00"}],"c":null}`, `[[],{},""]`, `"x"`, `{"a":1,"a":2}`, "[\"\xff\"]", `[1e5,-0.1,true]`, `{"a"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := parse(t, JSON, text, Options{Arguments: 1 << 20, JSONDepth: 9000})
		if text == "" {
			return
		}
		var value any
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		err := decoder.Decode(&value)
		valid := err == nil && json.Valid([]byte(text))
		if !valid {
			if p.Problem == nil {
				t.Fatalf("accepted %q, which encoding/json refuses: %v", text, err)
			}
			return
		}
		if p.Problem != nil {
			for _, known := range []string{"twice", "UTF-8", "deeper", "longer", "many times"} {
				if strings.Contains(p.Problem.Error(), known) {
					return
				}
			}
			t.Fatalf("refused %q: %v", text, p.Problem)
		}
		var want, got []string
		flatten(rootName, value, &want)
		for _, a := range p.Arguments {
			got = append(got, a.Name+"="+a.Value)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", text, diff)
		}
	})
}

// flatten is the slow way to the same arguments.
func flatten(name string, value any, to *[]string) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			inner := name + "." + key
			if strings.Contains(key, ".") {
				inner = rootName + ":" + inner[len(rootName)+1:]
			}
			flatten(inner, value[key], to)
		}
		if len(value) == 0 && name != rootName {
			*to = append(*to, name+"=")
		}
	case []any:
		for i, v := range value {
			flatten(name+"."+strconv.Itoa(i), v, to)
		}
		if len(value) > 0 {
			*to = append(*to, fmt.Sprintf("%s=%d", name, len(value)))
		} else if name != rootName {
			*to = append(*to, name+"=")
		}
	default:
		if name == rootName { // a lone value
			flatten(name, []any{value}, to)
			return
		}
		s := fmt.Sprint(value)
		if value == nil {
			s = ""
		}
		*to = append(*to, name+"="+s)
	}
}

// FuzzParse shows that no body and no cut makes a parser fail, and that text never invents bytes.
func FuzzParse(f *testing.F) {
	f.Add("--xyz\r\nContent-Disposition: form-data; name=\"a\"; filename*=UTF-8''x%41\r\n\r\nv\r\n--xyz--\r\n", true)
	f.Add("<a b='c'>x<!-- -->y<![CDATA[z]]></a>", false)
	f.Add("{\"a\":1}\n[2]\n", true)
	f.Add("a=%41&b", false)
	f.Fuzz(func(t *testing.T, text string, truncated bool) {
		for _, processor := range []string{URLEncoded, Multipart, JSON, NDJSON, XML, Text, Raw, "NOSUCH"} {
			p := parse(t, processor, text, Options{ContentType: "multipart/form-data; boundary=xyz", Truncated: truncated, Arguments: 50, JSONDepth: 10})
			if p.Length != int64(len(text)) {
				t.Fatalf("%s: length %d of %d", processor, p.Length, len(text))
			}
			size := 0
			for _, a := range p.Arguments {
				size += len(a.Value)
			}
			// An invalid surrogate of six bytes becomes three, the length of an array is not in the text.
			if most := 3*len(text) + 10*p.lengths; size > most {
				t.Fatalf("%s: %d bytes of values out of %d", processor, size, len(text))
			}
			if truncated && processor == Multipart && p.Problem != nil && utf8.ValidString(text) && strings.HasPrefix(text, "--xyz\r\n") {
				t.Fatalf("a cut body is a problem: %v", p.Problem)
			}
		}
	})
}
