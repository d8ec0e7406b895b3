//go:build !race

package proxy_test

const (
	raceSample = 1
	reloads    = 200
	patience   = 2 // seconds
)
