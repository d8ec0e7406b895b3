package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"

	"go.uber.org/zap"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/listener"
	"gatehouse/proxy/upstream"
	"gatehouse/rules"
	"gatehouse/rules/body"
)

// Inspector judges requests offline, by the same code that serves them: nothing is sent anywhere. It is safe for
// concurrent use.
type Inspector struct {
	server *Server
}

// Report is what came of one request.
type Report struct {
	Access event.Access
	Event  *event.Event  // nil if the request makes none
	Result *rules.Result // nil if the rules were not asked
	// XML says what the values of an XML body stand under, as in event.Event.
	XML    *body.XMLOrigins
	Engine string // that judged the request: EngineProgram or EngineReference; empty if the rules were not asked
	// Forwarded says that the upstream would have been asked; Target is the request target that it would have got.
	Forwarded bool
	Target    string
	// Notes say what was changed in the request so that it could be read.
	Notes []string
}

// NewInspector builds a configuration as a gateway would, without opening anything. The engine judges the requests, and
// remains the caller's; nil is the product's own, as in a gateway.
func NewInspector(loaded *config.Loaded, logger *zap.Logger, judges rules.Engine) (*Inspector, error) {
	silent := *loaded.Config
	silent.Logs = config.Logs{Access: config.Sink{To: "none"}, Events: config.Sink{To: "none"}}
	s, err := newServer(Options{Logger: logger, Engine: judges}, &silent)
	if err != nil {
		return nil, err
	}
	s.upstreams = nowhere{}
	st, err := s.build(loaded)
	if err != nil {
		return nil, errors.Join(err, s.closeEngine(), s.closeRecords())
	}
	s.state.Store(st)
	return &Inspector{server: s}, nil
}

// Close frees the rule sets.
func (i *Inspector) Close() error {
	st := i.server.state.Load()
	st.release()
	<-st.closed
	return errors.Join(st.err, i.server.closeEngine(), i.server.closeRecords())
}

// Inspect judges one request as raw HTTP/1.1 text. client is the address that it is judged as. An error means that
// the text is not an HTTP request that a gateway would read.
func (i *Inspector) Inspect(raw []byte, client netip.AddrPort) (*Report, error) {
	report := &Report{}
	r, err := readRequest(raw, report)
	if err != nil {
		return nil, err
	}
	conn := &listener.ConnInfo{Listener: "offline", Addresses: clientip.Addresses{Peer: client, Client: client, Server: netip.MustParseAddrPort("127.0.0.1:8080")}}
	r = r.WithContext(listener.NewContext(context.WithValue(r.Context(), reportKey{}, report), conn))
	r.RemoteAddr = client.String()
	defer func() { // an aborted reply is a result like others
		if p := recover(); p != nil && p != errAbort {
			panic(p)
		}
	}()
	i.server.ServeHTTP(&discardWriter{header: http.Header{}}, r)
	return report, nil
}

// reportKey finds the report of an offline request in its context.
type reportKey struct{}

// readRequest reads raw. A Content-Length that is not the body's is corrected: texts are edited by hand.
func readRequest(raw []byte, report *Report) (*http.Request, error) {
	end, gap := bytes.Index(raw, []byte("\r\n\r\n")), 4
	if lf := bytes.Index(raw, []byte("\n\n")); lf >= 0 && (end < 0 || lf < end) {
		end, gap = lf, 2
	}
	if end < 0 { // no empty line: everything is the head
		raw = append(bytes.TrimRight(raw, "\r\n"), "\r\n\r\n"...)
		end, gap = len(raw)-4, 4
	}
	body := raw[end+gap:]
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(raw[:end+gap]), bytes.NewReader(body))))
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if len(r.TransferEncoding) > 0 {
		decoded, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, fmt.Errorf("read the chunked body: %w", err)
		}
		body = decoded
	} else if int64(len(body)) != r.ContentLength {
		report.Notes = append(report.Notes, fmt.Sprintf("Content-Length %d was read as %d, the length of the body", r.ContentLength, len(body)))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	r.ContentLength = int64(len(body))
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, nil
}

// nowhere opens upstreams that answer every request with an empty 200, offline.
type nowhere struct{}

func (nowhere) Acquire(config.Upstream, upstream.Certificates) (transport, func(), error) {
	return nullUpstream{}, func() {}, nil
}

// nullUpstream notes what it would have got.
type nullUpstream struct{}

func (nullUpstream) RoundTrip(r *upstream.Request) (*http.Response, upstream.Attempt, error) {
	if report, ok := r.HTTP.Context().Value(reportKey{}).(*Report); ok {
		report.Forwarded, report.Target = true, r.Target
	}
	if r.HTTP.Body != nil {
		if _, err := io.Copy(io.Discard, r.HTTP.Body); err != nil {
			return nil, upstream.Attempt{}, &upstream.Error{Kind: upstream.BodyFailed, Step: upstream.StepWrite, Err: err}
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", Header: http.Header{}, Body: http.NoBody}, upstream.Attempt{}, nil
}

// discardWriter takes a reply that nobody reads.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *discardWriter) WriteHeader(int)             {}
