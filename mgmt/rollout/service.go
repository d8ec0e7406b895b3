package rollout

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// Topic is notified when a rollout has changed.
const Topic = "rollouts"

// Status is what is known of a gateway.
type Status struct {
	Gateway string
	Seen    time.Time        // when it was heard of last
	Report  *fleetapi.Report // its last; nil if there was none
}

// Options are what a Service works with.
type Options struct {
	DB      *store.DB
	Logger  *zap.Logger
	Stack   string
	Signers []revision.Signer
	// Holder names this manager among those of one database.
	Holder string
	// Gateways are those of a group that are neither revoked nor retired.
	Gateways func(tx *store.Tx, group string) ([]Status, error)
	// Rollback publishes a revision's content again as a new one.
	Rollback func(tx *store.Tx, by publish.Author, name string) (publish.Revision, error)
	// Wake are topics to notify when gateways shall be shown something else.
	Wake []string
	// Thresholds are what the judge goes by; zero is DefaultThresholds.
	Thresholds Thresholds
	// Every is how often open rollouts are judged; 0 is once a second.
	Every time.Duration
}

// Service is safe for concurrent use.
type Service struct {
	o   Options
	log *zap.Logger

	refusals chan saidNo

	mu       sync.Mutex // guards what follows
	heard    map[string]heard
	watching time.Time // since when this manager has looked at reports without a pause; zero: it does not
	lastLook time.Time
	samples  map[string]map[string]sample
	sampled  time.Time
	// suspicions are by rollout and stage. Another manager that goes on begins without.
	suspicions map[string]*suspicion
}

// heard is when the judge saw a gateway's latest report first.
type heard struct {
	boot     string
	sequence int64
	at       time.Time
}

// New makes a Service.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Thresholds == (Thresholds{}) {
		o.Thresholds = DefaultThresholds()
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	const waiting = 4096
	return &Service{
		o: o, log: o.Logger.Named("rollout"), refusals: make(chan saidNo, waiting), heard: map[string]heard{}, samples: map[string]map[string]sample{},
		suspicions: map[string]*suspicion{},
	}
}

// changed has gateways ask again.
func (s *Service) changed(tx *store.Tx) {
	for _, topic := range s.o.Wake {
		tx.Notify(topic)
	}
}

// Published begins the rollout of a revision, in the transaction that publishes it. One that the group has is over with that.
func (s *Service) Published(tx *store.Tx, r publish.Revision) error {
	open, err := List(tx, Filter{Group: r.Group, Open: true})
	if err != nil {
		return err
	}
	for i := range open {
		if err := s.end(tx, &open[i], Superseded, "revision "+r.Name+" was published"); err != nil {
			return err
		}
	}
	head, err := s.publisher(tx, r.Group).Head(tx.Context())
	if err != nil {
		return err
	}
	next := Rollout{
		ID: store.NewID("rol", tx.Now()), Group: r.Group, Order: r.Order, Hash: r.Hash, Author: r.Author, Began: tx.Now(), State: Running, Stage: -1,
		Judgement: Judgement{Outcome: goOn}, head: []byte{}, Base: nameOf(head),
	}
	next.Stages, next.soak = planOf(r.Content(), r.Group)
	same := head.Group != "" && (r.Hash == head.Content || r.Action == "rollback" && isName(r, head))
	gateways, err := s.o.Gateways(tx, r.Group)
	if err != nil {
		return err
	}
	switch {
	case head.Group == "":
		return s.finish(tx, &next, "it is the group's first revision")
	case same: // such as a rollback of what some gateways were shown
		return s.finish(tx, &next, "it has the content of "+next.Base+", which all gateways were to have")
	case len(gateways) == 0:
		return s.finish(tx, &next, "the group has no gateways")
	}
	if err := s.sign(tx, &next); err != nil {
		return err
	}
	return next.write(tx)
}

// nameOf names a revision with its epoch, such as edge/1-41.
func nameOf(s revision.Statement) string {
	if s.Group == "" {
		return ""
	}
	return fmt.Sprintf("%s/%d-%d", s.Group, s.Order.Epoch, s.Order.Number)
}

// isName says whether a rollback is to the revision that a head names.
func isName(r publish.Revision, head revision.Statement) bool {
	return r.Origin == Name(head.Group, head.Order) // no number is given twice, in whatever epoch
}

func (s *Service) publisher(tx *store.Tx, group string) *revision.Publisher {
	return &revision.Publisher{Depot: tx.Depot(), Stack: s.o.Stack, Group: group, Signers: s.o.Signers, Now: tx.Now}
}

// sign signs the head that the gateways of a rollout are shown.
func (s *Service) sign(tx *store.Tx, r *Rollout) (err error) {
	r.headAt = tx.Now()
	r.head, err = revision.Sign(tx.Context(), revision.Statement{
		Kind: revision.KindHead, Stack: s.o.Stack, Group: r.Group, Order: r.Order, Content: r.Hash, Time: tx.Now().Truncate(time.Second),
	}, s.o.Signers...)
	return err
}

// finish makes a revision that of all gateways.
func (s *Service) finish(tx *store.Tx, r *Rollout, reason string) error {
	if err := s.publisher(tx, r.Group).Advance(tx.Context(), r.Order, r.Hash); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM rollout_gateways WHERE grp = $1", r.Group); err != nil {
		return err
	}
	r.Stage = len(r.Stages) - 1
	return s.end(tx, r, Done, reason)
}

