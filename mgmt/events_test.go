package mgmt

import (
	"errors"
	"net/http"
	"testing"

	"github.com/klauspost/compress/zstd"

	"gatehouse/rules/fleetapi"
)

// TestEventsRefused shows what a gateway is told of a batch that is not taken: it drops what will never be taken, and sends the rest again.
func TestEventsRefused(t *testing.T) {
	s := startServer(t, testSettings(t))
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	for want, batch := range map[int][]byte{
		http.StatusBadRequest:            []byte("not a batch"),
		http.StatusUnprocessableEntity:   encoder.EncodeAll([]byte(`{}`), nil),
		http.StatusRequestEntityTooLarge: make([]byte, fleetapi.MaxBatch+1),
	} {
		_, err := s.takeEvents(t.Context(), "gw-1", "edge", batch)
		var p *fleetapi.Problem
		if !errors.As(err, &p) || p.Status != want || p.Detail == "" {
			t.Errorf("%v, want status %d", err, want)
		}
	}
}
