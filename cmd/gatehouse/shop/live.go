package shop

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// eventInterval is the time between two events of /events.
const eventInterval = time.Second

// maxSocketMessage is how long a WebSocket message may be, in bytes.
const maxSocketMessage = 1 << 20

// events sends server-sent events until the client goes or the shop stops: one at once, then one every second. Event n
// is the same in every stream.
func (s *Shop) events(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	client := http.NewResponseController(w)
	ticker := time.NewTicker(eventInterval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		p := catalog[(n-1)%len(catalog)]
		_, err := fmt.Fprintf(w, "id: %d\nevent: view\ndata: {\"n\":%d,\"product\":%q,\"name\":%q}\n\n", n, n, p.ID, p.Name)
		if err != nil || client.Flush() != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
	}
}

// websocket sends every message back as it came, text or binary.
func (s *Shop) websocket(w http.ResponseWriter, r *http.Request) {
	s.sockets.Add(1)
	defer s.sockets.Done()
	conn, err := websocket.Accept(w, r, nil) // answers a request that is no handshake
	if err != nil {
		return
	}
	conn.SetReadLimit(maxSocketMessage)
	// A closing handshake from the shop's side when it stops; Read below then ends.
	closed := make(chan struct{})
	stop := context.AfterFunc(r.Context(), func() {
		defer close(closed)
		_ = conn.Close(websocket.StatusGoingAway, "the shop is closing")
	})
	defer func() {
		if !stop() {
			<-closed
		}
		_ = conn.CloseNow()
	}()
	for {
		kind, message, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}
