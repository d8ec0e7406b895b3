package policy_test

import "strconv"

func itoa(n int) string { return strconv.Itoa(n) }

// or is s, or otherwise if s is empty.
func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
