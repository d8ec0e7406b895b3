package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// What gateways that are alone in their group had counted is kept from time to time, for an hour and one interval.
const (
	pastEvery = 10 * time.Minute
	pastHour  = time.Hour
)

// samplePast keeps what lone gateways have counted, if it is time. Two managers that do it do no harm.
func (s *Service) samplePast(ctx context.Context) error {
	now := s.o.DB.Now()
	s.mu.Lock()
	due := now.Sub(s.sampled) >= pastEvery
	if due {
		s.sampled = now
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		groups, err := publish.GroupNames(tx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM rollout_past WHERE at < $1", tx.Now().Add(-pastHour-pastEvery)); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM rollout_refusals WHERE at < $1", tx.Now().Add(-refusalsKept)); err != nil {
			return err
		}
		for _, group := range groups {
			if err := s.sampleLone(tx, group); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) sampleLone(tx *store.Tx, group string) error {
	list, err := s.o.Gateways(tx, group)
	if err != nil || len(list) != 1 || list[0].Report == nil {
		return err
	}
	data, err := json.Marshal(sampleOf(list[0].Report))
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO rollout_past (gateway, at, sample) VALUES ($1, $2, $3) ON CONFLICT (gateway, at) DO NOTHING", list[0].Gateway, tx.Now(), data)
	return err
}

// pastOf is what lone gateways had counted an hour ago, or, without such a sample, when they began.
func pastOf(tx *store.Tx, gateways []Status) (map[string]sample, error) {
	out := map[string]sample{}
	if len(gateways) != 1 {
		return out, nil
	}
	name := gateways[0].Gateway
	var data []byte
	err := tx.Get(store.Row(&data), "SELECT sample FROM rollout_past WHERE gateway = $1 AND at >= $2 ORDER BY at LIMIT 1", name, tx.Now().Add(-pastHour-pastEvery))
	if errors.Is(err, store.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	var x sample
	err = json.Unmarshal(data, &x)
	out[name] = x
	return out, err
}

// saidNo is a report with refusals.
type saidNo struct {
	gateway string
	list    []refused
}

// refusalsKept is how long they are kept.
const refusalsKept = 24 * time.Hour

// Reported takes a gateway's report. It does not wait.
func (s *Service) Reported(gateway, _ string, report *fleetapi.Report) {
	no := saidNo{gateway: gateway}
	for _, r := range report.Refused {
		if r.Kind == revision.KindRevision || r.Kind == revision.KindHead {
			no.list = append(no.list, refused{Refusal: r})
		}
	}
	if report.Crashed != nil {
		no.list = append(no.list, refused{Refusal: *report.Crashed, Crashed: true})
	}
	if len(no.list) == 0 {
		return
	}
	select {
	case s.refusals <- no:
	default: // it does not serve the revision either, which is found, too
		s.log.Warn("a gateway's refusals are left out: too many wait", zap.String("gateway", gateway))
	}
}

// keepRefusals writes what gateways refused until ctx ends.
func (s *Service) keepRefusals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case no := <-s.refusals:
			if err := s.writeRefusals(ctx, no); err != nil && ctx.Err() == nil {
				s.log.Error("write what a gateway refused", zap.String("gateway", no.gateway), zap.Error(err))
			}
		}
	}
}

func (s *Service) writeRefusals(ctx context.Context, no saidNo) error {
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for i := range no.list {
			text, err := json.Marshal(no.list[i])
			if err != nil {
				return err
			}
			at := tx.Now().Add(time.Duration(i) * time.Microsecond)
			if _, err := tx.Exec("INSERT INTO rollout_refusals (gateway, at, refusal) VALUES ($1, $2, $3) ON CONFLICT (gateway, at) DO NOTHING",
				no.gateway, at, string(text)); err != nil {
				return err
			}
		}
		tx.Notify(Topic)
		return nil
	})
}

// refusalsOf are what gateways refused since a time.
func refusalsOf(tx *store.Tx, since time.Time) (map[string][]refused, error) {
	out := map[string][]refused{}
	err := tx.Query(func(scan func(...any) error) error {
		var gateway, text string
		if err := scan(&gateway, &text); err != nil {
			return err
		}
		var r refused
		err := json.Unmarshal([]byte(text), &r)
		out[gateway] = append(out[gateway], r)
		return err
	}, "SELECT gateway, refusal FROM rollout_refusals WHERE at >= $1 ORDER BY at", since)
	return out, err
}
