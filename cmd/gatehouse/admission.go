package main

import (
	"errors"
	"flag"
	"strconv"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
)

// admissionFlags are the bounds of what all requests together may take.
func admissionFlags(flags *flag.FlagSet) *proxy.Admission {
	a := &proxy.Admission{}
	flags.Func("max-inflight", "`size` of all request and reply bodies that are held at once, in memory and in files (default 512MiB, or half of GOMEMLIMIT)", func(text string) error {
		var n config.Size
		if err := n.UnmarshalText([]byte(text)); err != nil {
			return err
		}
		if n < 1 {
			return errors.New("it must be more than 0")
		}
		a.InflightBytes = int64(n)
		return nil
	})
	count := func(name, usage string, to *int) {
		flags.Func(name, usage, func(text string) error {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return errors.New("it must be a number from 1 on")
			}
			*to = n
			return nil
		})
	}
	count("max-requests", "`number` of requests that are served at once (default 10000)", &a.Requests)
	count("max-client-requests", "`number` of requests of one client that are served at once (default a quarter of -max-requests); trusted proxies have no bound", &a.ClientRequests)
	count("max-client-connections", "`number` of connections that one client may have open (default 1000); trusted proxies have no bound", &a.ClientConnections)
	return a
}
