package fleet

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/fleet/authority"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// Bounds of what is served.
const (
	atOnce = 64 // requests that cost much: joins, renewals, objects, batches of events
	// Connections are ended after some time, so that gateways spread over the managers again after one was away.
	connectionAge = 10 * time.Minute
	pingAfter     = 20 * time.Second // of silence: NLB and NAT forget idle flows without a word
	pingTimeout   = 10 * time.Second
	bodyTimeout   = 30 * time.Second
	longestTurn   = 5 * time.Second // below the time after which gateways give an answer up
)

// Configure makes a server that of the gateways' listener. Any certificate is taken, or none: each request is judged for itself, also
// on connections that outlive a certificate.
func (s *Service) Configure(server *http.Server) {
	server.Handler = s
	server.TLSConfig = &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert, SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.serverCertificate() },
	}
	server.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout}
	server.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		age := connectionAge - time.Duration(rand.Int64N(int64(connectionAge/2))) //nolint:gosec // spread, not secret
		return context.WithValue(ctx, endKey{}, time.Now().Add(age))
	}
}

// endKey is where a request's context has when its connection shall end.
type endKey struct{}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if end, ok := r.Context().Value(endKey{}).(time.Time); ok && time.Now().After(end) {
		w.Header().Set("Connection", "close") // HTTP/2: GOAWAY, and what runs goes on to its end
	}
	if err := s.serve(w, r); err != nil {
		s.refuse(w, r, err)
	}
}

// serve answers a request, or says why not. Paths are compared as they came: nothing is cleaned.
func (s *Service) serve(w http.ResponseWriter, r *http.Request) error {
	path, public, known := route(r)
	if r.Method == http.MethodPost {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // without it, a slow one only holds a connection longer
	}
	switch {
	case !known:
		return &fleetapi.Problem{Title: fmt.Sprintf("there is nothing at %s %.200q", r.Method, r.URL.EscapedPath()), Status: http.StatusNotFound}
	case path == fleetapi.PathTrust:
		return s.serveTrust(w, r)
	case public:
		return s.limited(func() error { return s.serveJoin(w, r) })
	}
	g, err := s.identify(r, path == fleetapi.PathRenew)
	if err != nil {
		return err
	}
	s.saw(g.Name)
	switch path {
	case fleetapi.PathState:
		return s.serveState(w, r, g)
	case fleetapi.PathReport:
		return s.serveReport(w, r, g)
	case fleetapi.PathKey:
		return s.serveKey(w, r, g)
	case fleetapi.PathRenew:
		return s.limited(func() error { return s.serveRenew(w, r, g) })
	case fleetapi.PathEvents:
		return s.limited(func() error { return s.serveEvents(w, r, g) })
	default:
		return s.limited(func() error { return s.serveObject(w, r, g) })
	}
}

// route says which path a request asks for, and whether it is one that needs no certificate.
func route(r *http.Request) (path string, public, known bool) {
	path = r.URL.EscapedPath()
	if strings.HasPrefix(path, fleetapi.PathObjects) && r.Method == http.MethodGet {
		return fleetapi.PathObjects, false, true
	}
	method := http.MethodPost
	switch path {
	case fleetapi.PathTrust:
		method, public = http.MethodGet, true
	case fleetapi.PathState, fleetapi.PathKey:
		method = http.MethodGet
	case fleetapi.PathJoin:
		public = true
	case fleetapi.PathRenew, fleetapi.PathReport, fleetapi.PathEvents:
	default:
		return path, false, false
	}
	return path, public, r.Method == method
}

// identify says which gateway asks, and whether it may.
func (s *Service) identify(r *http.Request, renewing bool) (authority.Gateway, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return authority.Gateway{}, &fleetapi.Problem{Title: "a gateway's certificate is needed: join first", Status: http.StatusUnauthorized}
	}
	g, err := authority.Identify(r.TLS.PeerCertificates, s.trustNow().pool, s.o.Stack)
	if err != nil {
		return g, &fleetapi.Problem{Title: "the certificate is not one of a gateway of this manager", Status: http.StatusUnauthorized, Detail: err.Error()}
	}
	now, until := s.o.DB.Now(), g.NotAfter
	if renewing {
		until = until.Add(fleetapi.RenewWithin)
	}
	if now.After(until) {
		p := &fleetapi.Problem{Type: fleetapi.ProblemExpired, Title: "the certificate ended " + g.NotAfter.Format(time.RFC3339), Status: http.StatusUnauthorized, Detail: "renew it"}
		if renewing {
			p.Type, p.Detail = fleetapi.ProblemRetired, fmt.Sprintf("it may be renewed up to %s after that: join again", fleetapi.RenewWithin)
		}
		return g, p
	}
	return g, s.o.DB.Read(r.Context(), func(tx *store.Tx) error { return allowed(tx, g.Name, g.Group) })
}

