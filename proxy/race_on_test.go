//go:build race

package proxy_test

// Under the race detector one regression test in raceSample is sent, and there are fewer reloads.
const (
	raceSample = 40
	reloads    = 40
)
