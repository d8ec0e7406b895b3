package parity

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/crs"
	"gatehouse/rules/crs/regress"
	"gatehouse/rules/policy"
)

// CRSPolicy is the newest CRS with our setup at a paranoia level, as a configuration is lowered.
func CRSPolicy(paranoia int) (rules.Policy, error) {
	set := policy.Set{Name: "paranoia" + strconv.Itoa(paranoia), CRS: policy.CRS{Setup: policy.SetupGatehouse, Paranoia: paranoia}}
	return policy.Lower(set, policy.Application{Name: "test"}, nil)
}

// RegressionPolicy is the newest CRS with its own setup and what its regression tests expect.
func RegressionPolicy() (rules.Policy, error) {
	release, err := crs.Load("")
	if err != nil {
		return rules.Policy{}, err
	}
	p := rules.Policy{Name: "regression", Limits: rules.Limits{Arguments: 1000, JSONDepth: 128}}
	p.Sources = append(p.Sources,
		rules.Source{Name: "base", Text: baseText + refusalText},
		rules.Source{Name: "settings", Text: regress.Settings},
		rules.Source{Name: release.Dir() + "/crs-setup.conf", Text: release.SetupExample})
	p.Sources = append(p.Sources, release.Rules...)
	return p, nil
}

// Regression are the requests of the regression tests of the newest CRS, with the replies that they ask for.
func Regression() ([]*Exchange, error) {
	cases, err := regress.Cases("")
	if err != nil {
		return nil, err
	}
	var out []*Exchange
	for _, c := range cases {
		for i, s := range c.Stages {
			x, err := wireExchange(fmt.Sprintf("crs test %s stage %d", c.ID, i+1), s.Request)
			if err != nil {
				continue // no request line: nothing for an engine
			}
			out = append(out, x)
		}
	}
	return out, nil
}

// wireExchange reads a request as it is on the wire, and answers it as the regression tests' upstream does.
func wireExchange(name string, wire []byte) (*Exchange, error) {
	parsed, err := regress.Parse(wire)
	if err != nil {
		return nil, err
	}
	x := &Exchange{Name: name, Request: NewRequest(parsed.Method, parsed.Target, parsed.Headers...), Body: parsed.Body}
	x.Request.Protocol = parsed.Protocol
	reply := regress.Answer(parsed.Target, parsed.Body)
	x.Response = &rules.Response{Status: reply.Status, Protocol: "HTTP/1.1"}
	for _, h := range reply.Headers {
		x.Response.Headers = append(x.Response.Headers, rules.Header{Name: h[0], Value: h[1]})
	}
	x.ResponseBody, x.HeadersOnly = reply.Body, len(wire)%2 == 0 && len(reply.Body) == 0
	return x, nil
}

// ErrNoData says that the collected requests are not on this machine.
var ErrNoData = errors.New("the collected requests and payloads (shared/data beside the repository) are not here")

// Recorded are the recorded requests in the collection at directory: attacks first, then legitimate ones, of which every
// nth is taken.
func Recorded(directory string, nth int) ([]*Exchange, error) {
	archive := filepath.Join(directory, "blazehttp-dev.tar.xz")
	if _, err := os.Stat(archive); err != nil {
		return nil, ErrNoData
	}
	if _, err := exec.LookPath("xz"); err != nil {
		return nil, fmt.Errorf("%w: xz is needed to unpack them", ErrNoData)
	}
	var errs bytes.Buffer
	cmd := exec.Command("xz", "-dc", archive)
	cmd.Stderr = &errs
	unpacked, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w: %s", archive, err, errs.String())
	}
	var attacks, legitimate []*Exchange
	tr := tar.NewReader(bytes.NewReader(unpacked))
	for n := 0; ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return append(attacks, legitimate...), nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", archive, err)
		}
		if !strings.HasSuffix(h.Name, ".http") {
			continue
		}
		attack := strings.HasPrefix(h.Name, "attack/")
		if n++; !attack && n%nth != 0 {
			continue
		}
		wire, err := io.ReadAll(tr)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", archive, err)
		}
		x, err := wireExchange("recorded "+h.Name, wire)
		switch {
		case err != nil:
		case attack:
			attacks = append(attacks, x)
		default:
			legitimate = append(legitimate, x)
		}
	}
}

// Payloads are the lines of the payload lists in the collection at directory, each once.
func Payloads(directory string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(directory, "payloads", "*", "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, ErrNoData
	}
	var out []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read payloads: %w", err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if lines.Text() != "" {
				out = append(out, lines.Text())
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("read payloads: %s: %w", f, err)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Place is where a payload is put.
type Place string

// Places are all of them.
func Places() []Place { return []Place{"query", "form", "json", "header", "cookie", "path"} }

// PayloadExchange is a request that no rule minds but for the payload.
func PayloadExchange(payload string, place Place) *Exchange {
	headers := []rules.Header{
		{Name: "Host", Value: "shop.example.com"},
		{Name: "User-Agent", Value: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
		{Name: "Accept", Value: "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"},
	}
	method, target, body := "GET", "/search", ""
	post := func(contentType, text string) {
		method, body = "POST", text
		headers = append(headers, rules.Header{Name: "Content-Type", Value: contentType}, rules.Header{Name: "Content-Length", Value: strconv.Itoa(len(text))})
	}
	switch place {
	case "query":
		target += "?page=2&q=" + url.QueryEscape(payload)
	case "form":
		post("application/x-www-form-urlencoded", "name=Ann&comment="+url.QueryEscape(payload))
	case "json":
		text, err := json.Marshal(map[string]any{"name": "Ann", "items": []any{map[string]any{"comment": payload}}})
		if err != nil {
			text = nil // cannot be: strings are always encoded
		}
		post("application/json", string(text))
	case "header":
		headers = append(headers, rules.Header{Name: "X-Search", Value: oneLine(payload)})
	case "cookie":
		headers = append(headers, rules.Header{Name: "Cookie", Value: "session=4f2a; last=" + oneLine(payload)})
	case "path":
		target += "/" + strings.NewReplacer(" ", "%20", "?", "%3f", "#", "%23", "\t", "%09").Replace(oneLine(payload))
	}
	x := &Exchange{Name: fmt.Sprintf("payload %q as %s", payload, place), Request: NewRequest(method, target, headers...), Body: []byte(body)}
	x.Response = &rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{{Name: "Content-Type", Value: "text/html"}}}
	x.ResponseBody, x.HeadersOnly = []byte("<p>Nothing found.</p>"), len(payload)%2 == 0
	return x
}
