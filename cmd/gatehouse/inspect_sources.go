package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/curl"
)

// requestSource is where a raw request comes from.
type requestSource struct {
	name string
	read func() ([]byte, error)
}

// requestSources lists the requests of a -curl flag or of arguments.
func (c *cli) requestSources(curlLine string, args []string) ([]requestSource, error) {
	if curlLine != "" {
		if len(args) > 0 {
			return nil, usagef("-curl stands alone: %q would be a second request. Put the whole curl command line in quotes", args[0])
		}
		r, err := curl.Parse(curlLine, curl.Options{ReadFile: os.ReadFile})
		if err != nil {
			return nil, usagef("-curl: %v", err)
		}
		return []requestSource{{"curl", func() ([]byte, error) { return r.Raw, nil }}}, nil
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	var sources []requestSource
	for _, arg := range args {
		if arg == "-" {
			sources = append(sources, requestSource{"-", func() ([]byte, error) { return io.ReadAll(c.stdin) }})
			continue
		}
		files, err := filesBelow(arg, ".http")
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			sources = append(sources, requestSource{f, func() ([]byte, error) { return os.ReadFile(f) }})
		}
	}
	return sources, nil
}

// filesBelow lists the files with one of the extensions below a directory, or the file that path names.
func filesBelow(path string, extensions ...string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for _, e := range extensions {
			if filepath.Ext(name) == e {
				files = append(files, name)
			}
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no *%s file in %s", strings.Join(extensions, " and no *"), path)
	}
	return files, err
}

// prepare makes a request that was written by hand one that can be read: a missing Content-Length is added, and the
// newline with which editors end a file is no part of the body.
func prepare(raw []byte, host string) []byte {
	raw = bytes.TrimLeft(raw, "\r\n") // RFC 9112, section 2.2
	head, body, gap := splitHead(raw)
	lines := strings.Split(head, "\n")
	length, chunked, hostLine := -1, false, -1
	for i, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "content-length":
			if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
				length = n
			}
		case "transfer-encoding":
			chunked = true
		case "host":
			hostLine = i + 1
		}
	}
	ended := bytes.TrimSuffix(bytes.TrimSuffix(body, []byte("\n")), []byte("\r"))
	if len(ended) < len(body) && !chunked && (length < 0 || length == len(ended)) {
		body = ended
	}
	end := ""
	if strings.Contains(head, "\r\n") || gap == "\r\n\r\n" {
		end = "\r"
	}
	if host != "" {
		if hostLine >= 0 {
			lines = append(lines[:hostLine], lines[hostLine+1:]...)
		}
		first := strings.TrimSuffix(lines[0], "\r")
		head = strings.Join(append([]string{first + end, "Host: " + host + end}, lines[1:]...), "\n")
		head = strings.TrimSuffix(head, "\r")
	}
	if len(body) > 0 && length < 0 && !chunked {
		head += end + "\nContent-Length: " + strconv.Itoa(len(body))
	}
	return append([]byte(head+gap), body...)
}

// headerOf gives the first value of a header of a raw request.
func headerOf(raw []byte, name string) string {
	head, _, _ := splitHead(raw)
	for line := range strings.SplitSeq(head, "\n") {
		if n, value, found := strings.Cut(line, ":"); found && strings.EqualFold(n, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// splitHead cuts raw at its first empty line, which is gap with the line end before it.
func splitHead(raw []byte) (head string, body []byte, gap string) {
	end := -1
	for _, g := range []string{"\r\n\r\n", "\n\n"} {
		if i := bytes.Index(raw, []byte(g)); i >= 0 && (end < 0 || i < end) {
			end, gap = i, g
		}
	}
	if end < 0 {
		return strings.TrimRight(string(raw), "\r\n"), nil, "\r\n\r\n"
	}
	return string(raw[:end]), raw[end+len(gap):], gap
}

// progress counts on a terminal while a run takes long.
type progress struct {
	w           io.Writer // nil if there is none to show
	done, total int
	shown       bool
	last        time.Time
}

func newProgress(w io.Writer, total int) *progress {
	p := &progress{total: total, last: time.Now()}
	if f, ok := w.(*os.File); ok && total > 100 && isTerminal(f) {
		p.w = w
	}
	return p
}

// step counts one more.
func (p *progress) step() {
	p.done++
	if p.w != nil && time.Since(p.last) > 200*time.Millisecond {
		p.last, p.shown = time.Now(), true
		fmt.Fprintf(p.w, "\r%d of %d requests ", p.done, p.total)
	}
}

// clear takes the count off the screen, for other output.
func (p *progress) clear() {
	if p.shown {
		p.shown = false
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
