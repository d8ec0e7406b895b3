package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"gatehouse/proxy/event"
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
	server, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		response.Body.Close()
		x.upstreamFailed(errors.New("the upstream switched protocols on a connection that cannot be written"))
		return
	}
	defer server.Close()
	if x.sentAhead() {
		return
	}
	x.writer.Header().Set("Connection", "Upgrade")
	x.writer.Header().Set("Upgrade", "websocket")
	for name, values := range replyHeaders(response.Header) {
		x.writer.Header()[name] = values
	}
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

// closingTime is how long the upstream may go on after the client has ended its half of an upgraded connection.
const closingTime = 5 * time.Second

// splice copies both ways until one side ends or the listener closes the client's connection at the end of a drain.
// It gives the bytes from the client and to the client.
func (x *exchange) splice(client net.Conn, buffered io.Reader, server io.ReadWriteCloser) (in, out int64) {
	_ = client.SetDeadline(time.Time{}) // a connection that is broken shows it at the first read
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out, _ = io.Copy(deadlineWriter{client}, server) // the end of either side ends the connection
		client.Close()
	}()
	in, _ = io.Copy(server, buffered)
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

// writeTimeout is how long a client may take to accept one write.
const writeTimeout = 60 * time.Second

// deadlineWriter bounds how long one write may take.
type deadlineWriter struct{ net.Conn }

func (w deadlineWriter) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}
