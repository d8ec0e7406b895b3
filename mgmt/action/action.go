// Package action keeps the emergency actions of the fleet: block, limit, mode, and a rule left out.
//
// An action is asked about first: every gateway says which share of its last requests it would have hit. Then it is signed, with all that
// are in force in its group, and shown to one gateway; when that has proven and applied it, to all. It ends by itself, or by one
// command.
//
// Invariant: what a group's gateways are shown has a higher number than all that they were shown before, so that nothing that was
// undone comes back.
package action

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// Topic is notified when gateways have answered, or taken or refused actions.
const Topic = "actions"

// Options are what a Service works with.
type Options struct {
	DB     *store.DB
	Logger *zap.Logger
	Stack  string
	Signer revision.Signer
	// FleetTopic wakes the polls of gateways.
	FleetTopic string
	// Connected are the gateways of a group that take traffic, by name.
	Connected func(tx *store.Tx, group string) ([]string, error)
	// Holder names this process among the managers of one database.
	Holder string
	// Patience is how long a gateway may take to answer; 0 is 3 s.
	Patience time.Duration
}

const defaultPatience = 3 * time.Second

// Service is safe for concurrent use.
type Service struct {
	o   Options
	log *zap.Logger

	said chan said // what gateways report of actions

	mu   sync.Mutex // guards what follows
	sets map[string]cached
}

// cached is a group's set as gateways are shown it.
type cached struct {
	order  revision.Order
	signed *fleetapi.Signed
}

// New makes a Service.
func New(o Options) *Service {
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	const waiting = 10_000 // reports; beyond that they come again
	return &Service{o: o, log: o.Logger.Named("actions"), said: make(chan said, waiting), sets: map[string]cached{}}
}

// Action is an emergency action with what became of it.
type Action struct {
	fleetapi.Action
	Group string `json:"group"`
	// Status is in_force, pending (no gateway has it yet), expired, undone or refused.
	Status string `json:"status" enum:"in_force,pending,expired,undone,refused"`
	// Ended is when it was undone or refused, and Why who has undone it, or the words of the gateway that has refused it.
	Ended  time.Time `json:"ended,omitzero"`
	Why    string    `json:"why,omitempty"`
	Number uint64    `json:"number"` // of the set that it came with
}

// How actions are, and how they end before their time.
const (
	inForce = "in_force"
	pending = "pending"

	Undone  = "undone"
	Refused = "refused"
)

const actionQuery = "SELECT id, grp, ended, ended_at, why, number, proven, body FROM actions "

func (a *Action) scan(scan func(...any) error, now time.Time) error {
	var id, ended, body string
	var endedAt, number int64
	var proven bool
	if err := scan(&id, &a.Group, &ended, &endedAt, &a.Why, &number, &proven, &body); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(body), &a.Action); err != nil {
		return err
	}
	a.Number = uint64(number) //nolint:gosec // it begins at 1
	switch {
	case ended != "":
		a.Status, a.Ended = ended, time.UnixMicro(endedAt).UTC()
	case !now.Before(a.Expires):
		a.Status = "expired"
	case !proven:
		a.Status = pending
	default:
		a.Status = inForce
	}
	return nil
}

// Filter chooses actions. Empty fields choose all.
type Filter struct {
	Group, Application string
	All                bool   // also those that have ended
	After              string // the ID of the last one of the page before
	Most               int
}

// List gives actions, the latest first.
func List(tx *store.Tx, f Filter) (list []Action, err error) {
	if f.After == "" {
		f.After = "~" // behind all IDs
	}
	where := "WHERE id < $1 AND ($2 = '' OR grp = $2) AND (expires > $3 AND ended = '' OR $4 = 1) ORDER BY id DESC"
	err = tx.Query(func(scan func(...any) error) error {
		var a Action
		err := a.scan(scan, tx.Now())
		if err == nil && (f.Application == "" || f.Application == a.Application) && len(list) < f.Most {
			list = append(list, a)
		}
		return err
	}, actionQuery+where, f.After, f.Group, tx.Now(), f.All)
	return list, err
}

