package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/proxy/proxytest"
)

// runCommand runs a command line as main does, with its own stdin and environment.
func runCommand(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c := &cli{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, getenv: func(string) string { return "" }, compiled: proxytest.Compiled(t)}
	code = c.main(context.Background(), args)
	return code, out.String(), errs.String()
}

// golden compares text with a file in testdata. go test -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *updateScripts {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// write makes a file in a directory of the test and gives its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// modesConfig has an application in each mode.
const modesConfig = `
version: 1
upstreams: [{name: nowhere, url: "http://192.0.2.9"}]
applications:
  - { name: shop, hosts: [shop.example.com, 192.0.2.5], mode: block, upstream: nowhere }
  - { name: blog, hosts: [blog.example.com], mode: detect, upstream: nowhere }
  - { name: old, hosts: [old.example.com], mode: disabled, upstream: nowhere }
policies:
  - name: default
    crs: { version: "4.25.0" }
    rules:
      - { name: no-admin, when: { path: "/admin/**" }, then: block }
`

const head = "User-Agent: Mozilla/5.0\nAccept: */*\n"

func TestInspectText(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", modesConfig)
	var all strings.Builder
	for _, c := range []struct{ name, raw string }{
		{"a clean request", "GET /search?q=teapot HTTP/1.1\nHost: shop.example.com\n" + head},
		{"an attack", "POST /api/orders/7/notes HTTP/1.1\nHost: shop.example.com\n" + head + "Content-Type: application/json\n\n{\"password\":\"hunter2' OR '1'='1\",\"items\":[{\"text\":\"1' OR '1'='1\"}]}\n"},
		{"an attack in detect", "GET /?q=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\nHost: blog.example.com\n" + head},
		{"disabled", "GET /?q=%3Cscript%3E HTTP/1.1\nHost: old.example.com\n" + head},
		{"a low score", "GET / HTTP/1.1\nHost: 192.0.2.5\n" + head},
		{"an unknown host", "GET / HTTP/1.1\nHost: www.example.com:8080\n" + head},
		{"an own rule", "GET /admin/users HTTP/1.1\nHost: shop.example.com\n" + head},
		{"a body that does not parse", "POST / HTTP/1.1\nHost: shop.example.com\n" + head + "Content-Type: application/json\n\n{\"a\":"},
		{"a path above the root", "GET /../etc HTTP/1.1\nHost: shop.example.com\n" + head},
	} {
		code, stdout, stderr := runCommand(t, c.raw, "inspect", "-config", config)
		if code != exitOK || stderr != "" {
			t.Errorf("%s: exit %d: %s", c.name, code, stderr)
		}
		all.WriteString("=== " + c.name + "\n" + stdout + "\n")
	}
	golden(t, "inspect/single.golden", all.String())
}

