//go:build !race

package main

import "testing"

// Each command compiles CRS in a process of its own, which takes minutes with the race detector, and has nothing to show
// it: what runs in a gateway is tested with it in package proxy.

// TestDocs runs what the pages show. Blocks of a page run in order in one directory of their own:
//
//	```yaml file=NAME   is written to a file, whatever the language is
//	```sh               is run and must end with exit code 0; exit=N asks for another one
//	```sh background    is started, and runs until the end of the page
//	```text output      must be in the output of the block before it, line by line; ... stands for anything
//
// Addresses in the pages are replaced by free ones. In blocks, GH-....-....-.... is the last incident ID that was seen.
// curl is a small client of our own: the end-to-end tests run the same pages with the real one.
func TestDocs(t *testing.T) {
	runPages(t, ownCurl(t))
}
