package rollout

import (
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
)

// view is what is known of a rollout's gateways.
type view struct {
	rollout  *Rollout
	gateways []Status
	shown    map[string]shown // also by rollouts before
	samples  map[string]sample
	past     map[string]sample
	refused  map[string][]refused
}

func (s *Service) view(tx *store.Tx, r *Rollout) (v *view, err error) {
	v = &view{rollout: r}
	if v.gateways, err = s.o.Gateways(tx, r.Group); err != nil {
		return nil, err
	}
	if v.shown, err = shownOf(tx, r.Group); err != nil {
		return nil, err
	}
	if v.samples, err = s.stageSamples(tx, r); err != nil {
		return nil, err
	}
	if v.past, err = pastOf(tx, v.gateways); err != nil {
		return nil, err
	}
	v.refused, err = refusalsOf(tx, r.Began)
	return v, err
}

// has says whether a gateway was shown the rollout's revision, and is to be judged by it.
func (v *view) has(gateway string) bool {
	x, ok := v.shown[gateway]
	return ok && x.rollout == v.rollout.ID && !x.away
}

// stageSamples are what the gateways had counted when the stage began. They are read once: they do not change.
func (s *Service) stageSamples(tx *store.Tx, r *Rollout) (map[string]sample, error) {
	key := fmt.Sprintf("%s %d", r.ID, r.Stage)
	s.mu.Lock()
	known := s.samples[key]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	out := map[string]sample{}
	err := tx.Query(func(scan func(...any) error) error {
		var gateway string
		var data []byte
		if err := scan(&gateway, &data); err != nil {
			return err
		}
		var x sample
		err := json.Unmarshal(data, &x)
		out[gateway] = x
		return err
	}, "SELECT gateway, sample FROM rollout_samples WHERE rollout = $1", r.ID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 64
	if len(s.samples) > most {
		clear(s.samples)
	}
	s.samples[key] = out
	return out, nil
}

// takeSamples keeps what all gateways have counted, at the beginning of a stage.
func takeSamples(tx *store.Tx, r *Rollout, gateways []Status) error {
	if _, err := tx.Exec("DELETE FROM rollout_samples WHERE rollout = $1", r.ID); err != nil {
		return err
	}
	for _, g := range gateways {
		if g.Report == nil {
			continue
		}
		data, err := json.Marshal(sampleOf(g.Report))
		if err != nil {
			return err
		}
		if _, err := tx.Exec("INSERT INTO rollout_samples (rollout, gateway, sample) VALUES ($1, $2, $3)", r.ID, g.Gateway, data); err != nil {
			return err
		}
	}
	return nil
}

// input is what the judge is asked at some time.
func (s *Service) input(v *view, now time.Time) trialInput {
	r := v.rollout
	s.mu.Lock()
	defer s.mu.Unlock()
	in := trialInput{
		now: now, order: r.Order, hash: r.Hash, head: revision.HashOf(r.head), stageBegan: r.StageAt, soak: r.soak, watching: s.watching,
		thresholds: s.o.Thresholds, forgetSoak: r.Advance,
	}
	if in.watching.IsZero() { // somebody else watches, and says who is silent
		in.watching = now
	}
	var before []member
	for _, g := range v.gateways {
		m := member{name: g.Gateway, seen: g.Seen, last: g.Report, start: v.samples[g.Gateway], past: v.past[g.Gateway], refused: v.refused[g.Gateway]}
		if h, ok := s.heard[g.Gateway]; ok {
			m.seen = h.at
		}
		x, ok := v.shown[g.Gateway]
		switch {
		case ok && x.rollout == r.ID && !x.away:
			m.began, m.boot, m.fresh = x.at, x.boot, x.stage == r.Stage
			in.with = append(in.with, m)
			if !m.fresh {
				before = append(before, m)
			}
		case !ok && g.Report != nil:
			in.others = append(in.others, m)
		}
	}
	if r.last() && len(before) > 0 {
		in.others, in.othersAgree = before, true
	}
	return in
}

// listen notes which gateways have said something new.
func (s *Service) listen(gateways []Status, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range gateways {
		if g.Report == nil {
			continue
		}
		if h, ok := s.heard[g.Gateway]; !ok || h.boot != g.Report.Boot || h.sequence != g.Report.Sequence {
			s.heard[g.Gateway] = heard{g.Report.Boot, g.Report.Sequence, now}
		}
	}
}
