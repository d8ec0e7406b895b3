package rollout

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/proxy/config"
	"gatehouse/rules/revision"
)

// State is how it is with a rollout.
type State string

// The states. The first three go on.
const (
	Running    State = "running"
	Waiting    State = "waiting" // it cannot be judged: somebody is asked
	Paused     State = "paused"  // no stage begins; what fails is halted all the same
	Done       State = "done"
	Halted     State = "halted"     // the judge took it back
	Aborted    State = "aborted"    // an operator took it back
	Superseded State = "superseded" // by a later revision
)

// Rollout is how a revision reaches a group.
type Rollout struct {
	ID       string         `json:"id"`
	Group    string         `json:"group"`
	Revision string         `json:"revision"` // such as edge/42
	Order    revision.Order `json:"order"`
	Hash     revision.Hash  `json:"hash"`
	Base     string         `json:"base,omitempty"` // the revision that all had before
	Author   string         `json:"author"`
	Stages   []config.Stage `json:"stages" nullable:"false"`
	Soak     string         `json:"soak"` // of each stage
	Began    time.Time      `json:"began"`
	Ended    *time.Time     `json:"ended,omitempty"`
	State    State          `json:"state" enum:"running,waiting,paused,done,halted,aborted,superseded"`
	// Stage is the index of the stage, -1 before the first; StageAt when it began. Advance says that an operator ends it without judging.
	Stage   int       `json:"stage"`
	StageAt time.Time `json:"stage_at,omitzero"`
	Advance bool      `json:"advance,omitempty"`
	// Reason says why it is in its state, and Judgement what the judge says; of one that goes on, as of now.
	Reason    string    `json:"reason,omitempty"`
	Judgement Judgement `json:"judgement"`
	// Back is the revision that took it back.
	Back string `json:"back,omitempty"`

	soak   time.Duration
	head   []byte
	headAt time.Time
}

// open says whether it goes on.
func (r *Rollout) open() bool { return r.Ended == nil }

// last says whether it is in the last stage, in which all gateways are shown the revision.
func (r *Rollout) last() bool { return r.Stage == len(r.Stages)-1 }

const rolloutColumns = `SELECT id, grp, epoch, number, hash, base, author, stages, soak, began, ended, state, stage, stage_at, advance, judgement,
reason, back, head, head_at FROM rollouts `

func rollouts(tx *store.Tx, query string, args ...any) (list []Rollout, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		var r Rollout
		var hash, stages, judgement string
		var soak int64
		var ended time.Time
		if err := scan(store.Row(&r.ID, &r.Group, &r.Order.Epoch, &r.Order.Number, &hash, &r.Base, &r.Author, &stages, &soak, &r.Began, &ended, &r.State,
			&r.Stage, &r.StageAt, &r.Advance, &judgement, &r.Reason, &r.Back, &r.head, &r.headAt)...); err != nil {
			return err
		}
		if !ended.IsZero() {
			r.Ended = &ended
		}
		r.Revision = Name(r.Group, r.Order)
		r.soak = time.Duration(soak) * time.Microsecond
		r.Soak = config.Duration(r.soak).String()
		if err := r.Hash.UnmarshalText([]byte(hash)); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(stages), &r.Stages); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(judgement), &r.Judgement); err != nil {
			return err
		}
		list = append(list, r)
		return nil
	}, rolloutColumns+query, args...)
	return list, err
}

// write writes all of a rollout.
func (r *Rollout) write(tx *store.Tx) error {
	stages, err := json.Marshal(r.Stages)
	if err != nil {
		return err
	}
	judgement, err := json.Marshal(r.Judgement)
	if err != nil {
		return err
	}
	ended := time.Time{}
	if r.Ended != nil {
		ended = *r.Ended
	}
	_, err = tx.Exec(`INSERT INTO rollouts (id, grp, epoch, number, hash, base, author, stages, soak, began, ended, state, stage, stage_at, advance, judgement,
reason, back, head, head_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, state = excluded.state, stage = excluded.stage, stage_at = excluded.stage_at,
advance = excluded.advance, judgement = excluded.judgement, reason = excluded.reason, back = excluded.back, head = excluded.head, head_at = excluded.head_at`,
		r.ID, r.Group, int64(r.Order.Epoch), int64(r.Order.Number), r.Hash.String(), r.Base, r.Author, string(stages), r.soak.Microseconds(), //nolint:gosec // small
		r.Began, ended, string(r.State), r.Stage, r.StageAt, r.Advance, string(judgement), r.Reason, r.Back, r.head, r.headAt)
	tx.Notify(Topic)
	return err
}

// Filter chooses rollouts.
type Filter struct {
	Group  string
	Open   bool   // those that go on
	Before string // an ID: those that began before it
	Most   int
}

// List gives rollouts, the latest first.
func List(tx *store.Tx, f Filter) ([]Rollout, error) {
	where, args := []string{"1 = 1"}, []any{}
	and := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf("%s $%d", condition, len(args)))
	}
	if f.Group != "" {
		and("grp =", f.Group)
	}
	if f.Open {
		and("ended =", 0)
	}
	if f.Before != "" {
		and("id <", f.Before)
	}
	query := "WHERE " + strings.Join(where, " AND ") + " ORDER BY id DESC"
	if f.Most > 0 {
		query += fmt.Sprintf(" LIMIT %d", f.Most)
	}
	return rollouts(tx, query, args...)
}

// get gives one rollout.
func get(tx *store.Tx, id string) (Rollout, error) {
	list, err := rollouts(tx, "WHERE id = $1", id)
	if err == nil && len(list) == 0 {
		err = problem.New(problem.NotFound, "there is no rollout %.100s", id)
	}
	if err != nil {
		return Rollout{}, err
	}
	return list[0], nil
}

// shown is a gateway that was shown a revision before all were.
type shown struct {
	gateway string
	rollout string
	stage   int
	at      time.Time
	boot    string
	away    bool
}

func shownOf(tx *store.Tx, group string) (map[string]shown, error) {
	out := map[string]shown{}
	err := tx.Query(func(scan func(...any) error) error {
		var s shown
		err := scan(store.Row(&s.gateway, &s.rollout, &s.stage, &s.at, &s.boot, &s.away)...)
		out[s.gateway] = s
		return err
	}, "SELECT gateway, rollout, stage, at, boot, away FROM rollout_gateways WHERE grp = $1", group)
	return out, err
}

func (s *shown) write(tx *store.Tx, group string) error {
	_, err := tx.Exec(`INSERT INTO rollout_gateways (gateway, grp, rollout, stage, at, boot, away) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (gateway) DO UPDATE SET grp = excluded.grp, rollout = excluded.rollout, stage = excluded.stage, at = excluded.at, boot = excluded.boot, away = excluded.away`,
		s.gateway, group, s.rollout, s.stage, s.at, s.boot, s.away)
	return err
}