func TestInspectMany(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", modesConfig)
	write(t, dir, "requests/clean.http", "GET / HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n")
	write(t, dir, "requests/deep/attack.http", "GET /?q=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\nHost: shop.example.com\n"+head)
	write(t, dir, "requests/deep/detect.http", "GET /?q=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\nHost: blog.example.com\n"+head)
	write(t, dir, "requests/foreign.http", "GET / HTTP/1.1\nHost: www.example.com\n"+head)
	write(t, dir, "requests/notes.txt", "not a request")
	code, stdout, stderr := runCommand(t, "", "inspect", "-config", config, filepath.Join(dir, "requests"))
	if code != exitOK || stderr != "" {
		t.Errorf("exit %d: %s", code, stderr)
	}
	golden(t, "inspect/many.golden", strings.ReplaceAll(stdout, dir+string(filepath.Separator), ""))

	code, stdout, stderr = runCommand(t, "", "inspect", "-config", config, "-host", "shop.example.com", filepath.Join(dir, "requests/foreign.http"), filepath.Join(dir, "requests/clean.http"))
	if code != exitOK || stderr != "" || !strings.HasSuffix(stdout, "2 requests: 2 pass\n") {
		t.Errorf("-host: exit %d: %s%s", code, stdout, stderr)
	}

	empty := write(t, dir, "empty.http", "\n")
	garbage := write(t, dir, "garbage.http", "hello\n")
	code, stdout, stderr = runCommand(t, "", "inspect", "-config", config, "-o", "json", filepath.Join(dir, "requests"), empty, garbage, "-client", "2001:db8::1")
	if code != exitFailed || strings.Count(stderr, "\n") != 3 || !strings.HasSuffix(stderr, "2 requests could not be read\n") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	type object struct {
		File, Verdict, Reason, Error string
		Status                       int
		Rules                        []struct {
			ID      int
			Message string
			Targets []struct{ Target, Variable, Value string }
		}
		Scores struct{ Inbound int }
	}
	var got []string
	for line := range strings.Lines(stdout) {
		var keys map[string]any
		var o object
		if err := json.Unmarshal([]byte(line), &keys); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, k := range []string{"file", "verdict", "status", "rules", "scores"} {
			if _, ok := keys[k]; !ok {
				t.Errorf("there is no %s in %s", k, line)
			}
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		got = append(got, filepath.ToSlash(strings.TrimPrefix(o.File, dir))+" "+o.Verdict+" "+o.Reason)
		if strings.HasSuffix(o.File, "attack.http") {
			if len(o.Rules) < 2 || o.Rules[0].ID != 941100 || o.Rules[0].Message == "" || o.Rules[0].Targets[0].Target != "query:q" ||
				o.Rules[0].Targets[0].Value != "<script>alert(1)</script>" || o.Scores.Inbound < 5 || o.Status != 403 {
				t.Errorf("got %+v", o)
			}
		}
	}
	want := []string{
		"/requests/clean.http pass ", "/requests/deep/attack.http block crs_score", "/requests/deep/detect.http detect crs_score",
		"/requests/foreign.http block unknown_host", "/empty.http error ", "/garbage.http block bad_request",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestInspectCurl(t *testing.T) {
	config := write(t, t.TempDir(), "gatehouse.yaml", modesConfig)
	code, stdout, stderr := runCommand(t, "", "inspect", "-config", config, "-o", "json", "-curl", `curl 'https://shop.example.com/login' -d 'user=admin'\''--' --data-urlencode "pass=' OR 1=1--" -k`)
	if code != exitOK || !strings.Contains(stdout, `"verdict":"block"`) || !strings.Contains(stdout, `"target":"form:user"`) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

func TestInspectUsage(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", modesConfig)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, exitUsage, "-config PATH is required"},
		{[]string{"-config", config, "-curl", "curl http://a/", "x"}, exitUsage, `-curl stands alone: "x" would be a second request. Put the whole curl command line in quotes`},
		{[]string{"-config", config, "-curl", "curl --nope http://a/"}, exitUsage, "-curl: the curl option --nope is not known here"},
		{[]string{"-config", config, "-client", "here"}, exitUsage, `-client "here" is not an IP address`},
		{[]string{"-config", config, dir}, exitFailed, "there is no *.http file in "},
		{[]string{"-config", config, filepath.Join(dir, "nosuch")}, exitFailed, "nosuch: no such file or directory"},
		{[]string{"-config", filepath.Join(dir, "nosuch.yaml"), "-"}, exitFailed, "nosuch.yaml"},
	} {
		if code, _, stderr := runCommand(t, "GET / HTTP/1.1\n", append([]string{"inspect"}, c.args...)...); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit %d: %s", c.args, code, stderr)
		}
	}
}

func TestPrepare(t *testing.T) {
	for _, c := range []struct{ name, in, host, want string }{
		{"as it is", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", "", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"},
		{"a newline that an editor left", "POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\nab\n", "", "POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\nab"},
		{"a newline that belongs to the body", "POST / HTTP/1.1\nHost: a\nContent-Length: 3\n\nab\n", "", "POST / HTTP/1.1\nHost: a\nContent-Length: 3\n\nab\n"},
		{"no length", "POST / HTTP/1.1\nHost: a\n\nab\r\n", "", "POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\nab"},
		{"chunks", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\r\n\r\n", "", "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\r\n\r\n"},
		{"no end of the head", "GET / HTTP/1.1\nHost: a\n", "", "GET / HTTP/1.1\nHost: a\r\n\r\n"},
		{"a request line alone", "GET /", "", "GET /\r\n\r\n"},
		{"another host", "GET / HTTP/1.1\r\nX: y\r\nhost: a\r\n\r\n", "b", "GET / HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n"},
		{"a missing host", "GET / HTTP/1.1\nX: y\n\n", "b", "GET / HTTP/1.1\nHost: b\nX: y\n\n"},
		{"empty lines before it", "\r\n\nGET / HTTP/1.1\n\n", "", "GET / HTTP/1.1\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, string(prepare([]byte(c.in), c.host))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{
		{"grün 漢", 99, "grün 漢"},
		{"a\nb\x1b[2J\x00", 99, `a\nb\x1b[2J\x00`},
		{"\u202ea\u200bb", 99, `\u202ea\u200bb`},
		{"a\xffb", 99, `a\xffb`},
		{"abcdef", 3, "abc…"},
	} {
		if got := printable(c.in, c.limit); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}
