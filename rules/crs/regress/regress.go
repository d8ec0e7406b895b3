// Package regress reads the regression tests that ship with the Core Rule Set: requests as bytes, and which rules have to
// match. The same cases run in process on an engine and over the wire through a gateway, with Upstream behind it.
//
// It is for tests: importing it embeds all test files.
package regress

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	previous "gatehouse.invalid/crs-previous/tests"
	current "github.com/corazawaf/coraza-coreruleset/v4/tests"
	"go.yaml.in/yaml/v3"

	"gatehouse/rules/crs"
)

// Settings are what the tests expect of the rule set, as rule text to load before CRS's example setup. The tests judge by
// the rules that matched, so that nothing may be refused on the way: they run in detect.
const Settings = `SecAction "id:90000,phase:1,pass,nolog,t:none,\
    setvar:tx.blocking_paranoia_level=4,\
    setvar:tx.crs_validate_utf8_encoding=1,\
    setvar:tx.arg_name_length=100,\
    setvar:tx.arg_length=400,\
    setvar:tx.total_arg_length=64000,\
    setvar:tx.max_num_args=255,\
    setvar:tx.max_file_size=64100,\
    setvar:tx.combined_file_sizes=65535"
`

// Case is one regression test.
type Case struct {
	// ID is RULE-NUMBER: 942100-1.
	ID          string
	Rule        int
	Description string
	// File is the test file within the release.
	File   string
	Stages []Stage
}

// Stage is one request of a case with what has to come of it.
type Stage struct {
	// Request is the request as bytes, well formed or not.
	Request []byte
	Expect  Expect
}

// Expect is what has to come of a request.
type Expect struct {
	// Rules matched, perhaps among others; Absent did not.
	Rules, Absent []int
	// Log and NoLog are looked for in the lines of the log; nil is not.
	Log, NoLog *regexp.Regexp
	// Statuses are those that the reply may have; none: any.
	Statuses []int
	// Failure says that there need not be a reply.
	Failure bool
}

