package config

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"gatehouse/rules"
	"gatehouse/rules/seclang"
)

// sourceName names a policy's SecLang text in places: the file it stands in, or the key.
func sourceName(p *Policy) string {
	if p.SecLangFile != "" {
		return p.SecLangFile
	}
	return "policies." + p.Name + ".seclang"
}

// checkSecLang checks a policy's SecLang text against the allow-list for custom rules.
func checkSecLang(p *Policy) rules.TextErrors {
	if p.SecLang == "" {
		return nil
	}
	return seclang.Check(rules.Source{Name: sourceName(p), Text: p.SecLang})
}

// block is where the lines of a text in the configuration stand.
type block struct {
	file        string
	first       int   // the line of the text's first line
	columns     []int // by line of the text, for a literal block; nil if lines cannot be told apart
	line, start int   // where the value begins, if lines cannot be told apart
}

// block maps the lines of a literal text (|) to the lines of the file.
func (d *decoder) block(n *yaml.Node) block {
	b := block{file: d.file, line: n.Line, start: n.Column}
	if n.Style&yaml.LiteralStyle == 0 {
		return b
	}
	b.first = n.Line + 1
	for i := range 1 + strings.Count(n.Value, "\n") {
		b.columns = append(b.columns, d.indent(b.first+i))
	}
	return b
}

// place gives the place of a line of the text, from 1.
func (b block) place(line int) Place {
	if line < 1 || line > len(b.columns) {
		return Place{b.file, b.line, b.start}
	}
	return Place{b.file, b.first + line - 1, b.columns[line-1]}
}
