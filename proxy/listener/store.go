package listener

import (
	"crypto/sha256"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// store serves the certificates of a Set and follows changes of their files.
type store struct {
	log   *zap.Logger
	hooks Hooks
	every time.Duration
	table atomic.Pointer[table]

	mu  sync.Mutex                   // serialises changes of table; guards bad
	bad map[string][sha256.Size]byte // contents that were reported as unusable

	stop chan struct{}
	done sync.WaitGroup
}

func newStore(t *table, o Options) *store {
	s := &store{log: o.Logger, hooks: o.Hooks, every: o.CertificatePoll, bad: map[string][sha256.Size]byte{}, stop: make(chan struct{})}
	s.table.Store(t)
	return s
}

// start looks for changed files until close.
func (s *store) start() {
	s.done.Go(func() {
		tick := time.NewTicker(s.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.reload()
			case <-s.stop:
				return
			}
		}
	})
}

func (s *store) close() {
	close(s.stop)
	s.done.Wait()
}

// use replaces all certificates.
func (s *store) use(t *table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.Store(t)
	clear(s.bad)
}

// reload reads all files again and takes over those that have changed and are good.
func (s *store) reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.Store(s.table.Load().reread(s.bad, func(name string, err error) {
		if err != nil {
			s.log.Error("changed certificate cannot be used, the old one stays", zap.String("certificate", name), zap.Error(err))
		} else {
			s.log.Info("certificate reloaded", zap.String("certificate", name))
		}
		if s.hooks.CertificateReloaded != nil {
			s.hooks.CertificateReloaded(name, err)
		}
	}))
}

// tlsConfig is made once a listener, so that session tickets outlive changes of settings and certificates.
func (l *Listener) tlsConfig() *tls.Config {
	refuse := &tls.Config{
		// Without any certificate the handshake ends with the alert unrecognized_name.
		MinVersion:             tls.VersionTLS12,
		SessionTicketsDisabled: true,
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		// Also called for resumed sessions: a name without a certificate is refused however it comes.
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if l.set.store.table.Load().find(hello.ServerName) == nil {
				hello.Conn.(*conn).noCertificate = true
				return refuse, nil
			}
			return nil, nil
		},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return choose(l.set.store.table.Load().find(hello.ServerName), hello), nil
		},
	}
}
