package wiretest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Server is a server under test with a recorder behind it.
type Server struct {
	Recorder *Recorder
	// Dial opens a connection to one of the server's listeners; the name is a case's, empty for the usual one.
	Dial func(listener string) (net.Conn, error)
	// Host is one that the server forwards "GET /probe" for.
	Host string
	// Patience is how long a reply may take; 5 s if not set.
	Patience time.Duration
}

// Outcome is what came of a case.
type Outcome struct {
	Replies  []Reply
	Closed   bool // by the server, after the replies
	Upstream []*Request
}

// Reply is one reply of the server.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// probe is sent on a connection that is to be open after a case.
const probe = "/probe"

// Run sends a case that needs no host any more and gives what came of it and what is wrong with it.
func (s *Server) Run(c *Case) (*Outcome, []string) {
	s.Recorder.Take()
	conn, err := s.Dial(c.Listener)
	if err != nil {
		return &Outcome{}, []string{err.Error()}
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(s.patience()))
	out, wrong := s.exchange(conn, c)
	out.Upstream = s.Recorder.Take()
	return out, append(wrong, c.checkUpstream(out.Upstream)...)
}

func (s *Server) patience() time.Duration {
	if s.Patience == 0 {
		return 5 * time.Second
	}
	return s.Patience
}

// Send sends bytes that nothing is expected of and gives what comes back until the server closes the connection or has
// been silent for quiet. Then it ends its side of the connection and reads on until the server has done so too.
func (s *Server) Send(listener string, sent []byte, quiet time.Duration) (*Outcome, error) {
	s.Recorder.Take()
	conn, err := s.Dial(listener)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(quiet))
	if _, err := conn.Write(sent); err != nil && !reset(err) {
		return nil, fmt.Errorf("send: %w", err)
	}
	out := &Outcome{}
	r := bufio.NewReader(conn)
	for half := false; ; {
		reply, err := readReply(r, method(sent, len(out.Replies)))
		switch {
		case err == nil:
			out.Replies = append(out.Replies, reply)
			if !half {
				conn.SetDeadline(time.Now().Add(quiet))
			}
			continue
		case !half && errors.Is(err, os.ErrDeadlineExceeded):
			half = true
			closeWrite(conn)
			conn.SetDeadline(time.Now().Add(s.patience()))
			continue
		}
		out.Closed = !half && (errors.Is(err, io.EOF) || reset(err))
		out.Upstream = s.Recorder.Take()
		return out, nil
	}
}

// exchange sends the case and reads its replies; on a connection that stays open also a probe and its reply, and the
// probe's request is taken off the recorder by checkProbe.
func (s *Server) exchange(conn net.Conn, c *Case) (*Outcome, []string) {
	out := &Outcome{}
	if _, err := conn.Write(c.Send); err != nil && !reset(err) {
		return out, []string{"send: " + err.Error()}
	}
	if c.Half {
		closeWrite(conn)
	}
	r := bufio.NewReader(conn)
	var wrong []string
	for i, want := range c.Status {
		reply, err := readReply(r, method(c.Send, i))
		if err != nil {
			out.Closed = errors.Is(err, io.EOF) || reset(err)
			return out, append(wrong, fmt.Sprintf("reply %d: %s, want status %d", i+1, readable(err), want))
		}
		out.Replies = append(out.Replies, reply)
		if reply.Status != want {
			wrong = append(wrong, fmt.Sprintf("reply %d has status %d, want %d", i+1, reply.Status, want))
		}
	}
	wrong = append(wrong, c.checkReplies(out.Replies)...)
	if len(wrong) > 0 {
		return out, wrong
	}
	switch {
	case c.isUpgrade():
		closeWrite(conn)
	case c.End == Open:
		return out, append(wrong, s.probe(conn, r)...)
	case c.End == Any:
		return out, wrong
	}
	rest, err := io.ReadAll(r)
	out.Closed = err == nil || reset(err)
	switch {
	case len(rest) > 0:
		wrong = append(wrong, fmt.Sprintf("more comes than was to be: %.120q", rest))
	case !out.Closed:
		wrong = append(wrong, "the connection stays open: "+readable(err))
	}
	return out, wrong
}