// Get gives an action.
func Get(tx *store.Tx, id string) (a Action, err error) {
	found := false
	err = tx.Query(func(scan func(...any) error) error {
		found = true
		return a.scan(scan, tx.Now())
	}, actionQuery+"WHERE id = $1", id)
	if err == nil && !found {
		err = problem.New(problem.NotFound, "there is no action %s", id)
	}
	return a, err
}

// Check says what is wrong with an action, by its field.
func Check(a *fleetapi.Action) error {
	err := a.Check()
	var field *fleetapi.FieldError
	if errors.As(err, &field) {
		if field.Field == "expires" {
			field.Field = "for"
		}
		return problem.Field("body."+field.Field, nil, "%s", field.Message)
	}
	return err
}

// Add puts an action in force in a group. The caller has checked it, and asked about it.
func (s *Service) Add(tx *store.Tx, a fleetapi.Action, group string) (Action, error) {
	already, err := List(tx, Filter{Group: group, Most: fleetapi.MaxActions})
	if err != nil {
		return Action{}, err
	}
	if len(already) == fleetapi.MaxActions {
		return Action{}, problem.New(problem.Conflict, "%d actions are in force in group %s already: undo some", len(inForce), group)
	}
	body, err := json.Marshal(a)
	if err != nil {
		return Action{}, err
	}
	if _, err = tx.Exec("INSERT INTO actions (id, grp, author, at, expires, ended, ended_at, why, number, proven, body) VALUES ($1, $2, $3, $4, $5, '', 0, '', 0, 0, $6)",
		a.ID, group, a.Author, a.Created, a.Expires, string(body)); err != nil {
		return Action{}, err
	}
	number, err := s.sign(tx, group)
	if err != nil {
		return Action{}, err
	}
	if _, err = tx.Exec("UPDATE actions SET number = $2 WHERE id = $1", a.ID, number); err != nil {
		return Action{}, err
	}
	detail := map[string]any{"group": group, "kind": a.Kind, "expires": a.Expires, "reason": a.Reason, "action": json.RawMessage(body)}
	if err = tx.Audit(a.Author, "action."+string(a.Kind), "actions/"+a.ID, detail); err != nil {
		return Action{}, err
	}
	return Get(tx, a.ID)
}

// Undo ends an action. Undoing one that has ended already changes nothing.
func (s *Service) Undo(tx *store.Tx, by, id string) (Action, error) {
	a, err := Get(tx, id)
	if err != nil || a.Status != inForce && a.Status != pending {
		return a, err
	}
	if err := s.end(tx, a, Undone, by); err != nil {
		return a, err
	}
	if err := tx.Audit(by, "action.undo", "actions/"+id, map[string]string{"group": a.Group}); err != nil {
		return a, err
	}
	return Get(tx, id)
}

// end takes an action out of what is in force.
func (s *Service) end(tx *store.Tx, a Action, how, why string) error {
	if _, err := tx.Exec("UPDATE actions SET ended = $2, ended_at = $3, why = $4 WHERE id = $1", a.ID, how, tx.Now(), why); err != nil {
		return err
	}
	_, err := s.sign(tx, a.Group)
	return err
}

