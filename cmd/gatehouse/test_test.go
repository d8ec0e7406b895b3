package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

const passingTests = `Comments come first.

-- request a clean search --
GET /search?q=union+jack HTTP/1.1
Host: shop.example.com
User-Agent: x
Accept: */*

-- expect --
pass
only

-- request an attack --
POST /api/orders/7/notes HTTP/1.1
Host: shop.example.com
User-Agent: x
Accept: */*
Content-Type: application/json

{"items": [{"comment": "1' OR '1'='1"}]}

-- expect --
block 403
by 949110
matches 942100
match 942100 json:items[0].comment
score inbound 5

-- request a form --
POST /login HTTP/1.1
Host: shop.example.com
User-Agent: x
Accept: */*
Content-Type: application/x-www-form-urlencoded

user=1' OR '1'='1

-- expect --
block
match 942100 form:user

-- request in detect --
GET /?q=<script>alert(1)</script> HTTP/1.1
Host: blog.example.com
User-Agent: x
Accept: */*

-- expect --
detect 403

-- request not HTTP --
GET / HTTP/1.1
Host: shop.example.com
Content-Length: x

-- expect --
block 400

-- request another host --
GET / HTTP/1.1
Host: www.example.com

-- expect --
block 421
`

const failingTests = `
-- request an attack in detect --
GET /?q=<script>alert(1)</script> HTTP/1.1
Host: blog.example.com
User-Agent: x
Accept: */*

-- expect --
block 403

-- request a host that nobody has --
GET / HTTP/1.1
Host: www.example.com

-- expect --
pass

-- request a path above the root --
GET /../x HTTP/1.1
Host: shop.example.com

-- expect --
pass

-- request other rules --
GET / HTTP/1.1
Host: 192.0.2.5
User-Agent: x
Accept: */*

-- expect --
pass
absent 920350
matches 942100

-- request a reply --
GET / HTTP/1.1
Host: shop.example.com

-- response --
HTTP/1.1 200 OK

-- expect --
pass
`

func TestTestCommand(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", modesConfig)
	good := write(t, dir, "tests/sub/good.test", passingTests)
	code, stdout, stderr := runCommand(t, "", "test", "-config", config, filepath.Join(dir, "tests"))
	if code != exitOK || stdout != "6 cases passed\n" || stderr != "" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	write(t, dir, "tests/bad.test", failingTests)
	code, stdout, stderr = runCommand(t, "", "test", filepath.Join(dir, "tests"), "-config", config)
	if code != exitFailed || stderr != "" {
		t.Errorf("exit %d: %s", code, stderr)
	}
	golden(t, "test/differences.golden", strings.ReplaceAll(stdout, dir+string(filepath.Separator), ""))

	code, stdout, _ = runCommand(t, "", "test", "-o", "json", "-config", config, filepath.Join(dir, "tests"), good)
	var result struct {
		Cases, Passed, Failed int
		Differences           []struct {
			File, Case, Got, Want string
			Line                  int
		}
	}
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatal(err)
	}
	if code != exitFailed || result.Cases != 17 || result.Passed != 12 || result.Failed != 5 || len(result.Differences) != 6 || result.Differences[0].Line != 9 {
		t.Errorf("exit %d: %+v", code, result)
	}
}

