package managed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy/spool"
	"gatehouse/rules/fleetapi"
)

// spoolName is the directory of the events that the manager has not stored yet.
const spoolName = "events"

// sendEvents sends batches, one after the other, until ctx ends.
func (g *Gateway) sendEvents(ctx context.Context) {
	wait := backoff{first: g.times.Backoff, most: g.times.MaxBackoff}
	for {
		waiting := g.spool.Waiting()
		b := g.spool.Next()
		if b == nil {
			select {
			case <-waiting:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := g.sendBatch(ctx, b)
		if err == nil {
			wait.reset()
			continue
		}
		if ctx.Err() != nil {
			return
		}
		d := wait.next()
		var away *UnavailableError
		if errors.As(err, &away) {
			d = max(d, away.After)
		}
		g.log.Debug("events were not taken; they are sent again", zap.Error(err), zap.Duration("again_in", d))
		if !sleep(ctx, d) {
			return
		}
	}
}

// sendBatch sends a batch. Without an error it need not be sent again.
func (g *Gateway) sendBatch(ctx context.Context, b *spool.Batch) error {
	a, err := g.client.do(ctx, request{
		method: http.MethodPost, path: fleetapi.PathEvents, header: http.Header{"Content-Type": {"application/zstd"}}, body: b.Body,
		most: fleetapi.MaxRequest, stay: true,
	})
	var problem *fleetapi.Problem
	var away *UnavailableError
	if errors.As(err, &problem) && !errors.As(err, &away) {
		switch problem.Status {
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
			g.log.Error("the manager refuses a batch of events, which is lost", zap.Int64("sequence", b.Sequence), zap.Error(err))
			g.spool.Refused(b)
			return nil
		}
	}
	if err != nil {
		return err
	}
	var receipt fleetapi.Receipt
	if err := json.Unmarshal(a.body, &receipt); err != nil {
		return fmt.Errorf("read the receipt: %w", err)
	}
	if receipt.Stored < b.Sequence {
		return fmt.Errorf("the manager has stored up to batch %d, and not %d", receipt.Stored, b.Sequence)
	}
	g.spool.Done(b)
	return nil
}

// lastEvents is how long the end of the process waits for the manager to take what was recorded last.
const lastEvents = 3 * time.Second

// endEvents writes what waits to the disk, and sends it if the manager was there: the disk may go with the instance.
func (g *Gateway) endEvents() {
	defer g.client.drop()
	if g.spool == nil {
		return
	}
	g.spool.Close()
	if _, answered, failure := g.client.health(); g.identity.Load() == nil || answered.IsZero() || failure != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastEvents)
	defer cancel()
	for b := g.spool.Next(); b != nil; b = g.spool.Next() {
		if g.sendBatch(ctx, b) != nil {
			return
		}
	}
}
