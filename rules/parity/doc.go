// Package parity compares two engines: the reference, whose answers are right by definition, and a candidate. It is for
// tests and benchmarks; nothing of the product imports it.
//
// Invariant: a difference is never explained away without the reference's help. When the engines disagree, the reference is
// asked again, many times: only if it gives several answers itself, the disagreement is not one. Every such case is
// counted.
//
// What is compared, and what may differ, is in package compare.
//
// The pieces: Exchange is a request with its reply, Outcome what an engine made of it, Pair two loaded rule sets, Stats the
// counts of many comparisons; Shrink makes a difference small and File writes it as a test file; policies and exchanges are
// generated from Choices; Corpus reads requests that exist.
package parity
