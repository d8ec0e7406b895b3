package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is a position in a file. Line and Column begin with 1; 0 means that they are not known.
type Place struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String gives the place as editors and terminals understand it: shop.yaml:14:11.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing that keeps a configuration from being loaded, or a warning about it.
type Problem struct {
	Place
	// Path is the key in the configuration, such as applications[0].mode; empty for a problem of the whole file.
	Path string `json:"path,omitempty"`
	// Message quotes the value and says what would be right.
	Message string `json:"message"`
}

// String gives the problem as one line: shop.yaml:14:11: applications[0].mode: "blok" is not a mode.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.Place.String())
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems are all problems of a configuration, sorted by place. Load returns it as its error.
type Problems []Problem

// Error gives one line a problem and a last line with their number.
func (p Problems) Error() string {
	var b strings.Builder
	for _, x := range p {
		b.WriteString(x.String())
		b.WriteByte('\n')
	}
	if len(p) == 1 {
		b.WriteString("1 problem; nothing was loaded")
	} else {
		fmt.Fprintf(&b, "%d problems; nothing was loaded", len(p))
	}
	return b.String()
}

// sortProblems sorts by place and drops repetitions.
func sortProblems(p []Problem) []Problem {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(p)
}
