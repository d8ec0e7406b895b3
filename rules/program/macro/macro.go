// Package macro holds texts with %{VARIABLE.key} in them, as msg, logdata, setvar and the arguments of operators have
// them.
//
// Invariant: a text is taken if the reference takes it, and has the reference's tokens.
package macro

import (
	"errors"
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

// Macro is a text with its tokens. The zero Macro is no text at all; there is no empty one.
type Macro struct {
	Text   string
	Tokens []Token
}

// Parse reads a text. It is an error if it is empty, or if a macro in it is malformed or names no variable.
//
// As in the reference, "%{" within a macro ends the one before, whose name so far is plain text, and "%{" at the very
// end is nothing.
func Parse(text string) (Macro, error) {
	if text == "" {
		return Macro{}, errors.New("the text is empty")
	}
	m := Macro{Text: text}
	plain, rest, open := strings.Cut(text, "%{")
	m.addText(plain)
	for open && rest != "" {
		end := strings.IndexFunc(rest, func(c rune) bool { return !strings.ContainsRune(valid, c) })
		switch {
		case end >= 0 && strings.HasPrefix(rest[end:], "%{"):
			m.addText(rest[:end])
			rest = rest[end+2:]
			continue
		case end < 0 || rest[end] != '}':
			return Macro{}, fmt.Errorf("%q has a malformed macro; write %%{VARIABLE} or %%{VARIABLE.key}", text)
		}
		name := rest[:end]
		variableName, key, _ := strings.Cut(name, ".")
		v, ok := variable.Parse(variableName)
		if !ok || strings.HasSuffix(name, ".") {
			return Macro{}, fmt.Errorf("%q has a macro without a variable: %%{%s}", text, name)
		}
		m.Tokens = append(m.Tokens, Token{Text: name, Variable: v, Key: strings.ToLower(key)})
		plain, rest, open = strings.Cut(rest[end+1:], "%{")
		m.addText(plain)
	}
	if len(m.Tokens) == 0 {
		m.Tokens = append(m.Tokens, Token{})
	}
	return m, nil
}

func (m *Macro) addText(text string) {
	if text != "" {
		m.Tokens = append(m.Tokens, Token{Text: text})
	}
}

const valid = "[]._-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Constant reports whether Text is what the macro always expands to.
func (m Macro) Constant() bool { return !strings.Contains(m.Text, "%{") }

// Set reports whether there is a text.
func (m Macro) Set() bool { return m.Tokens != nil }