// limited serves a request that costs much when its turn comes, and refuses it if that takes long.
func (s *Service) limited(do func() error) error {
	turn := time.NewTimer(s.turn)
	defer turn.Stop()
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
		return do()
	case <-turn.C:
		return &fleetapi.Problem{Type: fleetapi.ProblemBusy, Title: "many gateways ask at once: ask again later", Status: http.StatusTooManyRequests}
	}
}

func (s *Service) serveTrust(w http.ResponseWriter, r *http.Request) error {
	var text []byte
	err := s.o.DB.Read(r.Context(), func(tx *store.Tx) (err error) {
		text, err = bundle(tx, r.URL.Query().Get("hash"))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return &fleetapi.Problem{Title: "there is no trust bundle of that hash", Status: http.StatusNotFound}
	}
	if err != nil {
		return err
	}
	return answerJSON(w, text)
}

func (s *Service) serveJoin(w http.ResponseWriter, r *http.Request) error {
	var in fleetapi.JoinRequest
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	var out fleetapi.Credentials
	err := s.o.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
		out, err = s.join(tx, in, from)
		return err
	})
	if err != nil {
		return err
	}
	s.saw(out.Gateway)
	s.log.Info("a gateway has joined", zap.String("gateway", out.Gateway), zap.String("group", out.Group), zap.String("instance", clip(in.Instance)), zap.String("from", from))
	return answer(w, out)
}

func (s *Service) serveRenew(w http.ResponseWriter, r *http.Request, g authority.Gateway) error {
	var in fleetapi.RenewRequest
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	var out fleetapi.Credentials
	err := s.o.DB.Write(r.Context(), func(tx *store.Tx) (err error) {
		if err = allowed(tx, g.Name, g.Group); err == nil {
			out, err = s.renew(tx, g, in)
		}
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, out)
}

func (s *Service) serveReport(w http.ResponseWriter, r *http.Request, g authority.Gateway) error {
	var in fleetapi.Report
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	if err := s.report(g, &in); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) serveKey(w http.ResponseWriter, r *http.Request, g authority.Gateway) error {
	var out fleetapi.GroupKey
	err := s.o.DB.Write(r.Context(), func(tx *store.Tx) error { // the first who asks has it made
		key, err := s.o.GroupKey(tx, g.Group)
		out = fleetapi.GroupKey{ID: key.ID(), Key: key.Bytes()}
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, out)
}

func (s *Service) serveEvents(w http.ResponseWriter, r *http.Request, g authority.Gateway) error {
	if s.o.Events == nil {
		return &fleetapi.Problem{Title: "this manager takes no events", Status: http.StatusNotFound}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, fleetapi.MaxBatch))
	if err != nil {
		return malformed(err)
	}
	receipt, err := s.o.Events(r.Context(), g.Name, g.Group, body)
	if err != nil {
		return err
	}
	return answer(w, receipt)
}

func (s *Service) serveObject(w http.ResponseWriter, r *http.Request, g authority.Gateway) error {
	data, err := s.object(r.Context(), g, strings.TrimPrefix(r.URL.EscapedPath(), fleetapi.PathObjects))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data) // who asked may have gone
	return nil
}

// readJSON reads the body of a request.
func readJSON(w http.ResponseWriter, r *http.Request, to any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, fleetapi.MaxRequest))
	err := d.Decode(to)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("there is more than one document")
	}
	return malformed(err)
}

func malformed(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &fleetapi.Problem{Title: fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit), Status: http.StatusRequestEntityTooLarge}
	}
	return &fleetapi.Problem{Title: "the body cannot be read", Status: http.StatusBadRequest, Detail: err.Error()}
}

func answer(w http.ResponseWriter, document any) error {
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return answerJSON(w, text)
}

func answerJSON(w http.ResponseWriter, text []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text) // who asked may have gone
	return nil
}

// refuse answers with what is wrong. What is not the gateway's fault is logged and not shown.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var p *fleetapi.Problem
	if !errors.As(err, &p) {
		if r.Context().Err() != nil {
			return
		}
		s.log.Error("a request of a gateway failed", zap.String("path", r.URL.Path), zap.Error(err))
		p = &fleetapi.Problem{Title: "the manager could not do this; its log says why", Status: http.StatusInternalServerError}
	}
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(1+rand.IntN(5))) //nolint:gosec // spread, not secret
	}
	text, err := json.Marshal(p)
	if err != nil {
		s.log.Error("write a problem", zap.Error(err))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(text)
}