func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

// isUpgrade reports whether the last reply is to be 101.
func (c *Case) isUpgrade() bool {
	return len(c.Status) > 0 && c.Status[len(c.Status)-1] == http.StatusSwitchingProtocols
}

// probe sends one more request: the connection is open, and no byte of the case is left on it.
func (s *Server) probe(conn net.Conn, r *bufio.Reader) []string {
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", probe, s.Host); err != nil {
		return []string{"the connection is closed: " + err.Error()}
	}
	reply, err := readReply(r, http.MethodGet)
	switch {
	case err != nil:
		return []string{"the connection is closed: the next request gets no reply: " + readable(err)}
	case reply.Status != http.StatusOK || reply.Body != answerBody(http.MethodGet, probe):
		return []string{fmt.Sprintf("the next request on the connection gets %d %.80q", reply.Status, reply.Body)}
	}
	return nil
}

// checkUpstream compares what the recorder received. The probe's request is known by its target.
func (c *Case) checkUpstream(got []*Request) []string {
	var wrong []string
	i := 0
	for _, r := range got {
		if r.Problem != "" {
			wrong = append(wrong, fmt.Sprintf("what reached the upstream is not canonical: %s: %.200q", r.Problem, r.Raw))
			continue
		}
		if r.Cut { // and may be of an earlier case: the server ends its connection to the upstream when the reply is out
			continue
		}
		if r.Method == http.MethodGet && r.Target == probe && len(r.Body) == 0 {
			continue
		}
		if i < len(c.Upstream) {
			wrong = append(wrong, c.Upstream[i].Check(r)...)
		} else {
			wrong = append(wrong, fmt.Sprintf("the upstream got a request that was not to be: %.200q", r.Raw))
		}
		i++
		if !bytes.Equal(r.Tunnel, c.Tunnel) {
			wrong = append(wrong, fmt.Sprintf("through the tunnel came %.80q, want %.80q", r.Tunnel, c.Tunnel))
		}
	}
	if i < len(c.Upstream) {
		wrong = append(wrong, fmt.Sprintf("%d of %d requests reached the upstream", i, len(c.Upstream)))
	}
	return wrong
}

// checkReplies looks whether each 200 is the recorder's reply to that very request.
func (c *Case) checkReplies(replies []Reply) []string {
	var wrong []string
	i := 0
	for _, reply := range replies {
		if reply.Status != http.StatusOK || i == len(c.Upstream) {
			continue
		}
		method, target, _ := strings.Cut(c.Upstream[i].Request, " ")
		if i++; reply.Body != answerBody(method, target) && method != http.MethodHead {
			wrong = append(wrong, fmt.Sprintf("the reply to %s %s is %.80q", method, target, reply.Body))
		}
	}
	return wrong
}

// method is that of request i in sent, as far as it decides how a reply is read.
func method(sent []byte, i int) string {
	if i == 0 && bytes.HasPrefix(sent, []byte("HEAD ")) {
		return http.MethodHead
	}
	return http.MethodGet
}

// readReply reads a reply; informational ones but 101 are passed over.
func readReply(r *bufio.Reader, method string) (Reply, error) {
	for {
		if _, err := r.Peek(1); err != nil {
			return Reply{}, err
		}
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return Reply{}, err
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		reply := Reply{Status: response.StatusCode, Header: response.Header}
		if reply.Status == http.StatusSwitchingProtocols {
			return reply, nil
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		reply.Body = string(body)
		return reply, err
	}
}

func reset(err error) bool {
	return strings.Contains(err.Error(), "connection reset") || strings.Contains(err.Error(), "broken pipe")
}

func readable(err error) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "nothing comes"
	case errors.Is(err, io.EOF):
		return "the connection is closed"
	}
	return err.Error()
}
