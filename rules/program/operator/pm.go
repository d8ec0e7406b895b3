package operator

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// newPm makes @pm and its kin.
func newPm(patterns []string) (Operator, error) {
	full := slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return p == "" })
	t := newTrie(full)
	if len(full) == len(patterns) {
		return pm{t}, nil
	}
	return newPmEmpty(t)
}

type pm struct{ patterns *trie }

// Match implements Operator. The captures are, for each place of the value at which a pattern starts, the longest one
// there: the first ten of them.
func (p pm) Match(value string, captures *Captures) bool {
	end := p.patterns.first(value)
	if end < 0 {
		return false
	}
	if captures == nil {
		return true
	}
	found := 0
	for start := max(0, end-p.patterns.longest); start < len(value) && found < 10; start++ {
		if n := p.patterns.at(value[start:]); n > 0 {
			captures.set(found, value[start:start+n])
			found++
		}
	}
	return true
}

// newPmEmpty makes the operator for patterns of which one is empty, as two spaces in a row in the argument of @pm make it.
// Such a set matches what has a byte that one of the other patterns starts with, if those bytes are at most three; with
// more, or with no other pattern, it matches everything.
func newPmEmpty(t *trie) (Operator, error) {
	starts := t.starts()
	p := pmEmpty{patterns: t}
	if starts == "" || len(starts) > 3 {
		return p, nil
	}
	if starts[len(starts)-1] >= 0x80 {
		return nil, fmt.Errorf("an empty pattern beside one that starts with a byte beyond ASCII; write one space between patterns: %w", ErrUnsupported)
	}
	p.starts = starts
	return p, nil
}

type pmEmpty struct {
	patterns *trie
	starts   string // if not empty, the search goes on only where one of these is ahead
}

// Match implements Operator.
func (p pmEmpty) Match(value string, captures *Captures) bool {
	found := 0
	for at := 0; at <= len(value) && found < 10; found++ {
		start, n, ok := p.find(value, at)
		if !ok {
			break
		}
		if captures == nil {
			return true
		}
		captures.set(found, value[start:start+n])
		at = start + 1
	}
	return found > 0
}

// find gives the next match from index at on: a pattern that starts where the first byte of one stands, else nothing, at
// the index itself.
func (p pmEmpty) find(value string, at int) (start, n int, ok bool) {
	from := at
	if p.starts != "" && at < len(value) {
		skip := strings.IndexAny(value[at:], p.starts)
		if skip < 0 {
			return 0, 0, false
		}
		from = at + skip
	}
	// A start that leads to nothing with its second byte is given up for that byte, if it is a start too.
	for from < len(value) {
		s := p.patterns.start[value[from]]
		if s == 0 {
			break
		}
		if n := p.patterns.at(value[from:]); n > 0 {
			return from, n, true
		}
		if from+1 == len(value) || p.patterns.child(s, fold(value[from+1])) != 0 {
			break
		}
		from++
	}
	return at, 0, true
}

func splitWords(argument string) []string { return strings.Split(strings.ToLower(argument), " ") }

func lowerAll(lines []string) []string {
	for i, line := range lines {
		lines[i] = strings.ToLower(line)
	}
	return lines
}

// lines reads a file of one entry a line, without space around it, empty lines and lines that start with "#".
func (d Data) lines(name string) ([]string, error) {
	if d.File == nil {
		return nil, fmt.Errorf("file %q does not exist", name)
	}
	content, err := d.File(name)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	var lines []string
	scanner := bufio.NewScanner(bytes.NewReader(content))
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read %q after %d entries: %w", name, len(lines), err)
	}
	return lines, nil
}

func (d Data) dataset(name string) ([]string, bool) {
	if d.Dataset == nil {
		return nil, false
	}
	return d.Dataset(name)
}
