//go:build race

package operator

// slower says that the race detector makes tests of that many values slow: one of so many is tried.
const slower = 16
