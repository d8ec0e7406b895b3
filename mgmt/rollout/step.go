package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/store"
)

// Times of the background work.
const (
	leaseName  = "rollouts"
	leaseHold  = 15 * time.Second
	idleLook   = 5 * time.Second  // how often to look for open rollouts that nobody told of
	headAge    = 30 * time.Minute // at which the head of a rollout is signed anew
	aliveFor   = 60 * time.Second // without a word, a gateway is chosen for no stage
	mostPause  = 10 * time.Second // between two looks; after a longer one nobody counts as silent
	manager    = "manager"        // in audit entries and as an author
	rollbackBy = "rollout"
)

// Run judges open rollouts until ctx ends.
func (s *Service) Run(ctx context.Context) {
	done := make(chan struct{})
	go func() { defer close(done); s.keepRefusals(ctx) }()
	defer func() { <-done }()
	var lease store.Lease
	defer func() { s.release(ctx, lease) }()
	for ctx.Err() == nil {
		woken := s.o.DB.Wake(Topic)
		pause := s.o.Every
		open, err := s.lookAt(ctx, &lease)
		switch {
		case errors.Is(err, store.ErrLeaseLost):
			lease = store.Lease{}
			s.stopWatching()
		case err != nil && ctx.Err() == nil:
			s.log.Warn("judge rollouts; it is tried again", zap.Error(err))
		case err == nil && !open:
			pause = idleLook
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (s *Service) release(ctx context.Context, lease store.Lease) {
	if lease.Token == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), idleLook)
	defer cancel()
	if err := s.o.DB.Release(ctx, lease); err != nil {
		s.log.Warn("give a lease back", zap.Error(err))
	}
}

func (s *Service) stopWatching() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watching = time.Time{}
	clear(s.heard)
}

// lookAt goes on with every open rollout, and says whether there are any.
func (s *Service) lookAt(ctx context.Context, lease *store.Lease) (open bool, err error) {
	if err := s.samplePast(ctx); err != nil {
		return false, err
	}
	var list []Rollout
	if err := s.o.DB.Read(ctx, func(tx *store.Tx) (err error) {
		list, err = List(tx, Filter{Open: true})
		return err
	}); err != nil || len(list) == 0 {
		s.stopWatching()
		return false, err
	}
	if lease.Until.Sub(s.o.DB.Now()) < leaseHold/2 {
		if *lease, err = s.o.DB.Acquire(ctx, leaseName, s.o.Holder, leaseHold); err != nil {
			return true, err
		}
	}
	s.watch()
	for i := range list {
		if e := s.step(ctx, *lease, list[i].ID); e != nil {
			err = errors.Join(err, fmt.Errorf("the rollout of %s: %w", list[i].Revision, e))
		}
	}
	return true, err
}

// watch notes that reports are looked at: since when, and that there was no pause.
func (s *Service) watch() {
	now := s.o.DB.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watching.IsZero() || now.Sub(s.lastLook) > mostPause {
		s.watching = now
		clear(s.heard)
	}
	s.lastLook = now
}

// step judges one rollout and does what follows from it. What is looked at is read first, so that writing waits for little.
func (s *Service) step(ctx context.Context, lease store.Lease, id string) error {
	var next func(*store.Tx) error
	if err := s.o.DB.Read(ctx, func(tx *store.Tx) error {
		r, err := get(tx, id)
		if err != nil || !r.open() {
			return err
		}
		v, err := s.view(tx, &r)
		if err != nil {
			return err
		}
		s.listen(v.gateways, tx.Now())
		next = s.decide(v, tx.Now())
		return nil
	}); err != nil || next == nil {
		return err
	}
	return s.carryOut(ctx, lease, next)
}

// carryOut writes what was decided, while the lease is this manager's.
func (s *Service) carryOut(ctx context.Context, lease store.Lease, do func(*store.Tx) error) error {
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		if err := tx.Fence(lease); err != nil {
			return err
		}
		return do(tx)
	})
	var stuck *stuckError
	switch {
	case errors.Is(err, errChanged):
		return nil // it is looked at again
	case errors.As(err, &stuck):
		return s.carryOut(ctx, lease, stuck.instead)
	}
	return err
}

