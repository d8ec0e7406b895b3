// Command gatehouse is the gateway, its tools and its manager in one binary.
package main

import (
	"context"
	"os"
)

func main() { os.Exit(run()) }

func run() int {
	c := &cli{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
	return c.main(context.Background(), os.Args[1:])
}
