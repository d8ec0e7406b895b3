package coraza

import (
	"hash/fnv"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/body"
	"gatehouse/rules/program/variable"
)

var someLimits = rules.Limits{Arguments: 100, JSONDepth: 20}

var someAddresses = []netip.AddrPort{
	netip.MustParseAddrPort("198.51.100.7:40000"),
	netip.MustParseAddrPort("[2001:db8::1]:7"),
	netip.MustParseAddrPort("[::ffff:192.0.2.1]:65535"),
	netip.MustParseAddrPort("[fe80::1:2%eth0]:443"),
	netip.MustParseAddrPort("[2001:db8:1111:2222:3333:4444:5555:6666]:99"),
	netip.AddrPortFrom(netip.Addr{}, 80),
	{},
}

// exchangeOf reads a request as bytes, well formed or not, and makes up the rest by the text.
func exchangeOf(raw string) *exchange {
	hash := fnv.New64a()
	hash.Write([]byte(raw))
	pick := hash.Sum64()
	n := uint64(len(someAddresses))
	e := &exchange{request: rules.Request{
		ID: "", Time: time.Unix(int64(pick>>30), 5).In(time.FixedZone("east", 3600)),
		Client: someAddresses[pick%n], Server: someAddresses[(pick/n)%n],
		Host: "shop.example.com", Path: "/", Application: "shop", Route: "/shop", Traffic: "auto", Detect: pick&64 != 0,
	}}
	if pick&128 != 0 {
		e.request.ID = "id"
	}
	e.truncated, e.noBody = pick&0xf00 == 0, pick&0xf000 == 0
	head, text, found := strings.Cut(raw, "\r\n\r\n")
	if !found {
		head, text, _ = strings.Cut(raw, "\n\n")
	}
	line, fields, _ := strings.Cut(head, "\n")
	e.request.Method, line, _ = strings.Cut(strings.TrimSuffix(line, "\r"), " ")
	e.request.Target, e.request.Protocol = line, "HTTP/1.1"
	if i := strings.LastIndexByte(line, ' '); i >= 0 {
		e.request.Target, e.request.Protocol = line[:i], line[i+1:]
	}
	contentType := ""
	for field := range strings.Lines(fields) {
		name, value, _ := strings.Cut(strings.TrimRight(field, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		e.request.Headers = append(e.request.Headers, rules.Header{Name: name, Value: value})
		if strings.EqualFold(name, "content-type") {
			contentType = strings.ToLower(value)
		}
	}
	for _, x := range []struct{ part, processor string }{
		{"ndjson", body.NDJSON}, {"json", body.JSON}, {"xml", body.XML}, {"text/", body.Text}, {"octet", body.Raw}, {"none", "NONE"},
	} {
		if strings.Contains(contentType, x.part) {
			e.processor = x.processor
			break
		}
	}
	e.body = text
	e.response = rules.Response{Status: int(pick % 600), Protocol: e.request.Protocol, Headers: e.request.Headers}
	e.text = text
	return e
}

// TestVariablesOfTraps compares the variables of requests that are easy to get wrong.
func TestVariablesOfTraps(t *testing.T) {
	targets := []string{
		"", "*", "/", "//", "///", "//host/path", "/a?", "/a??", "/a???x", "/?", "/?&", "/?=", "/?&&=&", "/?a", "/?a=", "/?=a", "/?a==b",
		"/?a=1&A=2&a=3", "/?a=1&b=2&", "/?a=1#frag?x=2", "/#/?a=1", "#", "#/a", "?", "?a=1", "a", "a/b", "a:b", "a:b/c", "1a:b", ":b", "./a:b",
		"/a%20b", "/a%2", "/a%", "/a%zz", "/a%2fb/c%5Cd", "/%00", "/%", "/?%", "/?%2", "/?%zz=%41%4", "/?a%3Db=c%26d", "/?a+b=c+d%2B", "/a+b",
		"/a b", "/a\"b", "/a<b>", "/a\\b", "/a\\b\\", "/a|b", "/a^b", "/a`b", "/a{b}", "/a[b]", "/[%5B", "/a;b,c", "/a'b(c)*!", "/~a_b-c.d", "/a@b:c&d=$",
		"/ü", "/%C3%BC", "/%c3%bc", "/\xff", "/%ff", "/a%20b c", "/a%20[b", "/a%41", "/A?ü=ü", "/?\xff=%ff", "/?Ä=1&ä=2", "/?\u212a=1&k=2", "/?İ=1",
		"/a\x00b", "/a\tb", "/a?b\tc", "/a?b\x7f", "/a\x7f", "/a?b\x80", "/a\r\nb?c=d", "/?a=\n", "/a/", "/a/b.php", "/a/b.php/", "/a/b%2Fc", "/..;/a",
		"http://host/path?a=1", "HTTP://User:Pa%20ss@Host:80/p%61th?q#f", "http://host", "http://host?x=1", "http://[::1%25eth0]:80/", "http://ho st/", "http:",
		"http:/a", "http:///a", "http:a/b?c=d", "mailto:a@b", "host:443", "example.com:443", "https://a/b c", "http://a/%zz?x=1", "http://a:b/", "http://\x7f/",
		"/" + strings.Repeat("a", 5000) + "%41?" + strings.Repeat("x=%41&", 150), "/?" + strings.Repeat("&", 500), "/?" + strings.Repeat("a&", 100) + "&&",
		"/?" + strings.Repeat("a&", 100) + "&b", "/a?x=1;y=2", "/a?b?c=d", "/a?b/c\\d", "/a%3Fb?c", "/a%23b?c%23d", "/*", "/a*?x", "/?a=%u0041", "/?a=%%41", "/?%41%",
	}
	names := []string{
		"", "Host", "host", "HOST", "Ho\u017ft", "Cookie", "coo\u212aie", "COOKİE", "Content-Type", "content-TYPE", "X-\xff-Y", "X-ÄÖ", "x-lower", "X_Upper:", " X", "User-Agent",
	}
	values := []string{
		"", "a", "shop.example.com", "shop.example.com:80", "[::1]:80", "[::1]", "::1", ":", "a]", "a:b:c",
		"a=1; b=2; A=3", "a=1;a=2", "=x", "=", ";;", "; a = b ;", "a\v=1", "\x01=p\x7f", "\x7fa=\x7fb", "a==b", "a", " ", "a=\"x; y\"", "ü=1", "a=1,b=2", "\t;\t", "x=\x80\xa0", "a = ; =",
		"application/x-www-form-urlencoded", "  Application/X-WWW-Form-Urlencoded;x", "\u00a0multipart/form-data; boundary=x", "\u3000multipart/form-data", "multipart/form-data",
		"mult\u0130part/form-data; boundary=x", "multipart/form-data\xff", "multıpart/form-data", "application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8",
		"application/json; charset=utf-16", "text/plain;charset=UTF-8", "text/plain; a*=b", "text/", "/", "text/plain; x", "application/none", "application/x-www-form-urlencoded2",
	}
	texts := []string{
		"", "a=1&b=2&A=3&a=4", "a=%41%4&b=%&+=+", strings.Repeat("a&", 200), `{"a":[1,{"B":"x"}],"Ä":null,"a.b":1}`, `{"a":`, `[]`, "{}\n{}", "<a b='c'>d<e/></a>", "<a>", "<a b='c'/>",
		"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name=\"F\"; filename=\"a.PHP\"; filename*=UTF-8'en'b.php\r\nContent-Type: text/x\r\n\r\n12345\r\n--x--\r\n",
		"--x\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n1\r\n--x\r\nbroken", "--x\r\nContent-Disposition: form-data; name=\"a'b\"\r\n\r\n\r\n--x--",
	}
	mime := newComparer(t, "SecResponseBodyMimeType text/plain text/html application/json\n"+
		`SecRule TX:gatehouse_detect "@eq 2" "id:1,phase:5,pass,nolog,ctl:ruleEngine=DetectionOnly"`, someLimits)
	plain := newComparer(t, "", rules.Limits{})
	for _, target := range targets {
		e := exchangeOf("GET " + target + " HTTP/2.0\r\n\r\n")
		e.request.Target = target
		mime.compare(t, e)
		plain.compare(t, e)
	}
	for i, name := range names {
		for j, value := range values {
			other := rules.Header{Name: names[(i+j)%len(names)], Value: values[(i*j+1)%len(values)]}
			e := exchangeOf("POST /" + name + value + " HTTP/1.1")
			e.request.Headers = []rules.Header{{Name: name, Value: value}, other, {Name: strings.ToUpper(name), Value: value}}
			e.response.Headers = e.request.Headers
			e.body = texts[(i+j)%len(texts)]
			e.text = e.body
			mime.compare(t, e)
			plain.compare(t, e)
			e.request.Headers[2].Value = other.Value
			e.response.Headers = e.request.Headers
			mime.compare(t, e)
		}
	}
	for _, contentType := range values {
		for _, processor := range []string{"", body.URLEncoded, body.Multipart, body.JSON, body.NDJSON, body.XML, body.Text, body.Raw, "json", "NONE"} {
			for _, text := range texts {
				e := exchangeOf("POST / HTTP/1.1")
				e.request.Headers = []rules.Header{{Name: "Content-Type", Value: contentType}}
				e.response.Headers = []rules.Header{{Name: "Content-Type", Value: "text/html; charset=utf-8"}}
				e.processor, e.body, e.text, e.noBody, e.truncated = processor, text, text, false, len(text)%3 == 0
				mime.compare(t, e)
			}
		}
	}
	for _, second := range []int64{0, -1, 1, 59, 86399, 951782400, 1709164800, 4102444800, -62135596800, 253402300800, -99999999999} {
		e := exchangeOf("GET / HTTP/1.1")
		e.request.Time = time.Unix(second, 999999999)
		mime.compare(t, e)
		mime.compare(t, e)
	}
	e := exchangeOf("GET / HTTP/1.1")
	e.request.Time = time.Time{}
	newComparer(t, "", someLimits).compare(t, e)

	for id := range variable.ID(variable.Count) {
		if id.Name() != "" && id.Kind() != variable.Empty && !mime.compared[id] {
			t.Errorf("%s was never compared", id.Name())
		}
	}
	// Rules set these, or nothing does.
	never := map[string]bool{
		"ARGS_PATH": true, "ENV": true, "FILES_TMP_CONTENT": true, "FILES_TMPNAMES": true, "GEO": true, "MATCHED_VAR": true, "MATCHED_VAR_NAME": true,
		"MATCHED_VARS": true, "MATCHED_VARS_NAMES": true, "REMOTE_HOST": true, "RES_BODY_PROCESSOR": true, "RESPONSE_ARGS": true, "RESPONSE_XML": true,
		"RULE": true, "STATUS_LINE": true,
	}
	for id := range mime.compared {
		if never[id.Name()] == mime.filled[id] {
			t.Errorf("%s: filled in a request: %v", id.Name(), mime.filled[id])
		}
	}
}

// FuzzVariables compares the variables of any request.
func FuzzVariables(f *testing.F) {
	for _, s := range []string{
		"GET /a%20b?c=d%41+&C=2#x HTTP/1.1\r\nHost: a:1\r\nCookie: a=b; c\r\n\r\n",
		"POST /[ü?%zz HTTP/2.0\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--",
		"POST http://u@h/p?q HTTP/1.1\nContent-Type: application/json\n\n{\"a\":[1]}",
		"GET /?q=%c0%bcscript%C0%BE&%e0%80%a7=1&%c0%41=%e0%a4%85 HTTP/1.1\r\n\r\n",
		"GET /?q=%c0%bc" + strings.Repeat("&a=b", 99) + " HTTP/1.1\r\n\r\n",
		"GET /?" + strings.Repeat("q=%c0%bc&", 51) + " HTTP/1.1\r\n\r\n",
		"GET /?" + strings.Repeat("q=%c0%bc&", 50) + " HTTP/1.1\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nContent-Type: text/xml\r\n\r\n<a b='c'>d</a>",
	} {
		f.Add(s)
	}
	c := newComparer(f, "SecResponseBodyMimeType text/plain text/html text/xml", someLimits)
	f.Fuzz(func(t *testing.T, raw string) {
		c.compare(t, exchangeOf(raw))
	})
}
