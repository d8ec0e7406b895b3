package fleet

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/fleet/authority"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// reports are what gateways said since it was last written.
type reports struct {
	mu      sync.Mutex // guards what follows
	pending map[string]*pending
	last    map[string]place // the latest report of each gateway
	epoch   uint64           // the highest that was seen
}

// place is which report of which process it is.
type place struct {
	boot   string
	number int64
}

// pending is what is to be written of one gateway.
type pending struct {
	seen   time.Time
	report []byte // nil: nothing new
}

// saw notes that a gateway asked something.
func (s *Service) saw(name string) {
	now := s.o.DB.Now()
	s.reports.mu.Lock()
	defer s.reports.mu.Unlock()
	s.reports.of(name).seen = now
}

func (r *reports) of(name string) *pending {
	p := r.pending[name]
	if p == nil {
		p = &pending{}
		r.pending[name] = p
	}
	return p
}

// report takes a gateway's report.
func (s *Service) report(g authority.Gateway, report *fleetapi.Report) error {
	report.Version, report.Why = clip(report.Version), clip(report.Why)
	for i := range report.Refused {
		report.Refused[i].Reason = clipReason(report.Refused[i].Reason)
	}
	if report.Crashed != nil {
		report.Crashed.Reason = clipReason(report.Crashed.Reason)
	}
	text, err := json.Marshal(report)
	if err != nil {
		return err
	}
	s.reports.mu.Lock()
	if last := s.reports.last[g.Name]; last.boot == report.Boot && last.number >= report.Sequence {
		s.reports.mu.Unlock()
		return nil // an older one that came late
	}
	s.reports.last[g.Name] = place{report.Boot, report.Sequence}
	p := s.reports.of(g.Name)
	p.report, p.seen = text, s.o.DB.Now()
	s.reports.epoch = max(s.reports.epoch, report.Serving.Revision.Epoch)
	s.reports.mu.Unlock()
	if s.o.Reported != nil {
		s.o.Reported(g.Name, g.Group, report)
	}
	return nil
}

// maxReason is how many bytes of a gateway's words are kept.
const maxReason = 4000

func clipReason(text string) string {
	if len(text) > maxReason {
		text = text[:maxReason] + "..."
	}
	return text
}

// writeEvery is how often what gateways said is written.
const writeEvery = time.Second

// writeReports writes what gateways said, until ctx ends.
func (s *Service) writeReports(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			s.flush(last)
			return
		case <-tick.C:
			s.flush(ctx)
		}
	}
}

// flush writes what is new in one transaction. What could not be written is written next time.
func (s *Service) flush(ctx context.Context) {
	s.reports.mu.Lock()
	batch, epoch := s.reports.pending, s.reports.epoch
	s.reports.pending = make(map[string]*pending, len(batch))
	s.reports.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for name, p := range batch {
			if err := p.write(tx, name); err != nil {
				return err
			}
		}
		return s.raiseEpoch(tx, epoch)
	})
	if err == nil {
		return
	}
	s.log.Warn("write what gateways said; it is tried again", zap.Int("gateways", len(batch)), zap.Error(err))
	s.reports.mu.Lock()
	defer s.reports.mu.Unlock()
	for name, p := range batch {
		if now := s.reports.pending[name]; now == nil {
			s.reports.pending[name] = p
		} else if now.report == nil {
			now.report = p.report
		}
	}
}

func (p *pending) write(tx *store.Tx, name string) error {
	if p.report == nil {
		_, err := tx.Exec(`INSERT INTO gateway_status (name, seen, away, report) VALUES ($1, $2, 0, '')
			ON CONFLICT (name) DO UPDATE SET seen = excluded.seen, away = 0`, name, p.seen)
		return err
	}
	_, err := tx.Exec(`INSERT INTO gateway_status (name, seen, away, report) VALUES ($1, $2, 0, $3)
		ON CONFLICT (name) DO UPDATE SET seen = excluded.seen, away = 0, report = excluded.report`, name, p.seen, string(p.report))
	return err
}

// raiseEpoch makes the epoch higher than one that a gateway has seen and this database has not: it was restored from a backup, and
// what is published next must come after all that gateways have. A restore makes the epoch the time in seconds: no gateway
// can have a later one.
func (s *Service) raiseEpoch(tx *store.Tx, seen uint64) error {
	epoch, err := tx.Epoch()
	if err != nil || seen <= epoch {
		return err
	}
	if latest := tx.Now().Add(24 * time.Hour).Unix(); seen > uint64(latest) { //nolint:gosec // a time after 1970
		s.log.Error("a gateway says that it serves an epoch that nobody can have made; it is ignored", zap.Uint64("seen", seen))
		return nil
	}
	if _, err := tx.RaiseEpoch(seen); err != nil {
		return err
	}
	s.log.Warn("gateways serve revisions of a later epoch than this database knows: it was restored from an older backup; what is published next comes after them",
		zap.Uint64("seen", seen), zap.Uint64("was", epoch))
	return tx.Audit("manager", "epoch.raise", "epoch", map[string]uint64{"seen": seen, "was": epoch})
}
