//go:build !race

package parity

// slower divides what tests do by how much slower they are.
const slower = 1
