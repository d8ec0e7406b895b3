//go:build race

package proxy_test

// Under the race detector one regression test in raceSample is sent, there are fewer reloads, and clients are patient.
const (
	raceSample = 40
	reloads    = 40
	patience   = 20 // seconds
)
