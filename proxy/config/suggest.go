package config

import "strings"

// closest gives the one of words that got was probably meant to be, or "".
func closest(got string, words []string) string {
	best, bestDistance := "", 1+max(1, len(got)/3)
	if len(got) > 64 {
		return ""
	}
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	for _, w := range words {
		if d := distance(plain(got), plain(w)); d < bestDistance && d < len(w) {
			best, bestDistance = w, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours that turn a into b (the optimal
// string alignment distance).
func distance(a, b string) int {
	var older, old, row []int
	old = make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := range len(a) {
		row = make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(old[j]+cost, old[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
		older, old = old, row
	}
	return old[len(b)]
}

// DidYouMean gives `; did you mean "x"?` for the one of words that is closest to what was written, or nothing.
func DidYouMean(got string, words []string) string {
	if w := closest(got, words); w != "" {
		return `; did you mean "` + w + `"?`
	}
	return ""
}
