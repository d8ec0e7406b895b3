package vars

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/body"
	"gatehouse/rules/media"
	"gatehouse/rules/program/variable"
)

// The values are compared with the reference's, request by request, in rules/coraza. Here is what that cannot show.

// browserRequest is a request as browsers send them.
func browserRequest() *rules.Request {
	return &rules.Request{
		ID: "01JD0000000000000000000000", Time: time.Date(2027, 3, 1, 12, 34, 56, 0, time.UTC),
		Client: netip.MustParseAddrPort("198.51.100.7:40000"), Server: netip.MustParseAddrPort("192.0.2.1:8443"),
		Method: "GET", Target: "/shop/garden%20tools/list.html?q=blue+shoes&page=2&sort=price&filter%5Bsize%5D=42&utm_source=mail", Protocol: "HTTP/1.1",
		Host: "shop.example.com", Path: "/shop/garden tools/list.html", Application: "shop", Route: "/shop", Traffic: "auto",
		Headers: []rules.Header{
			{Name: "Host", Value: "shop.example.com"},
			{Name: "Connection", Value: "keep-alive"},
			{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"},
			{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
			{Name: "Accept-Language", Value: "en-US,en;q=0.9,de;q=0.8"},
			{Name: "Accept-Encoding", Value: "gzip, deflate, br, zstd"},
			{Name: "Referer", Value: "https://shop.example.com/"},
			{Name: "Cookie", Value: "session=d41d8cd98f00b204e9800998ecf8427e; _ga=GA1.2.1234567890.1234567890; theme=dark"},
			{Name: "Upgrade-Insecure-Requests", Value: "1"},
			{Name: "Sec-Fetch-Dest", Value: "document"},
			{Name: "Sec-Fetch-Mode", Value: "navigate"},
			{Name: "Sec-Fetch-Site", Value: "same-origin"},
		},
	}
}

// TestOrder shows that collections keep the order of the request, and what is in lower case.
func TestOrder(t *testing.T) {
	var v Vars
	v.Request(&rules.Request{Target: "/?b=1&A=2&b=3", Headers: []rules.Header{
		{Name: "Cookie", Value: "B=1; a=2"}, {Name: "X", Value: "1"}, {Name: "cookie", Value: "b=3"}, {Name: "X", Value: "0"},
	}}, rules.Limits{}, false)
	v.Body(body.XML, &body.Parsed{XMLTexts: []string{"2", "1"}, XMLAttributes: []string{"1"}})
	for _, c := range []struct {
		id   variable.ID
		want []Entry
	}{
		{variable.ArgsGet, []Entry{{"b", "b", "1"}, {"A", "a", "2"}, {"b", "b", "3"}}},
		{variable.RequestCookies, []Entry{{"B", "b", "1"}, {"a", "a", "2"}, {"b", "b", "3"}}},
		{variable.RequestHeaders, []Entry{{"Cookie", "cookie", "B=1; a=2"}, {"X", "x", "1"}, {"cookie", "cookie", "b=3"}, {"X", "x", "0"}}},
		{variable.RequestXML, []Entry{{"/*", "/*", "2"}, {"/*", "/*", "1"}, {"//@*", "//@*", "1"}}},
	} {
		if diff := cmp.Diff(c.want, v.Lists[c.id]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.id.Name(), diff)
		}
	}
}

// TestReuse shows that nothing of a request is left for the next, with Reset and without.
func TestReuse(t *testing.T) {
	next := &rules.Request{Target: "/next", Headers: []rules.Header{{Name: "Host", Value: "a"}}}
	var fresh Vars
	fresh.Request(next, rules.Limits{}, false)
	for _, reset := range []bool{false, true} {
		var used Vars
		r := browserRequest()
		r.Target = "/%zz?" + strings.Repeat("a=1&", 3*largestList)
		r.Headers = append(r.Headers, rules.Header{Name: "Content-Type", Value: "multipart/form-data"})
		used.Request(r, rules.Limits{Arguments: 2 * largestList}, true)
		used.Body(body.Multipart, &body.Parsed{
			Arguments: []body.Argument{{Name: "A", Value: "b"}}, Cut: true, Body: "b", HasBody: true, Document: "{}",
			Files:      []body.File{{Field: "F", Names: []string{"N"}, Size: 100}},
			FieldNames: []string{"F"}, PartHeaders: []body.Argument{{Name: "F", Value: "h"}},
			ExtendedNames: []body.ExtendedName{{Field: "F", Charset: "c", Language: "l"}}, FieldsSize: 101,
			XMLTexts: []string{"x"}, XMLAttributes: []string{"y"}, Problem: media.ErrCharset,
			Strict: body.Strictness{Any: true, DuplicateHeader: true, InvalidQuoting: true},
		})
		used.BodyLength(123)
		used.Response(&rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{{Name: "Content-Type", Value: "text/html"}}})
		used.ResponseText("text")
		for _, id := range filled {
			if len(used.Lists[id]) == 0 {
				t.Errorf("%s was not filled", id.Name())
			}
		}
		if reset {
			used.Reset()
			if n := cap(used.Lists[variable.ArgsGet]); n > largestList {
				t.Errorf("a list for %d arguments was kept", n)
			}
		}
		used.Request(next, rules.Limits{}, false)
		if diff := cmp.Diff(fresh.Singles, used.Singles); diff != "" {
			t.Errorf("Singles, reset %v (-want +got):\n%s", reset, diff)
		}
		for id := range fresh.Lists {
			if len(fresh.Lists[id])+len(used.Lists[id]) > 0 {
				if diff := cmp.Diff(fresh.Lists[id], used.Lists[id]); diff != "" {
					t.Errorf("%s, reset %v (-want +got):\n%s", variable.ID(id).Name(), reset, diff)
				}
			}
		}
		if diff := cmp.Diff(fresh.TX, used.TX); diff != "" {
			t.Errorf("TX, reset %v (-want +got):\n%s", reset, diff)
		}
	}
}

