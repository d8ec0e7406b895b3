//go:build race

package parity

// slower divides what tests do by how much slower they are: with the race detector, much.
const slower = 20
