// Command plain is net/http's server with httputil.ReverseProxy, which inspects nothing.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"

	"gatehouse/bench/peers/goproxy"
)

func main() {
	var f goproxy.Flags
	f.Register()
	flag.Parse()
	if err := f.Run(func(h http.Handler) http.Handler { return h }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
