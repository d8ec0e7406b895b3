package pattern

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/rules/crs/regress"
)

// request is the values of one request as rules see them, roughly.
type request []value

// value is one of them with the variable, and the key within a collection, that it is of.
type value struct{ variable, key, text string }

// valuesOf takes a raw request apart.
func valuesOf(wire []byte) request {
	p, err := regress.Parse(wire)
	if err != nil {
		return nil
	}
	path, query, _ := strings.Cut(p.Target, "?")
	out := request{{"REQUEST_URI", "", p.Target}, {"REQUEST_FILENAME", "", path}, {"QUERY_STRING", "", query}}
	form := func(s string) {
		for pair := range strings.SplitSeq(s, "&") {
			name, text, _ := strings.Cut(pair, "=")
			if u, err := url.QueryUnescape(name); err == nil {
				name = u
			}
			if u, err := url.QueryUnescape(text); err == nil {
				text = u
			}
			out = append(out, value{"ARGS_NAMES", "", name}, value{"ARGS", name, text})
		}
	}
	form(query)
	for _, h := range p.Headers {
		if strings.EqualFold(h.Name, "cookie") {
			for c := range strings.SplitSeq(h.Value, "; ") {
				name, text, _ := strings.Cut(c, "=")
				out = append(out, value{"REQUEST_COOKIES_NAMES", "", name}, value{"REQUEST_COOKIES", name, text})
			}
			continue
		}
		out = append(out, value{"REQUEST_HEADERS", h.Name, h.Value})
	}
	if len(p.Body) > 0 && len(p.Body) < 20_000 {
		out = append(out, value{"REQUEST_BODY", "", string(p.Body)})
		form(string(p.Body))
	}
	return out
}

// regressionRequests are the requests of the rule set's own tests.
func regressionRequests(t testing.TB) []request {
	t.Helper()
	cases, err := regress.Cases("")
	if err != nil {
		t.Fatal(err)
	}
	var out []request
	for _, c := range cases {
		for _, s := range c.Stages {
			if r := valuesOf(s.Request); r != nil {
				out = append(out, r)
			}
		}
	}
	if len(out) < 2000 {
		t.Fatalf("%d requests, want at least 2000", len(out))
	}
	return out
}

const data = "../../../../shared/data"

// payloads are the collected payloads, one a line.
func payloads(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(data + "/payloads/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
			out = append(out, sc.Text())
		}
	}
	return out
}

// recorded are every nth of the recorded requests, those of real browsing among them; nil if they are not there.
func recorded(t testing.TB, nth int) []request {
	t.Helper()
	archive := data + "/blazehttp-dev.tar.xz"
	if _, err := os.Stat(archive); err != nil {
		return nil
	}
	cmd := exec.Command("xz", "-dc", archive)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		return nil
	}
	defer cmd.Wait()
	var out []request
	tr := tar.NewReader(pipe)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if n%nth != 0 || !strings.HasSuffix(h.Name, ".http") {
			continue
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b))); err != nil || r == nil {
			continue
		}
		if v := valuesOf(b); v != nil {
			out = append(out, v)
		}
	}
}