// stuckError says that what there was before cannot be published again, and what is done instead.
type stuckError struct {
	error
	instead func(*store.Tx) error
}

func (e *stuckError) Unwrap() error { return e.error }

// errChanged says that a rollout was changed between reading and writing.
var errChanged = errors.New("the rollout was changed meanwhile")

// decide gives what is to be written, nil for nothing.
func (s *Service) decide(v *view, now time.Time) func(*store.Tx) error {
	r := v.rollout
	if came, left := v.moves(now); r.Stage >= 0 && len(came)+len(left) > 0 {
		return s.unchanged(r, func(tx *store.Tx) error { return s.move(tx, r, came, left) })
	}
	if now.Sub(r.headAt) > headAge {
		return s.unchanged(r, func(tx *store.Tx) error {
			s.changed(tx)
			return errors.Join(s.sign(tx, r), r.write(tx))
		})
	}
	if r.Stage < 0 {
		if r.State == Paused {
			return nil
		}
		return s.begin(v, now)
	}
	j := s.confirmed(v, s.input(v, now))
	was := r.Judgement
	r.Judgement = j
	switch {
	case j.Outcome == fail:
		return s.unchanged(r, func(tx *store.Tx) error { return s.halt(tx, r) })
	case r.State == Paused:
		return nil
	case j.Outcome == pass && r.last():
		return s.unchanged(r, func(tx *store.Tx) error {
			if err := tx.Audit(manager, "rollout.done", "rollouts/"+r.ID, map[string]any{"revision": r.Revision}); err != nil {
				return err
			}
			return s.finish(tx, r, "")
		})
	case j.Outcome == pass:
		return s.begin(v, now)
	case j.Outcome == ask && (r.State != Waiting || was.Cause != j.Cause):
		r.State, r.Reason = Waiting, j.Reason
		return s.unchanged(r, func(tx *store.Tx) error {
			s.log.Warn("a rollout waits for somebody to decide", zap.String("revision", r.Revision), zap.String("reason", j.Reason))
			return errors.Join(r.write(tx), tx.Audit(manager, "rollout.wait", "rollouts/"+r.ID, map[string]any{"revision": r.Revision, "reason": j.Reason}))
		})
	case j.Outcome == goOn && r.State == Waiting:
		r.State, r.Reason = Running, ""
		return s.unchanged(r, r.write)
	}
	return nil
}

// unchanged does something with a rollout if it is as it was read.
func (s *Service) unchanged(r *Rollout, do func(*store.Tx) error) func(*store.Tx) error {
	read := *r
	return func(tx *store.Tx) error {
		now, err := get(tx, r.ID)
		if err != nil {
			return err
		}
		if !now.open() || now.Stage != read.Stage || (now.State == Paused) != (read.State == Paused) || now.Advance != read.Advance {
			return errChanged
		}
		*r = read // a transaction may be run again
		return do(tx)
	}
}

// halt takes the revision back, for what the judge says. If what was there before cannot be published again, nothing more gets the revision, and
// the gateways that have it keep it.
func (s *Service) halt(tx *store.Tx, r *Rollout) error {
	judged := r.Judgement.Reason
	s.log.Error("a rollout is halted", zap.String("revision", r.Revision), zap.String("reason", judged))
	err := s.takeBack(tx, r, publish.Author{Name: manager, Source: rollbackBy}, Halted, judged)
	var refused *problem.Problem
	if errors.As(err, &refused) {
		return &stuckError{err, s.unchanged(r, func(tx *store.Tx) error {
			reason := fmt.Sprintf("%s; the gateways that have it keep it, for %v", judged, err)
			return errors.Join(s.end(tx, r, Halted, reason), s.auditHalt(tx, r))
		})}
	}
	if err != nil {
		return err
	}
	return s.auditHalt(tx, r)
}

func (s *Service) auditHalt(tx *store.Tx, r *Rollout) error {
	return tx.Audit(manager, "rollout.halt", "rollouts/"+r.ID, map[string]any{"revision": r.Revision, "judgement": r.Judgement, "back": r.Back})
}

