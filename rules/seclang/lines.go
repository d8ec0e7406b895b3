package seclang

import (
	"fmt"
	"strings"

	"gatehouse/rules"
)

// maxLine is the longest physical line in bytes that engines read.
const maxLine = 64*1024 - 1

// logical is one directive's text with its line continuations joined.
type logical struct {
	text  string
	marks []mark
	end   int // its last line
}

// mark says that the text from offset on stands on that line.
type mark struct{ offset, line int }

func (l logical) line(offset int) int {
	line := l.marks[0].line
	for _, m := range l.marks {
		if m.offset > offset {
			break
		}
		line = m.line
	}
	return line
}

// logicalLines joins continued lines and backtick blocks and drops comments, exactly as the reference engine does:
// lines are trimmed first, and blank lines and comments are dropped even within a continuation.
func logicalLines(src rules.Source) ([]logical, rules.TextErrors) {
	var (
		out   []logical
		errs  rules.TextErrors
		text  strings.Builder
		marks []mark
		block bool
		start int
	)
	fail := func(line int, format string, args ...any) {
		errs = append(errs, rules.TextError{Source: src.Name, Line: line, Message: fmt.Sprintf(format, args...)})
	}
	for i, raw := range strings.Split(src.Text, "\n") {
		n := i + 1
		if len(raw) > maxLine {
			fail(n, "the line has %d bytes; a line may have %d: continue it with \\ on the next line", len(raw), maxLine)
			continue
		}
		line := strings.TrimSpace(raw)
		if line == "" || line[0] == '#' {
			continue
		}
		if text.Len() == 0 {
			start = n
		}
		switch {
		case !block && line[len(line)-1] == '`':
			block, start = true, n
		case block && line[0] == '`':
			block = false
		}
		marks = append(marks, mark{offset: text.Len(), line: n})
		switch {
		case block:
			text.WriteString(line + "\n")
			continue
		case line[len(line)-1] == '\\':
			text.WriteString(line[:len(line)-1])
			continue
		}
		text.WriteString(line)
		out = append(out, logical{text: text.String(), marks: marks, end: n})
		text.Reset()
		marks = nil
	}
	switch {
	case block:
		fail(start, "the ` block that begins here is not closed; end it with a line that is ` alone")
	case text.Len() > 0:
		fail(start, "the directive that begins here ends with a line continuation; remove the last \\")
	}
	return out, errs
}
