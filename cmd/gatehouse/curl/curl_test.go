package curl

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"plain", "curl  http://a/ -v", []string{"curl", "http://a/", "-v"}},
		{"single quotes", `a 'b "c" $d \n'`, []string{"a", `b "c" $d \n`}},
		{"double quotes", `a "b 'c' \"d\" \$e \\ \x"`, []string{"a", `b 'c' "d" $e \ \x`}},
		{"joined", `a'b'"c"d`, []string{"abcd"}},
		{"empty words", `a '' ""`, []string{"a", "", ""}},
		{"continued", "a \\\n  b \\\r\n c", []string{"a", "b", "c"}},
		{"escaped", `a\ b \'`, []string{"a b", "'"}},
		{"ANSI", `$'a\n\'\x3c\u00e9\101\\\e\q'`, []string{"a\n'<éA\\\x1b\\q"}},
		{"a dollar alone", `a $ "$" 5$`, []string{"a", "$", "$", "5$"}},
		{"a quote in single quotes", `'it'\''s'`, []string{"it's"}},
		{"nothing", "  ", nil},
		{"a backslash at the end", `a \`, []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Split(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestSplitErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"'a", "a single quote is not closed"},
		{`"a`, "a double quote is not closed"},
		{`$'a`, "a quote that begins with $' is not closed"},
		{"curl http://a/?b=c&d=e", `the shell would not give '&' at column 19 to curl: put the word that holds it in single quotes`},
		{"curl a | jq", `the shell would not give '|' at column 8 to curl: put the word that holds it in single quotes`},
		{`curl -H "A: $TOKEN"`, `the shell would replace "$TOKEN\"": put the value itself there, or single quotes around the word`},
		{"curl $(cat x)", `the shell would replace "$(cat x)": put the value itself there, or single quotes around the word`},
		{"curl \"`x`\"", "the shell would replace \"`x`\\\"\": put the value itself there, or single quotes around the word"},
	} {
		if _, err := Split(c.in); err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.in, err, c.want)
		}
	}
}

// lines writes a request with \n for \r\n.
func lines(raw []byte) string { return strings.ReplaceAll(string(raw), "\r\n", "\n") }

const defaults = "User-Agent: curl/8.5.0\nAccept: */*\n"

