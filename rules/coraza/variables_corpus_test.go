package coraza

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"gatehouse/rules"
	"gatehouse/rules/crs/regress"
)

const sharedData = "../../../shared/data"

// corpusSample is how many requests of a large corpus there are to one that is compared.
const corpusSample = 5

// TestVariablesOfRegressionRequests compares the variables of the requests of the rule set's own tests.
func TestVariablesOfRegressionRequests(t *testing.T) {
	cases, err := regress.Cases("")
	if err != nil {
		t.Fatal(err)
	}
	c := newComparer(t, "", someLimits)
	for _, test := range cases {
		for _, stage := range test.Stages {
			c.compare(t, exchangeOf(string(stage.Request)))
			if t.Failed() {
				t.Fatalf("in test %v", test)
			}
		}
	}
	if c.exchanges < 2000 {
		t.Fatalf("compared %d requests, want at least 2000", c.exchanges)
	}
}

// TestVariablesOfPayloads puts collected payloads into every place of a request.
func TestVariablesOfPayloads(t *testing.T) {
	files, err := filepath.Glob(sharedData + "/payloads/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("there is no " + sharedData + "/payloads")
	}
	c := newComparer(t, "", someLimits)
	lines := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if lines++; lines%corpusSample != 0 {
				continue
			}
			c.compare(t, everywhere(strings.TrimSuffix(line, "\n")))
			if t.Failed() {
				t.Fatalf("in %s", file)
			}
		}
	}
	if c.exchanges < 3000 {
		t.Fatalf("compared %d requests, want at least 3000", c.exchanges)
	}
}

// everywhere is a request that has the payload in its target, headers, cookies and body.
func everywhere(payload string) *exchange {
	kinds := []string{"application/x-www-form-urlencoded", "application/json", "text/plain", "application/xml", "multipart/form-data; boundary=b"}
	contentType := kinds[len(payload)%len(kinds)]
	text := "a=" + payload + "&" + payload
	switch contentType {
	case "application/json":
		text = `{"` + payload + `":["` + payload + `"]}`
	case "application/xml":
		text = "<a b='" + payload + "'>" + payload + "</a>"
	case "multipart/form-data; boundary=b":
		text = "--b\r\nContent-Disposition: form-data; name=\"" + payload + "\"; filename=\"" + payload + "\"\r\n\r\n" + payload + "\r\n--b--\r\n"
	}
	e := exchangeOf("POST /a/" + payload + "?q=" + payload + "&" + payload + "=1 HTTP/1.1\r\nHost: " + payload +
		"\r\nCookie: s=" + payload + "; " + payload + "\r\nContent-Type: " + contentType + "\r\n" + payload + ": v\r\n\r\n" + text)
	return e
}

// TestVariablesOfRecordedRequests compares the variables of requests of real browsing and of attacks.
func TestVariablesOfRecordedRequests(t *testing.T) {
	archive := sharedData + "/blazehttp-dev.tar.xz"
	if _, err := os.Stat(archive); err != nil {
		t.Skip("there is no " + archive)
	}
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("xz is needed to read " + archive)
	}
	xz := exec.Command("xz", "-dc", archive)
	pipe, err := xz.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := xz.Start(); err != nil {
		t.Fatal(err)
	}
	c := newComparer(t, "", someLimits)
	files := 0
	for r := tar.NewReader(pipe); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".http") {
			continue
		}
		if files++; files%corpusSample != 0 {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		c.compare(t, exchangeOf(string(text)))
		if t.Failed() {
			t.Fatalf("in %s", h.Name)
		}
	}
	if _, err := io.Copy(io.Discard, pipe); err != nil {
		t.Fatal(err)
	}
	if err := xz.Wait(); err != nil {
		t.Fatal(err)
	}
	if c.exchanges < 3000 {
		t.Fatalf("compared %d requests, want at least 3000", c.exchanges)
	}
}

// TestVariablesOfAmbiguousRequests compares the variables of requests whose heads are odd: names with spaces and control
// characters, targets in every form.
func TestVariablesOfAmbiguousRequests(t *testing.T) {
	files, err := filepath.Glob(sharedData + "/desync/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("there is no " + sharedData + "/desync")
	}
	c := newComparer(t, "", someLimits)
	for _, file := range files {
		for _, e := range desyncExchanges(t, file) {
			c.compare(t, e)
			if t.Failed() {
				t.Fatalf("in %s", file)
			}
		}
	}
	if c.exchanges < 50 {
		t.Fatalf("compared %d requests, want at least 50", c.exchanges)
	}
}

// desyncExchanges are the requests of a file of desync cases.
func desyncExchanges(t *testing.T, file string) []*exchange {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		URI, Method, Version string
		Headers              []rules.Header
	}
	if err := yaml.Unmarshal(text, &cases); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var out []*exchange
	for _, c := range cases {
		e := exchangeOf("")
		e.request.Target, e.request.Method, e.request.Protocol, e.request.Headers = c.URI, c.Method, c.Version, c.Headers
		e.response.Headers = c.Headers
		out = append(out, e)
	}
	return out
}
