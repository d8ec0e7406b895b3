package mgmt

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/mgmt/event"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// eventsFile is SQLite's, in the directory of data.
const eventsFile = "events.db"

// Background work on events: by whoever has the lease.
const (
	eventsLease   = "events"
	eventsHoldFor = 3 * time.Minute
)

// openEvents opens what keeps the events.
func (s *Server) openEvents(ctx context.Context, registry prometheus.Registerer) error {
	o, err := storeOptions(s.opts.Settings)
	if err != nil {
		return err
	}
	settings := s.opts.Settings
	s.events, err = event.Open(ctx, event.Options{
		URL: o.URL, File: filepath.Join(settings.Data, eventsFile), Logger: s.log, Now: s.opts.Now,
		Keep: time.Duration(settings.Events.Keep), MaxSize: int64(settings.Events.MaxSize), Registerer: registry,
	})
	if err != nil {
		return err
	}
	s.onStart(s.tidyEvents)
	return nil
}

// takeEvents stores what a gateway sends.
func (s *Server) takeEvents(ctx context.Context, gateway, group string, batch []byte) (fleetapi.Receipt, error) {
	receipt, err := s.events.Take(ctx, event.Gateway{Name: gateway, Group: group}, batch)
	var p *problem.Problem
	if !errors.As(err, &p) {
		return receipt, err
	}
	out := &fleetapi.Problem{Title: "the batch of events is not taken", Detail: p.Message}
	switch p.Kind {
	case problem.Malformed:
		out.Status = http.StatusBadRequest
	case problem.Invalid:
		out.Status = http.StatusUnprocessableEntity
	case problem.TooLarge:
		out.Status = http.StatusRequestEntityTooLarge
	case problem.TooMany:
		out.Type, out.Status = fleetapi.ProblemBusy, http.StatusTooManyRequests
	default:
		return receipt, err
	}
	return receipt, out
}

// tidyEvents drops old events while this manager has the lease.
func (s *Server) tidyEvents(ctx context.Context) {
	var lease store.Lease
	s.events.Tidy(ctx, func(ctx context.Context) bool {
		l, err := s.db.Acquire(ctx, eventsLease, s.holder, eventsHoldFor)
		if err == nil {
			lease = l
		}
		return err == nil
	})
	s.release(ctx, lease)
}
