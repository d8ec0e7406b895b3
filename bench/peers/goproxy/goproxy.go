// Package goproxy is a reverse proxy as net/http gives it, for comparisons: what a Go program costs that only forwards.
package goproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"time"
)

// Flags are those of a proxy.
type Flags struct{ listen, backend, cert, key string }

// Register makes the flags known.
func (f *Flags) Register() {
	flag.StringVar(&f.listen, "listen", "", "`address` to listen on")
	flag.StringVar(&f.backend, "backend", "", "`URL` to forward to")
	flag.StringVar(&f.cert, "cert", "", "`file` with a certificate, for TLS")
	flag.StringVar(&f.key, "key", "", "`file` with its key")
}

// Run serves until the process is interrupted. The proxy is what wrap makes of it.
func (f *Flags) Run(wrap func(http.Handler) http.Handler) error {
	target, err := url.Parse(f.backend)
	if err != nil {
		return err
	}
	const connections = 16_384 // idle ones to the backend, as many as there are clients
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, DisableCompression: true},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	server := &http.Server{Addr: f.listen, Handler: wrap(proxy), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = server.Close() // the process ends anyway
	}()
	if f.cert != "" {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		err = server.ListenAndServeTLS(f.cert, f.key)
	} else {
		err = server.ListenAndServe()
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", f.listen, err)
	}
	return nil
}
