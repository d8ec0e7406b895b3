package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gatehouse/proxy/event"
)

// eventsFlag declares -events.
func eventsFlag(flags *flag.FlagSet) *string {
	return flags.String("events", "", "`file` of events, - for stdin (default "+devEvents+" in the working directory)")
}

// eventFiles gives the file and its rotated siblings, the newest first. "-" is stdin.
func eventFiles(name string) ([]string, error) {
	flagged := name != ""
	if !flagged {
		name = devEvents
	}
	if name == "-" {
		return []string{name}, nil
	}
	info, err := os.Stat(name)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a directory; name the file that logs.events writes", name)
	case err != nil && !missing:
		return nil, err
	}
	siblings, globErr := filepath.Glob(escapeGlob(name) + ".*")
	if globErr != nil {
		return nil, globErr
	}
	rotated := map[string]int{}
	for _, s := range siblings {
		if n, err := strconv.Atoi(strings.TrimPrefix(s, name+".")); err == nil && n > 0 {
			rotated[s] = n
		}
	}
	var files []string
	for s := range rotated {
		files = append(files, s)
	}
	slices.SortFunc(files, func(a, b string) int { return rotated[a] - rotated[b] })
	if !missing {
		files = append([]string{name}, files...)
	}
	switch {
	case len(files) > 0:
		return files, nil
	case flagged:
		return nil, fmt.Errorf("there is no file %s", name)
	}
	return nil, fmt.Errorf("there is no %s in the working directory, where gatehouse dev writes it; -events FILE names the file that logs.events writes", name)
}

// escapeGlob takes the characters of a file name literally.
func escapeGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// readEvents gives the events of a file to take until it answers false. Every byte that is read also goes to tee, if
// there is one. Lines that are no records are told of on stderr once the file has come to its end.
func (c *cli) readEvents(name string, tee io.Writer, take func(*event.Event) bool) error {
	r := c.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		r = f
	}
	if tee != nil {
		r = io.TeeReader(r, tee)
	}
	var stats event.ReadStats
	for e, err := range event.ReadEvents(r, &stats) {
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !take(e) {
			return nil
		}
	}
	if n := stats.Foreign + stats.Malformed; n > 0 {
		what := "are no records and were skipped"
		if n == 1 {
			what = "is no record and was skipped"
		}
		fmt.Fprintf(c.stderr, "note: %s of %s %s\n", count(n, "line"), name, what)
	}
	return nil
}
