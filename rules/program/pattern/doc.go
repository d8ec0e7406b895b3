// Package pattern says of many patterns which may match a value, cheaply, so that all others need not be asked, and
// decides regular expressions.
//
// Invariants: a pattern that is not nominated does not match the value, whatever the bytes of the value are; a pattern that
// Decides is nominated if and only if it matches. DESIGN.md says how, and why that holds.
package pattern