// Cases reads the tests of an embedded release; an empty version is the newest.
func Cases(version string) ([]Case, error) {
	release, err := crs.Load(version)
	if err != nil {
		return nil, err
	}
	files := fs.FS(current.FS)
	if release.Version != crs.Versions()[0] {
		files = previous.FS
	}
	var cases []Case
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		read, err := readFile(files, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		cases = append(cases, read...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the regression tests of CRS %s: %w", release.Version, err)
	}
	return cases, nil
}

// The form of the files.
type (
	testFile struct {
		Rule  int        `yaml:"rule_id"`
		Tests []fileTest `yaml:"tests"`
	}
	fileTest struct {
		ID          int         `yaml:"test_id"`
		Description string      `yaml:"desc"`
		Stages      []fileStage `yaml:"stages"`
	}
	fileStage struct {
		Input  fileInput  `yaml:"input"`
		Output fileOutput `yaml:"output"`
	}
	fileInput struct {
		Method       string    `yaml:"method"`
		URI          *string   `yaml:"uri"`
		Version      *string   `yaml:"version"`
		Headers      yaml.Node `yaml:"headers"` // a mapping whose order counts
		Data         string    `yaml:"data"`
		Encoded      string    `yaml:"encoded_request"`
		Autocomplete *bool     `yaml:"autocomplete_headers"`
	}
	fileOutput struct {
		Status      int     `yaml:"status"`
		ExpectError bool    `yaml:"expect_error"`
		Log         fileLog `yaml:"log"`
	}
	fileLog struct {
		ExpectError bool   `yaml:"expect_error"`
		Expect      []int  `yaml:"expect_ids"`
		NoExpect    []int  `yaml:"no_expect_ids"`
		Match       string `yaml:"match_regex"`
		NoMatch     string `yaml:"no_match_regex"`
	}
)

func readFile(files fs.FS, name string) ([]Case, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	var f testFile
	if err := yaml.Unmarshal(text, &f); err != nil {
		return nil, err
	}
	cases := make([]Case, 0, len(f.Tests))
	for _, t := range f.Tests {
		c := Case{ID: fmt.Sprintf("%d-%d", f.Rule, t.ID), Rule: f.Rule, Description: t.Description, File: name}
		for _, s := range t.Stages {
			stage, err := s.read()
			if err != nil {
				return nil, fmt.Errorf("test %d: %w", t.ID, err)
			}
			c.Stages = append(c.Stages, stage)
		}
		if len(c.Stages) == 0 {
			return nil, fmt.Errorf("test %d has no stage", t.ID)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func (s fileStage) read() (Stage, error) {
	stage := Stage{Expect: Expect{
		Rules: s.Output.Log.Expect, Absent: s.Output.Log.NoExpect,
		Failure: s.Output.ExpectError || s.Output.Log.ExpectError,
	}}
	if s.Output.Status != 0 {
		stage.Expect.Statuses = []int{s.Output.Status}
	}
	for _, x := range []struct {
		pattern string
		to      **regexp.Regexp
	}{{s.Output.Log.Match, &stage.Expect.Log}, {s.Output.Log.NoMatch, &stage.Expect.NoLog}} {
		if x.pattern == "" {
			continue
		}
		compiled, err := regexp.Compile(x.pattern)
		if err != nil {
			return Stage{}, err
		}
		*x.to = compiled
	}
	var err error
	stage.Request, err = s.Input.bytes()
	return stage, err
}

type header struct{ name, value string }

// bytes builds the request by the rules of the test format: unless the test says otherwise, headers that a client would
// send are added, and form data that is not encoded yet is.
func (in fileInput) bytes() ([]byte, error) {
	if in.Encoded != "" {
		raw, err := base64.StdEncoding.DecodeString(in.Encoded)
		if err != nil {
			return nil, fmt.Errorf("encoded_request: %w", err)
		}
		return raw, nil
	}
	method, uri, version := "GET", "/", "HTTP/1.1"
	if in.Method != "" {
		method = in.Method
	}
	if in.URI != nil {
		uri = *in.URI
	}
	if in.Version != nil {
		version = *in.Version
	}
	headers, err := readHeaders(in.Headers)
	if err != nil {
		return nil, err
	}
	data := in.Data
	complete := in.Autocomplete == nil || *in.Autocomplete
	if complete && data != "" {
		headers = addMissing(headers, "Content-Type", "application/x-www-form-urlencoded")
		if valueOf(headers, "Content-Type") == "application/x-www-form-urlencoded" {
			data = encodeForm(data)
		}
	}
	if strings.HasPrefix(valueOf(headers, "Content-Type"), "multipart/form-data;") {
		data = strings.ReplaceAll(data, "\n", "\r\n")
	}
	if complete {
		headers = addMissing(headers, "Connection", "close")
		switch method {
		case "POST", "PUT", "PATCH", "DELETE":
			headers = addMissing(headers, "Content-Length", strconv.Itoa(len(data)))
		default:
			if data != "" {
				headers = addMissing(headers, "Content-Length", strconv.Itoa(len(data)))
			}
		}
	}
	var b strings.Builder
	b.WriteString(method + " " + uri + " " + version + "\r\n")
	for _, h := range headers {
		b.WriteString(h.name + ": " + h.value + "\r\n")
	}
	b.WriteString("\r\n" + data)
	return []byte(b.String()), nil
}

func readHeaders(n yaml.Node) ([]header, error) {
	if n.Kind == 0 {
		return nil, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, errors.New("headers is not a mapping")
	}
	var headers []header
	for i := 0; i+1 < len(n.Content); i += 2 {
		headers = append(headers, header{name: n.Content[i].Value, value: n.Content[i+1].Value})
	}
	return headers, nil
}

func valueOf(headers []header, name string) string {
	for _, h := range headers {
		if strings.EqualFold(h.name, name) {
			return h.value
		}
	}
	return ""
}

func addMissing(headers []header, name, value string) []header {
	for _, h := range headers {
		if strings.EqualFold(h.name, name) {
			return headers
		}
	}
	return append(headers, header{name: name, value: value})
}
