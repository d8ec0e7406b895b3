// Package pattern nominates: of many patterns it says which may match a value, cheaply, so that all others need not be
// asked. It decides nothing; the operator of every nominated pattern does.
//
// Invariant: a pattern that is not nominated does not match the value, whatever the bytes of the value are. DESIGN.md
// says how, and why that holds.
package pattern
