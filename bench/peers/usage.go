package peers

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is that of a process and all below it.
type Usage struct {
	CPU       time.Duration // user and kernel mode, with what children used that have ended
	RSS       int64         // bytes resident, the sum over the processes: what they share counts for each
	Processes int
}

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 wherever Linux runs (proc(5), times(2)).
const tick = 10 * time.Millisecond

// stat is what matters of /proc/PID/stat.
type stat struct {
	pid, parent int
	cpu         time.Duration
	rss         int64
}

// usageOf adds up the process and all below it, as the proc file system in root shows them.
func usageOf(root string, pid int) (Usage, error) {
	files, err := filepath.Glob(filepath.Join(root, "[0-9]*", "stat"))
	if err != nil {
		return Usage{}, err
	}
	children := map[int][]stat{}
	var top *stat
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || err != nil && strings.Contains(err.Error(), "no such process") {
			continue // it has ended meanwhile
		}
		if err != nil {
			return Usage{}, err
		}
		s, err := parseStat(text)
		if err != nil {
			return Usage{}, fmt.Errorf("%s: %w", file, err)
		}
		children[s.parent] = append(children[s.parent], s)
		if s.pid == pid {
			top = &s
		}
	}
	if top == nil {
		return Usage{}, fmt.Errorf("process %d has ended", pid)
	}
	var u Usage
	for left := []stat{*top}; len(left) > 0; {
		s := left[0]
		left = append(left[1:], children[s.pid]...)
		u.CPU += s.cpu
		u.RSS += s.rss
		u.Processes++
	}
	return u, nil
}

// parseStat reads /proc/PID/stat, in which fields are numbered from 1 (proc(5)); the second is a name in parentheses that
// may hold anything.
func parseStat(text []byte) (stat, error) {
	const parent, utime, cstime, rss = 4, 14, 17, 24
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return stat{}, errors.New("no name in parentheses")
	}
	fields := strings.Fields(string(text[end+1:])) // from field 3 on
	if len(fields) < rss-2 {
		return stat{}, fmt.Errorf("%d fields, want %d at least", len(fields)+2, rss)
	}
	var bad error
	number := func(field int) int64 {
		n, err := strconv.ParseInt(fields[field-3], 10, 64)
		if err != nil {
			bad = fmt.Errorf("field %d: %w", field, err)
		}
		return n
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:open])))
	if err != nil {
		return stat{}, fmt.Errorf("field 1: %w", err)
	}
	s := stat{pid: pid, parent: int(number(parent)), rss: number(rss) * int64(os.Getpagesize())}
	for field := utime; field <= cstime; field++ { // utime, stime, cutime, cstime
		s.cpu += time.Duration(number(field)) * tick
	}
	return s, bad
}
