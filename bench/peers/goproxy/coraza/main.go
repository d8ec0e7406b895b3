// Command coraza is net/http's server with httputil.ReverseProxy behind Coraza's own handler.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/corazawaf/coraza/v3"
	corazahttp "github.com/corazawaf/coraza/v3/http"

	"gatehouse/bench/peers/goproxy"
)

func main() { os.Exit(run()) }

func run() int {
	var f goproxy.Flags
	f.Register()
	rules := flag.String("rules", "", "`file` with the rules")
	flag.Parse()
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectivesFromFile(*rules))
	if err == nil {
		err = f.Run(func(h http.Handler) http.Handler { return corazahttp.WrapHandler(waf, h) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
