package mgmt

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse/mgmt/event"
	"gatehouse/mgmt/store"
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