// TestUnescaped holds the bytes of plain paths against net/url: each of them stays as it is, every other does not.
func TestUnescaped(t *testing.T) {
	for i := range 256 {
		c := byte(i)
		path := "/[" + string([]byte{c})
		if c == '%' {
			path += "41"
		}
		u, err := url.ParseRequestURI(path)
		stays := err == nil && u.String() == path && c != '?'
		if stays != unescaped.Has(c) {
			t.Errorf("%q: stays in net/url: %v, here: %v", c, stays, unescaped.Has(c))
		}
	}
}

// FuzzTarget holds plain targets against net/url.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/a%20b?c=%zz", "/?", "/a??", "//a", "/[%41]", "/:a", "/a%2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if strings.Contains(target, "#") {
			return
		}
		var v Vars
		path, query, ok := v.parsePlain(target)
		if !ok {
			return
		}
		u, err := url.ParseRequestURI(target)
		if err != nil || u.String() != target || u.Path != path || u.RawQuery != query {
			t.Errorf("%q: got %q and %q, net/url has %+v, %v", target, path, query, u, err)
		}
	})
}

// TestKinds holds the kinds that are known without parsing against those that parsing finds.
func TestKinds(t *testing.T) {
	for _, major := range []string{"application", "text"} {
		for _, minor := range []string{"x-www-form-urlencoded", "json", "plain"} {
			for _, parameters := range []string{"", ";charset=utf-8", "; charset=utf-8", ";charset=UTF-8", "; charset=UTF-8", "; charset=utf-16", ";", " "} {
				contentType := major + "/" + minor + parameters
				want, _ := media.ParseContentType([]string{contentType})
				if got := kindOf(contentType); got != want.String() {
					t.Errorf("%s: got %s, want %s", contentType, got, want)
				}
			}
		}
	}
}

// TestAllocations shows that a typical request costs no allocation in Vars that were used before.
func TestAllocations(t *testing.T) {
	var v Vars
	r := browserRequest()
	if n := testing.AllocsPerRun(100, func() {
		v.Reset()
		v.Request(r, rules.Limits{}, false)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	form := browserRequest()
	form.Method = "POST"
	form.Headers = append(form.Headers, rules.Header{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}, rules.Header{Name: "Content-Length", Value: "100"})
	multipart := browserRequest()
	multipart.Headers = append(multipart.Headers, rules.Header{Name: "Content-Type", Value: "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW"})
	lower := browserRequest()
	for i := range lower.Headers {
		lower.Headers[i].Name = strings.ToLower(lower.Headers[i].Name)
	}
	for _, c := range []struct {
		name    string
		request *rules.Request
	}{{"http1", browserRequest()}, {"http2", lower}, {"form", form}, {"multipart", multipart}} {
		b.Run(c.name, func(b *testing.B) {
			var v Vars
			b.ReportAllocs()
			for b.Loop() {
				v.Reset()
				v.Request(c.request, rules.Limits{Arguments: 1000}, false)
			}
			if len(v.Lists[variable.ArgsGet]) != 5 || len(v.Lists[variable.RequestCookies]) != 3 {
				b.Fatalf("got %v", v.Lists)
			}
		})
	}
}