func TestTestCommandRefuses(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", modesConfig)
	for _, c := range []struct {
		name string
		code int
		args []string
		want string
	}{
		{"no path", exitUsage, []string{"-config", config}, "at least one test file or directory"},
		{"no configuration", exitUsage, []string{write(t, dir, "bare.test", "-- request a --\nGET /\n-- expect --\npass\n")}, "-config PATH is required: "},
		{"no files", exitFailed, []string{"-config", config, t.TempDir()}, "there is no *.test and no *.rules file in "},
		{"no cases", exitFailed, []string{"-config", config, write(t, dir, "none.test", "nothing\n")}, "none.test:1: the file has no request"},
		{"a mistake", exitFailed, []string{"-config", config, write(t, dir, "wrong.test", "-- request a --\nGET /\n-- expect --\nmaybe\n")}, `wrong.test:4: "maybe" cannot be expected`},
		{"a policy", exitFailed, []string{"-config", config, write(t, dir, "policy.test", "-- policy --\nSecRuleEngine On\n-- request a --\nGET /\n-- expect --\npass\n")}, "a policy, crs or limits section cannot stand here"},
		{"limits", exitFailed, []string{"-config", config, write(t, dir, "limits.test", "-- limits --\narguments 5\n-- request a --\nGET /\n-- expect --\npass\n")}, "a policy, crs or limits section cannot stand here"},
		{"for the reference", exitFailed, []string{"-config", config, write(t, dir, "reference.test", "-- request a --\nGET /\n-- expect --\npass\n-- expect reference --\npass\n")}, "reference.test:1: the case has an expect reference section"},
		{"a wrong configuration section", exitFailed, []string{write(t, dir, "own.test", "Comment.\n-- configuration --\n\naplications: []\n-- request a --\nGET /\n-- expect --\npass\n")}, "own.test:4:1: aplications"},
		{"a wrong configuration", exitFailed, []string{"-config", write(t, dir, "wrong.yaml", "aplications: []\n"), write(t, dir, "ok.test", "-- request a --\nGET /\n-- expect --\npass\n")}, "aplications"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, stdout, stderr := runCommand(t, "", append([]string{"test"}, c.args...)...); code != c.code || !strings.Contains(stderr, c.want) || stdout != "" {
				t.Errorf("exit %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

// TestHelpExample runs the examples that gatehouse test -h shows: one against a configuration, one with its own.
func TestHelpExample(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", modesConfig)
	_, help, _ := runCommand(t, "", "test", "-h")
	for _, c := range []struct {
		name, from, to string
		args           []string
	}{
		{"cases.test", "  -- request", "\nThe first line of expect", []string{"-config", config}},
		{"own.test", "  -- configuration", "\nflags:", nil},
	} {
		from := strings.Index(help, c.from)
		length := strings.Index(help[max(from, 0):], c.to)
		if from < 0 || length < 0 {
			t.Fatalf("there is no example from %q to %q in\n%s", c.from, c.to, help)
		}
		var example strings.Builder
		for line := range strings.Lines(help[from : from+length]) {
			example.WriteString(strings.TrimPrefix(line, "  "))
		}
		args := append([]string{"test", write(t, dir, c.name, example.String())}, c.args...)
		if code, stdout, stderr := runCommand(t, "", args...); code != exitOK || stdout != "2 cases passed\n" {
			t.Errorf("%s: exit %d: %s%s", c.name, code, stdout, stderr)
		}
	}
}

// TestTestCommandOwnConfiguration: a file's own configuration judges its cases and no others, in the mode that it says.
func TestTestCommandOwnConfiguration(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", modesConfig)
	const own = `
-- configuration --
applications:
  - { hosts: [own.example.com], upstream: "http://192.0.2.9", mode: detect }
policies:
  - name: default
    rules: [{ name: banned, when: { client: 198.51.100.7 }, then: block }]

-- headers --
Host: own.example.com

-- given --
client 198.51.100.7

-- request banned --
GET /

-- expect --
detect 403
tag gatehouse/rule:banned
in block absent 110000
in detect matches 110000

-- request another client --
GET /

-- given --
client 198.51.100.8

-- expect --
pass
exclusions
inspected
threshold inbound 5

-- request at noon --
GET /

-- given --
time 2027-01-15T12:00:00Z

-- expect --
pass
`
	write(t, dir, "tests/a.test", own)
	write(t, dir, "tests/b.test", "-- request not here --\nGET / HTTP/1.1\nHost: own.example.com\n\n-- expect --\nblock 421\n")
	code, stdout, stderr := runCommand(t, "", "test", "-config", config, filepath.Join(dir, "tests"))
	const want = `tests/a.test:36: at noon
    got  a time, traffic or application is given
    want a client alone: the rest comes from the clock and the configuration, as in a gateway
4 cases, 3 passed, 1 failed
`
	if got := strings.ReplaceAll(stdout, dir+string(filepath.Separator), ""); code != exitFailed || got != want || stderr != "" {
		t.Errorf("exit %d: %s%s\nwant %s", code, got, stderr, want)
	}
}

// TestTestCommandProductCases runs the test files of the product's own rules and options, which engines are held to, through
// everything that a gateway does before and after it asks the engine.
func TestTestCommandProductCases(t *testing.T) {
	files := filepath.Join("..", "..", "rules", "policy", "testdata")
	_, stdout, stderr := runCommand(t, "", "test", "-o", "json", files)
	var result testResult
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	elsewhere := map[string]string{ // what a gateway refuses before the engine is asked, which is the point of the case there
		"doctype":                           "a document type is refused before the rules, by mode",
		"trace":                             "the method is refused in every mode",
		"connect":                           "the method is refused in every mode",
		"content encoding that was decoded": "the body says gzip and is none",
		"auto refuses grpc":                 "what the traffic does not take is refused before the rules",
	}
	given := 0
	for _, d := range result.Differences {
		if strings.HasPrefix(d.Got, "a time, traffic or application is given") {
			given++ // a gateway has its own
			continue
		}
		if elsewhere[d.Case] == "" {
			t.Errorf("%s:%d: %s: got %s, want %s", d.File, d.Line, d.Case, d.Got, d.Want)
		}
		delete(elsewhere, d.Case)
	}
	if len(elsewhere) > 0 {
		t.Errorf("these cases are as on an engine: %v", elsewhere)
	}
	if run := result.Cases - given; run < 250 {
		t.Errorf("%d cases were judged, want at least 250", run)
	}
}
