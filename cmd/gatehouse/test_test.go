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
		{"no configuration", exitUsage, []string{"x"}, "-config PATH"},
		{"no files", exitFailed, []string{"-config", config, t.TempDir()}, "there is no *.test and no *.rules file in "},
		{"no cases", exitFailed, []string{"-config", config, write(t, dir, "none.test", "nothing\n")}, "none.test:1: the file has no request"},
		{"a mistake", exitFailed, []string{"-config", config, write(t, dir, "wrong.test", "-- request a --\nGET /\n-- expect --\nmaybe\n")}, `wrong.test:4: "maybe" cannot be expected`},
		{"a policy", exitFailed, []string{"-config", config, write(t, dir, "policy.test", "-- policy --\nSecRuleEngine On\n-- request a --\nGET /\n-- expect --\npass\n")}, "a policy or crs section cannot stand here"},
		{"a wrong configuration", exitFailed, []string{"-config", write(t, dir, "wrong.yaml", "aplications: []\n"), write(t, dir, "ok.test", "-- request a --\nGET /\n-- expect --\npass\n")}, "aplications"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, stdout, stderr := runCommand(t, "", append([]string{"test"}, c.args...)...); code != c.code || !strings.Contains(stderr, c.want) || stdout != "" {
				t.Errorf("exit %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

// TestHelpExample runs the example that gatehouse test -h shows.
func TestHelpExample(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", modesConfig)
	_, help, _ := runCommand(t, "", "test", "-h")
	from, to := strings.Index(help, "  -- request"), strings.Index(help, "\nThe first line of expect")
	if from < 0 || to < from {
		t.Fatalf("there is no example in\n%s", help)
	}
	var example strings.Builder
	for line := range strings.Lines(help[from:to]) {
		example.WriteString(strings.TrimPrefix(line, "  "))
	}
	code, stdout, stderr := runCommand(t, "", "test", "-config", config, write(t, dir, "example.test", example.String()))
	if code != exitOK || stdout != "2 cases passed\n" {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}