func TestParse(t *testing.T) {
	files := map[string]string{"body.json": "{\r\n}\n", "x/cat.png": "PNG"}
	opts := Options{Boundary: "b", ReadFile: func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, errors.New("no such file")
	}}
	form := "Content-Type: application/x-www-form-urlencoded\n"
	for _, c := range []struct{ name, in, want string }{
		{"get", "curl https://shop.example.com/a?b=c#d", "GET /a?b=c HTTP/1.1\nHost: shop.example.com\n" + defaults + "\n"},
		{"no scheme, no path", "curl shop.example.com:8080", "GET / HTTP/1.1\nHost: shop.example.com:8080\n" + defaults + "\n"},
		{"query without a path", "curl 'http://a?b=c'", "GET /?b=c HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"prompt", "$ curl http://a/", "GET / HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"without curl", "-I http://a/", "HEAD / HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"ignored options", "curl -sSkiLv --compressed --max-time 5 -o /dev/null --http2 http://a/", "GET / HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"method and headers", `curl -XDELETE 'http://a/x' -H 'X-A: 1' -H'Accept: text/html' -H 'User-Agent:' -H 'X-Empty;'`, "DELETE /x HTTP/1.1\nHost: a\nX-A: 1\nAccept: text/html\nX-Empty: \n\n"},
		{"host", "curl -H 'host: b' http://a/", "GET / HTTP/1.1\nHost: b\n" + defaults + "\n"},
		{"dots", "curl http://a/x/../y/./z/..", "GET /y/ HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"path as is", "curl --path-as-is 'http://a/../../etc/passwd'", "GET /../../etc/passwd HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"data", "curl http://a/ -d a=b --data c=d", "POST / HTTP/1.1\nHost: a\n" + defaults + "Content-Length: 7\n" + form + "\na=b&c=d"},
		{"data from a file", "curl http://a/ -d @body.json", "POST / HTTP/1.1\nHost: a\n" + defaults + "Content-Length: 2\n" + form + "\n{}"},
		{"binary data from a file", "curl http://a/ --data-binary @body.json -H 'Content-Type: application/json'", "POST / HTTP/1.1\nHost: a\n" + defaults + "Content-Type: application/json\nContent-Length: 5\n\n{\n}\n"},
		{"raw data", "curl http://a/ --data-raw '@x'", "POST / HTTP/1.1\nHost: a\n" + defaults + "Content-Length: 2\n" + form + "\n@x"},
		{"encoded data", "curl http://a/ --data-urlencode 'q=a b&c~' --data-urlencode '=x y' --data-urlencode 'é'", "POST / HTTP/1.1\nHost: a\n" + defaults + "Content-Length: 25\n" + form + "\nq=a%20b%26c~&x%20y&%C3%A9"},
		{"data in the query", "curl -G 'http://a/?x=y' -d a=b --data-urlencode 'q= '", "GET /?x=y&a=b&q=%20 HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"url-query", "curl http://a/ --url-query 'q=1 2' --url-query +raw", "GET /?q=1%202&raw HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"put", "curl -X PUT http://a/ -d ''", "PUT / HTTP/1.1\nHost: a\n" + defaults + "Content-Length: 0\n" + form + "\n"},
		{"json", `curl --json '{"a":' --json '1}' http://a/`, "POST / HTTP/1.1\nHost: a\nUser-Agent: curl/8.5.0\nAccept: application/json\nContent-Length: 7\nContent-Type: application/json\n\n{\"a\":1}"},
		{"user, agent, cookie, referer", "curl -u me:secret -A 'Mozilla/5.0' -b 'a=1; b=2' -b c=3 -e 'http://r/;auto' http://a/", "GET / HTTP/1.1\nHost: a\nAuthorization: Basic bWU6c2VjcmV0\nUser-Agent: Mozilla/5.0\nReferer: http://r/\nAccept: */*\nCookie: a=1; b=2; c=3\n\n"},
		{"user in the URL", "curl http://me:secret@a/", "GET / HTTP/1.1\nHost: a\nAuthorization: Basic bWU6c2VjcmV0\n" + defaults + "\n"},
		{"bearer", "curl --oauth2-bearer T http://a/", "GET / HTTP/1.1\nHost: a\nAuthorization: Bearer T\n" + defaults + "\n"},
		{"HTTP/1.0", "curl -0 http://a/", "GET / HTTP/1.0\nHost: a\n" + defaults + "\n"},
		{
			"form", `curl http://a/ -F 'a=b;c' -F 'f=@x/cat.png;type=image/png' -F 'g=<body.json;type=text/plain;charset=utf-8' --form-string 'h=@x'`,
			"POST / HTTP/1.1\nHost: a\n" + defaults + "Content-Length: 309\nContent-Type: multipart/form-data; boundary=b\n\n" +
				"--b\nContent-Disposition: form-data; name=\"a\"\n\nb;c\n" +
				"--b\nContent-Disposition: form-data; name=\"f\"; filename=\"cat.png\"\nContent-Type: image/png\n\nPNG\n" +
				"--b\nContent-Disposition: form-data; name=\"g\"\nContent-Type: text/plain;charset=utf-8\n\n{\n}\n\n" +
				"--b\nContent-Disposition: form-data; name=\"h\"\n\n@x\n--b--\n",
		},
		{"long option with =", "curl --request=PATCH http://a/", "PATCH / HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"end of options", "curl -- http://a/", "GET / HTTP/1.1\nHost: a\n" + defaults + "\n"},
		{"as browsers copy it", "curl 'https://a/x' \\\n  -H 'accept: */*' \\\n  -H $'x-q: it\\'s' \\\n  --data-raw $'q=\\u0021' \\\n  --compressed", "POST /x HTTP/1.1\nHost: a\nUser-Agent: curl/8.5.0\naccept: */*\nx-q: it's\nContent-Length: 3\n" + form + "\nq=!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Parse(c.in, opts)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, lines(r.Raw)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "the curl command line names no URL"},
		{"curl -v", "the curl command line names no URL"},
		{"curl --frobnicate http://a/", "the curl option --frobnicate is not known here; leave it out if it does not change the request"},
		{"curl -T x http://a/", "the curl option -T is not known here; leave it out if it does not change the request"},
		{"curl http://a/ -H", "the curl option -H needs a value"},
		{"curl http://a/ --data", "the curl option --data needs a value"},
		{"curl http://a/ http://b/", `the curl command line has two URLs, "http://a/" and "http://b/": give one (a URL with & in it needs quotes)`},
		{"curl 'http://a/b c'", `curl would refuse "http://a/b c": a space in a URL is written %20`},
		{"curl ftp://a/", `"ftp://a/" is not an http or https URL`},
		{"curl http:///x", `"http:///x" has no host`},
		{"curl http://a/ -H x", `-H "x" is not a header; write 'Name: value'`},
		{"curl http://a/ -b jar.txt", "-b jar.txt: a cookie file is not read here; write -b 'name=value'"},
		{"curl http://a/ -d @x", "the file x cannot be read here"},
		{"curl http://a/ -d @-", "data from stdin (@-) are not read here; write them in the command line"},
		{"curl http://a/ -F x", `-F "x" is not a form field; write name=value or name=@file`},
		{"curl http://a/ -F 'a=b;headers=x'", "-F with ;headers= is not known here"},
		{"curl http://a/ -F a=b -d c", "curl takes -d or -F, not both"},
	} {
		if _, err := Parse(c.in, Options{}); err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.in, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`curl -sSXPOST 'http://a/x?y=z' -H "A: b" -d $'\x41' -F a=b --json {} -G`)
	f.Fuzz(func(t *testing.T, line string) {
		r, err := Parse(line, Options{Boundary: "b"})
		if err == nil && !strings.Contains(string(r.Raw), "\r\n\r\n") {
			t.Errorf("no request: %q", r.Raw)
		}
	})
}
