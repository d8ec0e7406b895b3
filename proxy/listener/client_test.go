package listener

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// httpsClient reaches the first listener whatever host is asked for.
func httpsClient(t *testing.T, s *Set, ca *ca, http2 bool) *http.Client {
	t.Helper()
	address := s.Status()[0].Addr.String()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	next := []string{"http/1.1"}
	if http2 {
		next = []string{"h2"}
	}
	transport := &http.Transport{
		Protocols:       protocols,
		TLSClientConfig: &tls.Config{RootCAs: ca.pool, NextProtos: next},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// writeOnly is a connection that takes bytes and gives none.
type writeOnly struct{ io.Writer }

func (writeOnly) Read([]byte) (int, error)         { return 0, io.EOF }
func (writeOnly) Close() error                     { return nil }
func (writeOnly) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (writeOnly) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (writeOnly) SetDeadline(time.Time) error      { return nil }
func (writeOnly) SetReadDeadline(time.Time) error  { return nil }
func (writeOnly) SetWriteDeadline(time.Time) error { return nil }
