package http1

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a connection on which a client has sent all that it will: its bytes, and the end if it is over.
type memory struct {
	in    bytes.Reader
	piece int // how many bytes one Read gives at most
	out   bytes.Buffer
}

func newMemory(sent string) *memory {
	m := &memory{piece: 1 << 20}
	m.in.Reset([]byte(sent))
	return m
}

func (m *memory) Read(p []byte) (int, error)       { return m.in.Read(p[:min(len(p), m.piece)]) }
func (m *memory) Write(p []byte) (int, error)      { return m.out.Write(p) }
func (m *memory) Close() error                     { return nil }
func (m *memory) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (m *memory) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (m *memory) SetDeadline(time.Time) error      { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }

// seen is what a handler saw of a request.
type seen struct {
	*http.Request
	body    string
	bodyErr error
	rest    string // what the client sent behind the request
}

// collect is a server whose handler reads everything, keeps it and answers "ok".
type collect struct {
	Server
	seen    []seen
	refused []refusal
}

func newCollect() *collect {
	c := &collect{}
	c.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		conn := w.(*response).conn
		rest := string(conn.in.rest())
		if m, ok := conn.conn.(*memory); ok {
			ahead := make([]byte, m.in.Len())
			_, _ = m.in.ReadAt(ahead, m.in.Size()-int64(m.in.Len()))
			rest += string(ahead)
		}
		c.seen = append(c.seen, seen{r, string(body), err, rest})
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		io.WriteString(w, "ok")
	})
	c.Refused = func(_ context.Context, status int, detail string) []byte {
		c.refused = append(c.refused, refusal{status, detail})
		return nil
	}
	return c
}

// serve gives what the server wrote on a connection with these bytes.
func serve(s *Server, sent string) string {
	m := newMemory(sent)
	s.NewConn(context.Background(), m, nil).Serve()
	return m.out.String()
}

// pair is the two ends of a TCP connection, with the server's end served.
func pair(t testing.TB, s *Server) *net.TCPConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.NewConn(context.Background(), server, nil).Serve()
	}()
	t.Cleanup(func() {
		client.Close()
		<-served
	})
	client.SetDeadline(time.Now().Add(20 * time.Second))
	return client.(*net.TCPConn)
}

func handler(f http.HandlerFunc) *Server { return &Server{Handler: f} }