// sign signs what is in force in a group, with the next number. If some of it is not proven, one gateway gets it before the others.
func (s *Service) sign(tx *store.Tx, group string) (number int64, err error) {
	list, err := List(tx, Filter{Group: group, Most: fleetapi.MaxActions})
	if err != nil {
		return 0, err
	}
	set := fleetapi.Actions{Format: 1, Actions: []fleetapi.Action{}}
	first := false
	for _, a := range slices.Backward(list) {
		first = first || a.Status == pending
		set.Actions = append(set.Actions, a.Action)
	}
	epoch, err := tx.Epoch()
	if err != nil {
		return 0, err
	}
	var before int64
	if err := tx.Get(store.Row(&number, &before), "SELECT number, epoch FROM action_sets WHERE grp = $1", group); err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	number++
	order := revision.Order{Epoch: max(epoch, uint64(before)), Number: uint64(number)} //nolint:gosec // none is below 0
	signed, err := fleetapi.Sign(tx.Context(), fleetapi.KindActions, s.o.Stack, group, order, tx.Now(), set, s.o.Signer)
	if err != nil {
		return 0, err
	}
	text, err := json.Marshal(signed)
	if err != nil {
		return 0, err
	}
	gateway := ""
	if first {
		if gateway, err = s.next(tx, group, nil); err != nil {
			return 0, err
		}
	}
	if first && gateway == "" {
		if err := prove(tx, group); err != nil { // those that come later prove it themselves
			return 0, err
		}
	}
	_, err = tx.Exec(`INSERT INTO action_sets (grp, epoch, number, at, first, tried, asked, signed) VALUES ($1, $2, $3, $4, $5, '', $4, $6)
		ON CONFLICT (grp) DO UPDATE SET epoch = excluded.epoch, number = excluded.number, at = excluded.at, first = excluded.first, tried = '',
		asked = excluded.asked, signed = excluded.signed`, group, int64(order.Epoch), number, tx.Now(), gateway, text) //nolint:gosec // a time in seconds at most
	tx.Notify(s.o.FleetTopic)
	tx.Notify(Topic)
	return number, err
}

// prove notes that what is in force has been applied by a gateway.
func prove(tx *store.Tx, group string) error {
	_, err := tx.Exec("UPDATE actions SET proven = 1 WHERE grp = $1 AND ended = ''", group)
	return err
}

// next is a connected gateway that was not tried, empty if there is none.
func (s *Service) next(tx *store.Tx, group string, tried []string) (string, error) {
	list, err := s.o.Connected(tx, group)
	for _, name := range list {
		if !slices.Contains(tried, name) {
			return name, err
		}
	}
	return "", err
}

// set is a row of action_sets.
type set struct {
	group, first string
	tried        []string
	order        revision.Order
	asked        time.Time
	signed       []byte
}

// sets are those of all groups, or of one.
func sets(tx *store.Tx, group string) (list []set, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		var x set
		var tried string
		var epoch, number int64
		err := scan(&x.group, &epoch, &number, &x.first, &tried, &x.asked, &x.signed)
		x.order = revision.Order{Epoch: uint64(epoch), Number: uint64(number)} //nolint:gosec // none is below 0
		if tried != "" {
			x.tried = strings.Split(tried, ",")
		}
		list = append(list, x)
		return err
	}, "SELECT grp, epoch, number, first, tried, asked, signed FROM action_sets WHERE $1 = '' OR grp = $1 ORDER BY grp", group)
	return list, err
}

// Current is the number of what is in force in a group, 0 if nothing ever was.
func Current(tx *store.Tx, group string) (uint64, error) {
	list, err := sets(tx, group)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].order.Number, nil
}

// Shown gives what each gateway of a group shall have; nil is what it has.
func (s *Service) Shown(tx *store.Tx, group string) (func(gateway string) *fleetapi.Signed, error) {
	list, err := sets(tx, group)
	if err != nil || len(list) == 0 {
		return func(string) *fleetapi.Signed { return nil }, err
	}
	x := list[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.sets[group]
	if c.order != x.order {
		c = cached{order: x.order, signed: &fleetapi.Signed{}}
		if err := json.Unmarshal(x.signed, c.signed); err != nil {
			return nil, err
		}
		s.sets[group] = c
	}
	signed, first := c.signed, x.first
	return func(gateway string) *fleetapi.Signed {
		if first != "" && gateway != first {
			return nil
		}
		return signed
	}, nil
}
