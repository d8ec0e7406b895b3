package managed

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/rules/fleetapi"
)

// client asks managers, one until it fails, then the next. It is safe for concurrent use.
type client struct {
	managers []*url.URL
	times    Times

	mu          sync.Mutex // guards what follows
	at          int        // of managers
	transport   *http.Transport
	until       time.Time // when the connections of transport are old
	pool        *x509.CertPool
	certificate *tls.Certificate
	answered    time.Time // when a manager answered last
	failure     string    // how the last attempt failed, empty if it did not
}

// UnavailableError says that a manager could not be asked, or had no answer: nothing is known of what it would have said.
type UnavailableError struct {
	Manager string
	Err     error
	After   time.Duration // that it asked to wait
}

func (e *UnavailableError) Error() string { return fmt.Sprintf("manager %s: %v", e.Manager, e.Err) }
func (e *UnavailableError) Unwrap() error { return e.Err }

// parseManagers reads the URLs of managers.
func parseManagers(list []string) ([]*url.URL, error) {
	var out []*url.URL
	for _, text := range list {
		u, err := url.Parse(strings.TrimSpace(text))
		switch {
		case err != nil:
			return nil, fmt.Errorf("-manager: %w", err)
		case u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
			return nil, fmt.Errorf("-manager %s is not the URL of a manager's listener for gateways; write https://HOST:PORT", text)
		}
		u.Path = ""
		out = append(out, u)
	}
	return out, nil
}

// use takes what the manager is believed by, and what the gateway is known by, from now on.
func (c *client) use(pool *x509.CertPool, certificate *tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pool, c.certificate = pool, certificate
	c.renewTransport()
}

// renewTransport lets the connections end as they become idle. The caller holds mu.
func (c *client) renewTransport() {
	if c.transport != nil {
		c.transport.CloseIdleConnections()
	}
	c.transport = nil
}

// drop ends the connections when their requests have.
func (c *client) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewTransport()
}

// current is the manager to ask and the connections to it, which are made anew when they are old: a manager that came back gets its
// share of the gateways again.
func (c *client) current() (*url.URL, *http.Transport, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.transport == nil || now.After(c.until) {
		c.renewTransport()
		c.transport = newTransport(c.times, &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: c.pool, GetClientCertificate: c.own})
		c.until = now.Add(jittered(c.times.Age))
	}
	return c.managers[c.at], c.transport, c.at
}

// own is the gateway's certificate, whichever authorities the manager names: it has one.
func (c *client) own(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.certificate == nil {
		return &tls.Certificate{}, nil
	}
	return c.certificate, nil
}

// newTransport is HTTP/2 with pings: a connection that something on the way has forgotten is found lost within Ping and PingAnswer.
func newTransport(t Times, conf *tls.Config) *http.Transport {
	const handshake = 10 * time.Second
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		DialContext:     (&net.Dialer{Timeout: min(handshake, t.Ping), KeepAlive: t.Ping}).DialContext,
		TLSClientConfig: conf, TLSHandshakeTimeout: min(handshake, t.Ping), Protocols: &protocols, MaxIdleConnsPerHost: 2,
		HTTP2: &http.HTTP2Config{SendPingTimeout: t.Ping, PingTimeout: t.PingAnswer, WriteByteTimeout: t.PingAnswer},
	}
}

// request is what to ask a manager.
type request struct {
	method, path string
	header       http.Header
	body         []byte
	wait         time.Duration // that the manager may take on purpose
	most         int64         // bytes of the answer
	stay         bool          // with a manager that is busy: what is asked can wait
}

// answer is what it said. The status is below 400.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do asks one manager. An error is an UnavailableError, after which another manager is asked next, or a *fleetapi.Problem.
func (c *client) do(ctx context.Context, q request) (*answer, error) {
	manager, transport, at := c.current()
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, q.wait+patience)
	defer cancel()
	a, err := ask(ctx, transport, manager, q)
	var problem *fleetapi.Problem
	if errors.As(err, &problem) && (problem.Status == http.StatusTooManyRequests || problem.Status >= http.StatusInternalServerError) {
		err = &UnavailableError{Manager: manager.Host, Err: problem, After: retryAfter(a.header, time.Now())}
	} else if err != nil && problem == nil {
		err = &UnavailableError{Manager: manager.Host, Err: err}
	}
	if q.stay && problem != nil && problem.Status == http.StatusTooManyRequests {
		c.note(ctx, at, nil)
	} else {
		c.note(ctx, at, err)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// note remembers how a manager answered, and goes to the next one if it did not.
func (c *client) note(ctx context.Context, at int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var away *UnavailableError
	if !errors.As(err, &away) {
		c.answered, c.failure = time.Now(), ""
		return
	}
	if errors.Is(ctx.Err(), context.Canceled) { // the gateway ends, or asks something else
		return
	}
	c.failure = away.Err.Error()
	if c.at == at {
		c.at = (at + 1) % len(c.managers)
		c.renewTransport()
	}
}

func ask(ctx context.Context, transport http.RoundTripper, manager *url.URL, q request) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, manager.String()+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	if q.header != nil {
		r.Header = q.header.Clone()
	}
	response, err := transport.RoundTrip(r) // no redirects: a manager has none
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	a := &answer{status: response.StatusCode, header: response.Header}
	most := q.most
	if a.status >= http.StatusBadRequest {
		most = 64 << 10
	}
	a.body, err = io.ReadAll(io.LimitReader(response.Body, most+1))
	switch {
	case err != nil:
		return a, err
	case a.status >= http.StatusBadRequest:
		return a, problemOf(a)
	case a.status != http.StatusOK && a.status != http.StatusNoContent && a.status != http.StatusNotModified && a.status != http.StatusCreated && a.status != http.StatusAccepted:
		return a, fmt.Errorf("it answered %d", a.status)
	case int64(len(a.body)) > most:
		return a, &fleetapi.Problem{Title: fmt.Sprintf("the answer to %s has more than %d bytes", q.path, most), Status: http.StatusOK}
	}
	return a, nil
}

// problemOf reads what an answer says is wrong.
func problemOf(a *answer) *fleetapi.Problem {
	p := &fleetapi.Problem{}
	if json.Unmarshal(a.body, p) != nil || p.Title == "" {
		p.Title = fmt.Sprintf("status %d %s", a.status, http.StatusText(a.status))
	}
	p.Status = a.status
	return p
}

// health is which manager was asked last, when one answered, and how the last attempt failed.
func (c *client) health() (manager string, answered time.Time, failure string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.managers) == 0 {
		return "", time.Time{}, ""
	}
	return c.managers[c.at].Host, c.answered, c.failure
}

// json asks with a JSON body and reads a JSON answer.
func (c *client) json(ctx context.Context, method, path string, from, to any, most int64) error {
	q := request{method: method, path: path, header: http.Header{"Accept": {"application/json"}}, most: most}
	if from != nil {
		body, err := json.Marshal(from)
		if err != nil {
			return err
		}
		q.body = body
		q.header.Set("Content-Type", "application/json")
	}
	a, err := c.do(ctx, q)
	if err != nil || to == nil {
		return err
	}
	if err := json.Unmarshal(a.body, to); err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return nil
}
