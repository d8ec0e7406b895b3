package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/curl"
	"gatehouse/proxy/config"
	"gatehouse/rules/crs"
)

// runPages runs the blocks of every page with path in front of PATH.
func runPages(t *testing.T, path string) {
	pages, err := filepath.Glob(filepath.Join(docsDir, "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages in %s: %v", docsDir, err)
	}
	ran := 0
	for _, page := range pages {
		blocks := fencedBlocks(readPage(t, page))
		if !hasShell(blocks) {
			continue
		}
		ran++
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			run := newPageRun(t, path)
			for _, b := range blocks {
				run.block(b)
			}
		})
	}
	if ran < 3 {
		t.Errorf("only %d pages have commands", ran)
	}
}

// fenced is one block of a page.
type fenced struct {
	line     int
	language string
	words    map[string]string // of the info string: background, exit=1
	text     string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)([^\n]*)\n(.*?)^```$")

func fencedBlocks(page string) []fenced {
	var blocks []fenced
	for _, at := range fence.FindAllStringSubmatchIndex(page, -1) {
		b := fenced{line: 1 + strings.Count(page[:at[0]], "\n"), language: page[at[2]:at[3]], words: map[string]string{}, text: page[at[6]:at[7]]}
		for _, word := range strings.Fields(page[at[4]:at[5]]) {
			name, value, _ := strings.Cut(word, "=")
			b.words[name] = value
		}
		blocks = append(blocks, b)
	}
	return blocks
}

func hasShell(blocks []fenced) bool {
	for _, b := range blocks {
		if b.language == "sh" {
			return true
		}
	}
	return false
}

// pageRun is the run of one page.
type pageRun struct {
	t         *testing.T
	dir       string
	env       []string
	addresses map[string]string // as the page writes them, and as they are here
	incident  string            // the last one that was seen
	last      fenced            // the last block that ran, for its output
	output    string
}

func newPageRun(t *testing.T, path string) *pageRun {
	r := &pageRun{t: t, dir: t.TempDir(), addresses: map[string]string{}}
	r.env = append(os.Environ(), "PATH="+path+string(os.PathListSeparator)+os.Getenv("PATH"))
	for name, flag := range map[string]string{
		"127.0.0.1:8080": "LISTEN", "127.0.0.1:9081": "ADMIN", "127.0.0.1:9082": "SHOP",
		"127.0.0.1:9080": "", "127.0.0.1:9443": "", "127.0.0.1:9083": "",
	} {
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		r.addresses[name] = address
		if flag != "" {
			r.env = append(r.env, "GATEHOUSE_"+flag+"="+address)
		}
	}
	r.env = append(r.env, "GATEHOUSE_API=http://"+r.addresses["127.0.0.1:9080"])
	return r
}

// local puts the addresses of this run in place of the page's.
func (r *pageRun) local(text string) string {
	for name, address := range r.addresses {
		text = strings.ReplaceAll(text, name, address)
	}
	return text
}

// block does what the page says with one block.
func (r *pageRun) block(b fenced) {
	r.t.Helper()
	_, background := b.words["background"]
	_, output := b.words["output"]
	switch file, named := b.words["file"]; {
	case named:
		path := filepath.Join(r.dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			r.t.Fatal(err)
		}
		// In one step, as a gateway may be reading it.
		if err := os.WriteFile(path+".new", []byte(r.local(b.text)), 0o600); err != nil {
			r.t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			r.t.Fatal(err)
		}
	case background:
		r.background(b)
	case b.language == "sh":
		r.last = b
		if problem := r.shell(b); problem != "" && !r.again(func() string { return r.shell(b) }) {
			r.t.Fatalf("line %d: %s", b.line, problem)
		}
	case output:
		if problem := r.compare(b.text); problem != "" && !r.again(func() string {
			if problem := r.shell(r.last); problem != "" {
				return problem
			}
			return r.compare(b.text)
		}) {
			r.t.Fatalf("line %d: %s", b.line, problem)
		}
	}
}

// again repeats a block for a while: a running gateway takes a moment to write an event or to take up a file.
func (r *pageRun) again(do func() string) bool {
	for deadline := time.Now().Add(patience / 2); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if do() == "" {
			return true
		}
	}
	return false
}

var incidentID = regexp.MustCompile(`GH-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}`)

// shell runs a block and says what went wrong.
func (r *pageRun) shell(b fenced) string {
	text := r.local(b.text)
	if strings.Contains(text, "GH-....-....-....") {
		if r.incident == "" {
			return "no incident ID was seen yet"
		}
		text = strings.ReplaceAll(text, "GH-....-....-....", r.incident)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-euc", text)
	cmd.Dir, cmd.Env = r.dir, r.env
	out, err := cmd.CombinedOutput()
	r.output = string(out)
	code := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		return err.Error()
	}
	if want := b.words["exit"]; strconv.Itoa(code) != want && (want != "" || code != 0) {
		return fmt.Sprintf("exit code %d of\n%s\n%s", code, text, out)
	}
	if ids := incidentID.FindAllString(r.output, -1); len(ids) > 0 {
		r.incident = ids[len(ids)-1]
	}
	return ""
}

// background starts a gateway, or what else says at an address (background=ADDRESS) that it is ready, and waits until it is.
func (r *pageRun) background(b fenced) {
	r.t.Helper()
	cmd := exec.Command("sh", "-euc", "exec "+r.local(b.text))
	cmd.Dir, cmd.Env = r.dir, r.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		if err := <-ended; err != nil {
			r.t.Errorf("line %d: %v\n%s", b.line, err, out.String())
		}
	})
	ready := fenced{words: map[string]string{}, text: "gatehouse healthcheck -url http://" + cmp.Or(b.words["background"], "127.0.0.1:9081") + "/readyz"}
	if !r.again(func() string { return r.shell(ready) }) {
		r.t.Fatalf("line %d: not ready: %s", b.line, r.output)
	}
}

// changing is what differs from run to run.
var changing = regexp.MustCompile(`GH-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}|20[0-9]{2}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+Z?)?|[0-9]{2}:[0-9]{2}:[0-9]{2}`)

// compare wants every line in the output of the last block.
func (r *pageRun) compare(want string) string {
	got := r.output
	for name, address := range r.addresses {
		got = strings.ReplaceAll(got, address, name)
	}
	lines := strings.Split(changing.ReplaceAllString(got, "~"), "\n")
	next := 0
	for _, line := range strings.Split(strings.TrimSpace(want), "\n") {
		if strings.TrimSpace(line) == "" || strings.TrimSpace(line) == "..." {
			continue
		}
		plain := changing.ReplaceAllString(line, "~")
		pattern := regexp.MustCompile(`^\s*` + strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(plain)), `\.\.\.`, ".*") + `\s*$`)
		found := false
		for ; next < len(lines) && !found; next++ {
			found = pattern.MatchString(lines[next])
		}
		if !found {
			return fmt.Sprintf("%q is not, or not there, in the output:\n%s", line, got)
		}
	}
	return ""
}

// ownCurl gives a directory with a curl that needs nothing but this test binary.
func ownCurl(t *testing.T) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "curl"), []byte("#!/bin/sh\nexec docscurl \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runCurl is the command docscurl: it sends the request of a curl command line and prints the body of the reply. Of
// curl's options of output it knows -i, -o and -w with %{http_code}.
func runCurl(args []string) int {
	var line strings.Builder
	line.WriteString("curl")
	address, format, head, quiet := "", "", false, false
	for i, arg := range args {
		switch {
		case arg == "-i":
			head = true
		case arg == "-o":
			quiet = true
		case i > 0 && args[i-1] == "-w":
			format = arg
		case strings.HasPrefix(arg, "http://"):
			address, _, _ = strings.Cut(strings.TrimPrefix(arg, "http://"), "/")
		}
		line.WriteString(" '" + strings.ReplaceAll(arg, "'", `'\''`) + "'")
	}
	err := func() error {
		request, err := curl.Parse(line.String(), curl.Options{ReadFile: os.ReadFile})
		if err != nil {
			return err
		}
		conn, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		raw := bytes.Replace(request.Raw, []byte("\r\n"), []byte("\r\nConnection: close\r\n"), 1)
		if _, err := conn.Write(raw); err != nil {
			return err
		}
		reply, err := io.ReadAll(conn)
		if err != nil {
			return err
		}
		words := bytes.SplitN(reply, []byte(" "), 3)
		if len(words) < 3 {
			return fmt.Errorf("%q is no reply", reply)
		}
		if !head {
			_, reply, _ = bytes.Cut(reply, []byte("\r\n\r\n"))
		}
		if quiet {
			reply = nil
		}
		_, err = fmt.Printf("%s%s", reply, strings.NewReplacer("%{http_code}", string(words[1]), `\n`, "\n").Replace(format))
		return err
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "curl:", err)
		return 1
	}
	return 0
}

// TestDocsConfigurations loads every piece of YAML in the pages: whole configurations as they are, others beside one
// application.
func TestDocsConfigurations(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(docsDir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, page := range pages {
		for _, b := range fencedBlocks(readPage(t, page)) {
			if _, part := b.words["part"]; b.language != "yaml" || part {
				continue
			}
			loaded++
			dir := t.TempDir()
			files := map[string]string{"gatehouse.yaml": b.text, "page.html": "<p>{{.Incident}}</p>", "rules.conf": "SecMarker END\n"}
			if !strings.Contains(b.text, "applications:") {
				files["other.yaml"] = "applications:\n  - { hosts: [other.example.com], upstream: \"http://other.internal\" }\n"
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := (config.Options{CRSVersions: crs.Versions(), Now: func() time.Time { return time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC) }}).Load(dir); err != nil {
				t.Errorf("%s:%d: %v", page, b.line, err)
			}
		}
	}
	if loaded < 5 {
		t.Errorf("only %d pieces of YAML were found", loaded)
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestDocsLinks finds links between pages that lead nowhere, and pages that the index does not name.
func TestDocsLinks(t *testing.T) {
	anchors := map[string]map[string]bool{}
	var pages []string
	err := filepath.WalkDir(docsDir, func(path string, d os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			pages = append(pages, path)
			anchors[path] = headings(readPage(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	index := readPage(t, filepath.Join(docsDir, "README.md"))
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(readPage(t, page), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %s does not exist", page, m[1])
			} else if anchor != "" && !anchors[file][anchor] {
				t.Errorf("%s: %s has no heading #%s", page, file, anchor)
			}
		}
		name, err := filepath.Rel(docsDir, page)
		if err != nil {
			t.Fatal(err)
		}
		if name != "README.md" && !strings.Contains(index, "("+filepath.ToSlash(name)+")") && filepath.Base(filepath.Dir(page)) != "decisions" {
			t.Errorf("docs/README.md does not name %s", name)
		}
	}
}

var (
	heading   = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	noAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// headings gives the anchors of a page's headings, as they are commonly made.
func headings(page string) map[string]bool {
	anchors := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		anchors[strings.ReplaceAll(noAnchors.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return anchors
}