// end ends a rollout. What gateways were shown stays what they are shown, until the group has a later head.
func (s *Service) end(tx *store.Tx, r *Rollout, state State, reason string) error {
	now := tx.Now()
	r.State, r.Reason, r.Ended = state, reason, &now
	if _, err := tx.Exec("DELETE FROM rollout_samples WHERE rollout = $1", r.ID); err != nil {
		return err
	}
	s.changed(tx)
	return r.write(tx)
}

// Heads gives the signed head that each gateway of a group shall have.
func (s *Service) Heads(tx *store.Tx, group string) (func(gateway string) []byte, error) {
	all, _, err := tx.Depot().Get(tx.Context(), revision.HeadName(group), revision.MaxSigned)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	own, err := shownOf(tx, group)
	if err != nil {
		return nil, err
	}
	list, err := rollouts(tx, "WHERE grp = $1 AND (ended = 0 OR id IN (SELECT rollout FROM rollout_gateways WHERE grp = $1))", group)
	if err != nil {
		return nil, err
	}
	heads := map[string][]byte{}
	for i := range list {
		r := &list[i]
		if r.open() && r.last() {
			return func(string) []byte { return r.head }, nil
		}
		heads[r.ID] = r.head
	}
	return func(gateway string) []byte {
		if head := heads[own[gateway].rollout]; head != nil {
			return head
		}
		return all
	}, nil
}

// All names the revision that all gateways of a group are to have, empty if it has none.
func (s *Service) All(tx *store.Tx, group string) (string, error) {
	head, err := s.publisher(tx, group).Head(tx.Context())
	if err != nil || head.Group == "" {
		return "", err
	}
	return Name(group, head.Order), nil
}

// Name names a revision, such as edge/42.
func Name(group string, o revision.Order) string { return fmt.Sprintf("%s/%d", group, o.Number) }

// Pause keeps the next stage from beginning.
func (s *Service) Pause(tx *store.Tx, by publish.Author, id string) (Rollout, error) {
	return s.order(tx, by.Name, id, "pause", func(r *Rollout) error {
		if r.State == Paused {
			return problem.New(problem.Conflict, "the rollout of %s is paused already", r.Revision)
		}
		r.State, r.Reason = Paused, "paused by "+by.Name
		return nil
	})
}

// Resume lets a paused one go on.
func (s *Service) Resume(tx *store.Tx, by publish.Author, id string) (Rollout, error) {
	return s.order(tx, by.Name, id, "resume", func(r *Rollout) error {
		if r.State != Paused {
			return problem.New(problem.Conflict, "the rollout of %s is not paused; it is %s", r.Revision, r.State)
		}
		r.State, r.Reason = Running, ""
		return nil
	})
}

// Advance ends the stage without waiting for its time and for requests. What fails is halted all the same.
func (s *Service) Advance(tx *store.Tx, by publish.Author, id string) (Rollout, error) {
	return s.order(tx, by.Name, id, "advance", func(r *Rollout) error {
		r.State, r.Reason, r.Advance = Running, "advanced by "+by.Name, true
		return nil
	})
}

// Abort takes the revision back.
func (s *Service) Abort(tx *store.Tx, by publish.Author, id string) (Rollout, error) {
	return s.order(tx, by.Name, id, "abort", func(r *Rollout) error {
		return s.takeBack(tx, r, by, Aborted, "aborted by "+by.Name)
	})
}

// order carries out what an operator says.
func (s *Service) order(tx *store.Tx, by, id, action string, do func(*Rollout) error) (Rollout, error) {
	r, err := get(tx, id)
	if err != nil {
		return r, err
	}
	if !r.open() {
		return r, problem.New(problem.Conflict, "the rollout of %s is over: %s", r.Revision, r.State)
	}
	if err := do(&r); err != nil {
		return r, err
	}
	detail := map[string]any{"revision": r.Revision, "stage": r.Stage}
	if r.Back != "" {
		detail["back"] = r.Back
	}
	if err := tx.Audit(by, "rollout."+action, "rollouts/"+id, detail); err != nil {
		return r, err
	}
	return r, r.write(tx)
}

// takeBack ends a rollout and publishes what all had before.
func (s *Service) takeBack(tx *store.Tx, r *Rollout, by publish.Author, state State, reason string) error {
	if err := s.end(tx, r, state, reason); err != nil {
		return err
	}
	by.Note = "rollout of " + r.Revision + ": " + reason
	if len(by.Note) > maxNote {
		by.Note = by.Note[:maxNote]
	}
	back, err := s.o.Rollback(tx, by, r.Base)
	if err != nil {
		return fmt.Errorf("publish %s again: %w", r.Base, err)
	}
	r.Back = back.Name
	return r.write(tx)
}

// maxNote is how long the note of a revision is at most, as the API has it.
const maxNote = 500

// Get gives a rollout; the judgement of one that goes on is as of now.
func (s *Service) Get(tx *store.Tx, id string) (Rollout, error) {
	r, err := get(tx, id)
	if err != nil || !r.open() || r.Stage < 0 {
		return r, err
	}
	v, err := s.view(tx, &r)
	if err != nil {
		return r, err
	}
	r.Judgement = judge(s.input(v, tx.Now()))
	if r.Judgement.compared() {
		r.Judgement = r.Judgement.suspected()
	}
	return r, nil
}