// alive are the gateways that a stage may choose among.
func (v *view) alive(now time.Time) (names []string) {
	for _, g := range v.gateways {
		if g.Report != nil && !g.Report.Draining && now.Sub(g.Seen) <= aliveFor {
			names = append(names, g.Gateway)
		}
	}
	return names
}

// begin begins the next stage.
func (s *Service) begin(v *view, now time.Time) func(*store.Tx) error {
	r, alive := v.rollout, v.alive(now)
	var have, without []string
	for _, name := range alive {
		if v.has(name) {
			have = append(have, name)
		} else {
			without = append(without, name)
		}
	}
	if len(alive) == 0 && !r.Advance {
		const reason = "no gateway of the group is there to try it on; it waits for one, or for somebody who advances or aborts it"
		if r.State == Waiting && r.Reason == reason {
			return nil
		}
		r.State, r.Reason = Waiting, reason
		return s.unchanged(r, r.write)
	}
	stage := nextStage(r.Stages, r.Stage, len(have), len(alive))
	if len(alive) == 0 {
		stage = len(r.Stages) - 1
	}
	behind := func(name string) bool { _, shown := v.shown[name]; return shown } // by a rollout before
	chosen := choose(r.ID, without, behind, sizeOf(r.Stages[stage], len(alive))-len(have))
	return s.unchanged(r, func(tx *store.Tx) error {
		r.Stage, r.StageAt, r.State, r.Reason, r.Advance = stage, tx.Now(), Running, "", false
		r.Judgement = Judgement{Outcome: goOn, Gateways: len(have) + len(chosen), Acknowledged: len(have)}
		if err := takeSamples(tx, r, v.gateways); err != nil {
			return err
		}
		if err := s.show(tx, v, r, chosen); err != nil {
			return err
		}
		s.log.Info("a stage of a rollout begins", zap.String("revision", r.Revision), zap.String("stage", string(r.Stages[stage])),
			zap.Int("gateways", len(have)+len(chosen)), zap.Int("of", len(alive)))
		if err := tx.Audit(manager, "rollout.stage", "rollouts/"+r.ID, map[string]any{
			"revision": r.Revision, "stage": r.Stages[stage], "gateways": len(have) + len(chosen), "of": len(alive),
		}); err != nil {
			return err
		}
		return r.write(tx)
	})
}

// show shows the revision to gateways.
func (s *Service) show(tx *store.Tx, v *view, r *Rollout, gateways []string) error {
	boots := map[string]string{}
	for _, g := range v.gateways {
		if g.Report != nil {
			boots[g.Gateway] = g.Report.Boot
		}
	}
	for _, name := range gateways {
		x := shown{gateway: name, rollout: r.ID, stage: r.Stage, at: tx.Now(), boot: boots[name]}
		if err := x.write(tx, r.Group); err != nil {
			return err
		}
	}
	s.changed(tx)
	return nil
}

// moves are the gateways that came in the last stage, in which all are shown the revision, or came back, and those that said that they end.
func (v *view) moves(now time.Time) (came, left []shown) {
	for _, g := range v.gateways {
		x, ok := v.shown[g.Gateway]
		mine := ok && x.rollout == v.rollout.ID
		switch {
		case g.Report == nil || now.Sub(g.Seen) > aliveFor && !mine:
		case mine && !x.away && g.Report.Draining:
			x.away = true
			left = append(left, x)
		case g.Report.Draining:
		case mine && x.away && g.Report.Boot != x.boot, !mine && v.rollout.last():
			came = append(came, shown{gateway: g.Gateway, rollout: v.rollout.ID, stage: v.rollout.Stage, boot: g.Report.Boot})
		}
	}
	return came, left
}

// move notes gateways that came and left.
func (s *Service) move(tx *store.Tx, r *Rollout, came, left []shown) error {
	for i := range came {
		came[i].at = tx.Now()
	}
	for _, x := range append(came, left...) {
		if err := x.write(tx, r.Group); err != nil {
			return err
		}
	}
	s.changed(tx)
	return nil
}
