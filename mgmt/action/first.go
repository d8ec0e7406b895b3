package action

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// said is what a gateway reports of actions.
type said struct {
	gateway, group string
	number         uint64 // of the set that it has in force
	refused        []fleetapi.Refusal
	answers        []fleetapi.Answer
}

// Reported takes a gateway's report. It does not wait: what does not fit comes again with the next report.
func (s *Service) Reported(gateway, group string, r *fleetapi.Report) {
	x := said{gateway: gateway, group: group, number: r.Serving.Actions, answers: r.Answers}
	for _, refusal := range r.Refused {
		if refusal.Kind == fleetapi.KindActions {
			x.refused = append(x.refused, refusal)
		}
	}
	select {
	case s.said <- x:
	default:
	}
}

// Times of the background work.
const (
	lookEvery = time.Second
	lease     = "actions"
	holdFor   = 10 * time.Second
)

// Run does the background work until ctx ends: it notes what gateways say, and goes on to another one if the first of a set is silent.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var held store.Lease
	defer func() {
		if held.Token != 0 {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_ = s.o.DB.Release(last, held) // it ends by itself otherwise
		}
	}()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case x := <-s.said:
			err = s.note(ctx, x)
		case <-tick.C:
			if held, err = s.o.DB.Acquire(ctx, lease, s.o.Holder, holdFor); err == nil {
				err = s.look(ctx, held)
			}
		}
		if err != nil && !errors.Is(err, store.ErrLeaseLost) && ctx.Err() == nil {
			s.log.Warn("emergency actions; it is tried again", zap.Error(err))
		}
	}
}

// note writes what a gateway says, if it is news.
func (s *Service) note(ctx context.Context, x said) error {
	var news bool
	err := s.o.DB.Read(ctx, func(tx *store.Tx) (err error) {
		news, err = isNews(tx, x)
		return err
	})
	if err != nil || !news {
		return err
	}
	return s.o.DB.Write(ctx, func(tx *store.Tx) error {
		for _, a := range x.answers {
			if err := noteAnswer(tx, x.gateway, a); err != nil {
				return err
			}
		}
		list, err := sets(tx, x.group)
		if err != nil || len(list) == 0 || list[0].first != x.gateway {
			return err
		}
		first := list[0]
		for _, r := range x.refused {
			if r.Order == first.order {
				return s.refused(tx, first, x.gateway, r.Reason)
			}
		}
		if x.number == first.order.Number {
			return s.release(tx, first)
		}
		return nil
	})
}

// isNews says whether there is something to write: most reports say nothing new.
func isNews(tx *store.Tx, x said) (bool, error) {
	if len(x.answers) > 0 {
		return true, nil
	}
	list, err := sets(tx, x.group)
	return err == nil && len(list) > 0 && list[0].first == x.gateway, err
}

func noteAnswer(tx *store.Tx, gateway string, a fleetapi.Answer) error {
	var n int64
	if err := tx.Get(store.Row(&n), "SELECT COUNT(*) FROM action_questions WHERE id = $1", a.ID); err != nil {
		return err
	}
	if n == 0 {
		return nil // it was answered in time, or never asked
	}
	refusal := a.Refusal
	if len(refusal) > maxWords {
		refusal = refusal[:maxWords]
	}
	added, err := tx.Exec("INSERT INTO action_answers (question, gateway, requests, hit, refusal) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (question, gateway) DO NOTHING",
		a.ID, gateway, max(0, a.Requests), max(0, min(a.Hit, a.Requests)), refusal)
	if added > 0 {
		tx.Notify(Topic)
	}
	return err
}

// maxWords is how many bytes of a gateway's words are kept.
const maxWords = 2000

// release shows a set to all gateways.
func (s *Service) release(tx *store.Tx, x set) error {
	n, err := tx.Exec("UPDATE action_sets SET first = '' WHERE grp = $1 AND number = $2", x.group, int64(x.order.Number)) //nolint:gosec // it was read as one
	if err == nil && n > 0 {                                                                                              // else there is a later set
		err = prove(tx, x.group)
	}
	tx.Notify(s.o.FleetTopic)
	tx.Notify(Topic)
	return err
}

// refused takes back the latest action that no gateway has applied: the first gateway has refused what it came with.
func (s *Service) refused(tx *store.Tx, x set, gateway, reason string) error {
	list, err := List(tx, Filter{Group: x.group, Most: fleetapi.MaxActions})
	if err != nil {
		return err
	}
	if len(reason) > maxWords {
		reason = reason[:maxWords]
	}
	for _, a := range list { // the latest first
		if a.Status != pending {
			continue
		}
		if err := tx.Audit("manager", "action.refused", "actions/"+a.ID, map[string]string{"group": a.Group, "gateway": gateway, "reason": reason}); err != nil {
			return err
		}
		return s.end(tx, a, Refused, gateway+": "+reason)
	}
	return s.release(tx, x) // it has ended meanwhile
}

// look goes on to another gateway where the first one is silent, and to all where there is no other.
func (s *Service) look(ctx context.Context, held store.Lease) error {
	var silent []set
	err := s.o.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := sets(tx, "")
		silent = nil
		for _, x := range list {
			if x.first != "" && tx.Now().Sub(x.asked) >= s.o.Patience {
				silent = append(silent, x)
			}
		}
		return err
	})
	for _, x := range silent {
		if err != nil {
			return err
		}
		err = s.o.DB.Write(ctx, func(tx *store.Tx) error {
			if err := tx.Fence(held); err != nil {
				return err
			}
			return s.another(tx, x)
		})
	}
	return err
}

// mostTried is how many gateways may be silent in turn, before all get a set: an attack does not wait.
const mostTried = 3

func (s *Service) another(tx *store.Tx, x set) error {
	tried := append(x.tried, x.first) //nolint:gocritic // x is not used again
	first, err := "", error(nil)
	if len(tried) < mostTried {
		if first, err = s.next(tx, x.group, tried); err != nil {
			return err
		}
	}
	s.log.Warn("a gateway that was to try emergency actions first says nothing", zap.String("gateway", x.first), zap.String("group", x.group), zap.String("next", first))
	if first == "" {
		return s.release(tx, x)
	}
	_, err = tx.Exec("UPDATE action_sets SET first = $3, tried = $4, asked = $5 WHERE grp = $1 AND number = $2", x.group, int64(x.order.Number), first, strings.Join(tried, ","), tx.Now()) //nolint:gosec // it was read as one
	tx.Notify(s.o.FleetTopic)
	return err
}

// Wait waits until an action is in force or has ended, at most as long as ctx lasts: then it is still pending.
func (s *Service) Wait(ctx context.Context, id string) (a Action, err error) {
	for {
		woken := s.o.DB.Wake(Topic)
		err = s.o.DB.Read(context.WithoutCancel(ctx), func(tx *store.Tx) error {
			a, err = Get(tx, id)
			return err
		})
		if err != nil || a.Status != pending {
			return a, err
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return a, nil
		}
	}
}
