package operator

import (
	"errors"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// FuzzOperator runs values through the operators of the table. The index picks one.
func FuzzOperator(f *testing.F) {
	var names []string
	for name := range arguments {
		names = append(names, name)
	}
	sort.Strings(names)
	type entry struct {
		pair
		name, argument string
	}
	var entries []entry
	for _, name := range names {
		for _, argument := range arguments[name] {
			if _, err := Compile(name, argument, ourData()); err == nil {
				entries = append(entries, entry{newPair(f, name, argument), name, argument})
			}
		}
	}
	for i := range entries {
		for j := i % 47; j < len(values()); j += 47 {
			if value := values()[j]; len(value) < 300 {
				f.Add(uint16(i), value)
			}
		}
	}
	f.Fuzz(func(t *testing.T, index uint16, value string) {
		e := entries[int(index)%len(entries)]
		e.check(t, e.name, e.argument, value)
	})
}

// fuzzed are the operators whose argument FuzzArgument makes up.
var fuzzed = []string{
	"pm", "rx", "streq", "within", "contains", "beginsWith", "endsWith", "eq", "ge", "gt", "le", "lt", "ipMatch", "validateByteRange", "restpath",
}

// FuzzArgument makes up the argument too.
func FuzzArgument(f *testing.F) {
	for i, name := range fuzzed {
		for j, argument := range arguments[name] {
			f.Add(uint8(i), argument, values()[(7*j)%len(values())])
		}
	}
	f.Fuzz(func(t *testing.T, index uint8, argument, value string) {
		name := fuzzed[int(index)%len(fuzzed)]
		if !loadable(argument) || len(argument) > 200 || len(value) > 2000 {
			return
		}
		if _, err := Compile(name, argument, Data{}); errors.Is(err, ErrUnsupported) {
			return
		}
		newPair(t, name, argument).check(t, name, argument, value)
	})
}

// FuzzPm takes one and the same few bytes for patterns and value, so that they meet often, and the patterns from a file
// too, for which the reference has another automaton.
func FuzzPm(f *testing.F) {
	for _, argument := range arguments["pm"] {
		f.Add([]byte(argument), []byte("abcabdabe"))
	}
	f.Fuzz(func(t *testing.T, argument, value []byte) {
		few := func(b []byte) string {
			var s strings.Builder
			for _, c := range b[:min(len(b), 60)] {
				s.WriteByte("ab1A2 cB"[c%8])
			}
			return s.String()
		}
		text, value2 := strings.TrimSpace(few(argument)), few(value)
		newPair(t, "pm", text).check(t, "pm", text, value2)

		files := map[string]string{"words.data": strings.ReplaceAll(text, " ", "\n")}
		newPairWith(t, "pmFromFile", "words.data", files).check(t, "pmFromFile", text, value2)
	})
}

// FuzzRx makes expressions of a few pieces, most of them about bytes.
func FuzzRx(f *testing.F) {
	pieces := []string{`\x`, "{", "}", "ff", "41", "c3", "a9", `\`, "(", ")", "a", "|", "[", "]", "\u00e9", "*", "^", "$", ".", `\xff`, `\x{e9}`, "?", "(?i)", "k"}
	f.Add([]byte{19}, "\xff")
	f.Add([]byte{0, 5, 0, 6}, "\u00e9")
	f.Add([]byte{0, 1, 3, 2, 15}, "\xff\xff")
	f.Add([]byte{8, 20, 9, 21, 10}, "\xe9a")
	f.Add([]byte{7, 7, 0, 3}, "\\\xff")
	f.Add([]byte{22, 23}, "\u212a")
	f.Fuzz(func(t *testing.T, choice []byte, value string) {
		var s strings.Builder
		for _, c := range choice[:min(len(choice), 20)] {
			s.WriteString(pieces[int(c)%len(pieces)])
		}
		if argument := s.String(); loadable(argument) && len(value) < 2000 {
			newPair(t, "rx", argument).check(t, "rx", argument, value)
		}
	})
}

// FuzzNumber compares with strconv.Atoi, whose result the numeric operators take whatever its error.
func FuzzNumber(f *testing.F) {
	for _, value := range values() {
		if len(value) < 40 {
			f.Add(value)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, _ := strconv.Atoi(text)
		if got := Number(text); got != int64(want) {
			t.Errorf("Number(%q) = %d, want %d", text, got, want)
		}
	})
}
