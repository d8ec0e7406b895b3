// Package fleet is the manager's side of the gateways: their listener, how they join and renew, what each shall serve, and what they
// report.
//
// Invariant: a request is answered for the gateway whose key it came with, and what that gateway may know: its own group's. Whether it
// may at all is asked in the database at every request, not only when the connection began.
package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/fleet/authority"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// Topic is notified by whoever changes what gateways shall have: their polls are answered then.
const Topic = "fleet"

// Options are what a Service works with.
type Options struct {
	DB     *store.DB
	Vault  *secret.Vault
	Logger *zap.Logger
	Stack  string
	// Holder names this process among the managers of one database.
	Holder string
	// Names are the host names and addresses that gateways call the manager by.
	Names []string
	// Key signs what gateways trust.
	Key revision.Signer
	// GroupKey gives the key that opens a group's secrets.
	GroupKey func(tx *store.Tx, group string) (sealed.Key, error)
	// Heads gives the signed head that each gateway of a group shall have. nil is the group's own for all.
	Heads func(tx *store.Tx, group string) (func(gateway string) []byte, error)
	// Actions gives the emergency actions that each gateway of a group shall have. nil gives none.
	Actions func(tx *store.Tx, group string) (func(gateway string) *fleetapi.Signed, error)
	// Questions are what all gateways of a group are asked. nil asks nothing.
	Questions func(tx *store.Tx, group string) ([]fleetapi.Question, error)
	// Reported is told of each report; nil of none. It must not block.
	Reported func(gateway, group string, report *fleetapi.Report)
	// Events stores a batch of events, compressed as it came, and says up to which sequence all are stored. nil: the route is not there.
	Events func(ctx context.Context, gateway, group string, batch []byte) (fleetapi.Receipt, error)
	// FullEvents is how many events a second of one rule and application are sent in full; 0 is 10.
	FullEvents int
	// ReportEvery is how often gateways report while nothing happens; 0 is 10 s.
	ReportEvery time.Duration
	// Trial is how long a revision is on trial; 0 is 60 s.
	Trial time.Duration
	// RetireAfter is how long a gateway may be away while a manager is up; 0 is DefaultRetireAfter.
	RetireAfter time.Duration
}

// What is not said.
const (
	defaultFullEvents  = 10
	defaultReportEvery = 10 * time.Second
	defaultTrial       = 60 * time.Second
)

// Service is safe for concurrent use.
type Service struct {
	o    Options
	log  *zap.Logger
	busy chan struct{} // as many as are served at once of what costs much
	turn time.Duration // how long to wait for that

	stop     chan struct{} // closed when polls shall end
	stopOnce sync.Once

	mu       sync.Mutex // guards what follows
	ca       *authority.Authority
	listener certificate
	trust    trusted

	states  states
	reports reports
}

// New makes the service, with the authority and the first trust bundle if there are none.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.FullEvents == 0 {
		o.FullEvents = defaultFullEvents
	}
	if o.ReportEvery == 0 {
		o.ReportEvery = defaultReportEvery
	}
	if o.Trial == 0 {
		o.Trial = defaultTrial
	}
	if o.RetireAfter == 0 {
		o.RetireAfter = DefaultRetireAfter
	}
	s := &Service{o: o, log: o.Logger.Named("fleet"), busy: make(chan struct{}, atOnce), turn: longestTurn, stop: make(chan struct{})}
	s.states.groups = map[string]*groupState{}
	s.reports.pending, s.reports.last = map[string]*pending{}, map[string]place{}
	err := o.DB.Write(ctx, func(tx *store.Tx) error {
		ca, err := s.openAuthority(tx)
		if err != nil {
			return err
		}
		return s.firstTrust(tx, ca)
	})
	if err == nil {
		err = o.DB.Read(ctx, s.readTrust)
	}
	if err != nil {
		return nil, fmt.Errorf("open the fleet: %w", err)
	}
	return s, nil
}

// Run does the background work until ctx ends: it wakes polls and writes what gateways said.
func (s *Service) Run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { s.watch(ctx) })
	work.Go(func() { s.writeReports(ctx) })
	work.Go(func() { s.retire(ctx) })
	work.Wait()
}
