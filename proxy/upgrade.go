package proxy

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"gatehouse/proxy/event"
	"gatehouse/proxy/http1"
	"gatehouse/proxy/inspect"
)

// upgrade forwards a WebSocket handshake and, once the upstream has agreed, carries the frames in both directions.
// No byte of the client's goes upstream before the 101.
func (x *exchange) upgrade() {
	if x.sentAhead() {
		return
	}
	response, err := x.roundTrip(nil, 0)
	if err != nil {
		x.upstreamFailed(err)
		return
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		defer response.Body.Close()
		content, refusal, err := x.inspection.Reply(response)
		switch {
		case err != nil:
			x.upstreamFailed(err)
		case refusal != nil:
			x.refusal = refusal
			x.refuse()
		default:
			x.deliver(response, content)
		}
		return
	}
	server, ok := response.Body.(tunnel)
	if !ok {
		response.Body.Close()
		x.upstreamFailed(errors.New("the upstream switched protocols on a connection that cannot be written"))
		return
	}
	defer server.Close()
	if !agrees(response.Header, x.request.Header.Get("Sec-WebSocket-Key")) {
		x.upstreamFailed(errors.New("the upstream switched protocols, but not to WebSocket as it was asked to (Upgrade, Sec-WebSocket-Accept)"))
		return
	}
	if x.sentAhead() {
		return
	}
	x.writer.Header().Set("Connection", "Upgrade")
	x.writer.Header().Set("Upgrade", "websocket")
	addReplyHeaders(x.writer.Header(), "", response.Header)
	x.writer.WriteHeader(http.StatusSwitchingProtocols)
	client, buffered, err := http.NewResponseController(x.writer.ResponseWriter).Hijack()
	if err != nil {
		x.refusal = &inspect.Refusal{Reason: event.Internal, Status: http.StatusInternalServerError, Detail: "take over the connection: " + err.Error()}
		x.finish()
		panic(errAbort)
	}
	x.access.Status = http.StatusSwitchingProtocols
	x.leave()
	in, out := x.splice(client, buffered.Reader, server)
	x.writer.bytes = out
	x.inspection.Uninspected(inspect.CauseWebSocket, in+out)
	x.finish()
}

// sentAhead refuses a client that did not wait for the 101, and reports whether it did. What it sent would go upstream as
// bytes of a protocol that nobody had agreed to.
func (x *exchange) sentAhead() bool {
	client, ok := x.writer.ResponseWriter.(interface{ SentAhead() bool })
	if !ok || !client.SentAhead() {
		return false
	}
	x.refusal = &inspect.Refusal{Reason: event.UpgradeRefused, Status: http.StatusBadRequest, Detail: "the client sent bytes behind the handshake before it was accepted"}
	x.refuse()
	return true
}

// agrees says whether an upstream's 101 accepts the handshake with that key (RFC 6455, section 4.2.2).
func agrees(reply http.Header, key string) bool {
	sum := sha1.Sum([]byte(strings.TrimSpace(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	upgrade, accept := reply["Upgrade"], reply["Sec-Websocket-Accept"]
	return len(upgrade) == 1 && http1.EqualFold(upgrade[0], "websocket") && len(accept) == 1 && accept[0] == base64.StdEncoding.EncodeToString(sum[:])
}

// closingTime is how long the upstream may go on after the client has ended its half of an upgraded connection.
const closingTime = 5 * time.Second

// splice copies both ways until one side ends, leaves written bytes unread for writeTimeout, or the listener closes the
// client's connection at the end of a drain. It gives the bytes from the client and to the client.
func (x *exchange) splice(client net.Conn, buffered io.Reader, server tunnel) (in, out int64) {
	_ = client.SetDeadline(time.Time{}) // a connection that is broken shows it at the first read
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out, _ = io.Copy(timedWriter{client}, server) // the end of either side ends the connection
		client.Close()
	}()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-x.conn.Closed(): // by the other copy or by a drain, while the upstream does not read or says nothing
			server.Close()
		case <-done:
		}
	}()
	in, _ = io.Copy(timedWriter{server}, buffered)
	if c, ok := server.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		server.Close()
	}
	select {
	case <-ended:
	case <-time.After(closingTime):
	}
	client.Close()
	server.Close()
	<-ended
	return in, out
}

// tunnel is the upstream's side of an upgraded connection.
type tunnel interface {
	io.ReadWriteCloser
	SetWriteDeadline(at time.Time) error
}

// writeTimeout is how long either side may take to accept one write.
const writeTimeout = 60 * time.Second

// timedWriter bounds how long one write may take.
type timedWriter struct {
	conn interface {
		io.Writer
		SetWriteDeadline(at time.Time) error
	}
}

// Write implements io.Writer.
func (w timedWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}
