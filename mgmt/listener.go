package mgmt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// listener is a bound address with the server for it.
type listener struct {
	net.Listener
	server *http.Server
}

// Bounds of connections. Bodies have bounds of their own, by route.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 75 * time.Second
	maxHeader     = 64 << 10
)

// newListener binds an address, which the key in the settings names in an error. Its server has no handler yet.
func (s *Server) newListener(key, address string) (listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(s.stopping, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return listener{}, fmt.Errorf("%s: %s is in use by another process; end it, or write another address", key, address)
	}
	if err != nil {
		return listener{}, fmt.Errorf("%s: %w", key, err)
	}
	return listener{l, &http.Server{
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog:    zap.NewStdLog(s.log.Named("http")),
		BaseContext: func(net.Listener) context.Context { return s.requests },
	}}, nil
}

// serve serves until the listener is shut down.
func (s *Server) serve(name string, l listener) {
	s.background.Go(func() {
		var err error
		if l.server.TLSConfig != nil {
			err = l.server.ServeTLS(l.Listener, "", "")
		} else {
			err = l.server.Serve(l.Listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("serve the listener %s: %w", name, err))
		}
	})
}

// shutdown lets requests end, and cuts off what is left when ctx ends.
func (l listener) shutdown(ctx context.Context) error {
	err := l.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = l.server.Close()
	}
	return err
}

// certificateAge is how long a certificate is used before its files are looked at again.
const certificateAge = 10 * time.Second

// fileCertificate is a certificate in files, which may be renewed while it is used.
type fileCertificate struct {
	certFile, keyFile string

	mu       sync.Mutex // guards what follows
	current  *tls.Certificate
	modified time.Time
	looked   time.Time
}

// serverTLS serves the certificate in the files.
func serverTLS(certFile, keyFile string) (*tls.Config, error) {
	c := &fileCertificate{certFile: certFile, keyFile: keyFile}
	if err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
	}, nil
}

// get gives the latest certificate; while new files cannot be used, it is the one before.
func (c *fileCertificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > certificateAge {
		_ = c.load() // half written, perhaps: they are looked at again
	}
	return c.current
}

func (c *fileCertificate) load() error {
	c.looked = time.Now()
	info, err := os.Stat(c.certFile)
	if err != nil {
		return err
	}
	if c.current != nil && info.ModTime().Equal(c.modified) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.modified = &pair, info.ModTime()
	return nil
}
