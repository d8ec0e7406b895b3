//go:build !race

package proxy_test

const (
	raceSample = 1
	reloads    = 200
)
