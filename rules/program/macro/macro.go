// Package macro holds texts with %{VARIABLE.key} in them, as msg, logdata, setvar and the arguments of operators have
// them.
package macro

import (
	"fmt"
	"strings"

	"gatehouse/rules/program/variable"
)

// Token is a piece of text, or a variable to put in its place.
type Token struct {
	// Text is the piece, or the name between the braces, which stands for a key that does not exist.
	Text     string
	Variable variable.ID // Unknown for text
	Key      string      // lower case
}

// Macro is a text with its tokens. The zero Macro is no text at all, which is not the same as an empty one.
type Macro struct {
	Text   string
	Tokens []Token
}

// Parse reads a text. It is an error if a macro in it is malformed or names no variable.
func Parse(text string) (Macro, error) {
	m := Macro{Text: text}
	rest := text
	for rest != "" {
		before, after, found := strings.Cut(rest, "%{")
		if before != "" {
			m.Tokens = append(m.Tokens, Token{Text: before})
		}
		if !found {
			return m, nil
		}
		name, following, closed := strings.Cut(after, "}")
		if !closed || strings.Trim(name, valid) != "" {
			return Macro{}, fmt.Errorf("%q has a malformed macro; write %%{VARIABLE} or %%{VARIABLE.key}", text)
		}
		variableName, key, _ := strings.Cut(name, ".")
		v, ok := variable.Parse(variableName)
		if !ok || strings.HasSuffix(name, ".") {
			return Macro{}, fmt.Errorf("%q has a macro without a variable: %%{%s}", text, name)
		}
		m.Tokens = append(m.Tokens, Token{Text: name, Variable: v, Key: strings.ToLower(key)})
		rest = following
	}
	return m, nil
}

const valid = "[]._-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Constant reports whether the text has no macros.
func (m Macro) Constant() bool {
	for _, t := range m.Tokens {
		if t.Variable != variable.Unknown {
			return false
		}
	}
	return true
}

// Set reports whether there is a text.
func (m Macro) Set() bool { return m.Tokens != nil }
