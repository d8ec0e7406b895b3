package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/fleet/authority"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// states are what the gateways of each group shall have, read once for all that wait.
type states struct {
	mu     sync.Mutex // guards what follows, and not what is in a group
	groups map[string]*groupState
}

// groupState is what one group's gateways shall have, as of when it was read.
type groupState struct {
	stale chan struct{} // closed when there may be something new

	read sync.Once
	err  error
	all  fleetapi.State
	head func(gateway string) []byte
	// actions gives the same pointer for the same actions.
	actions func(gateway string) *fleetapi.Signed

	mu   sync.Mutex // guards what follows
	last own        // of the answer below
	tag  string
	body []byte
}

// own is what not all gateways of a group have alike.
type own struct {
	head    []byte
	actions *fleetapi.Signed
}

// stateOf gives what a group shall have.
func (s *Service) stateOf(ctx context.Context, group string) (*groupState, error) {
	s.states.mu.Lock()
	g := s.states.groups[group]
	if g == nil {
		g = &groupState{stale: make(chan struct{})}
		s.states.groups[group] = g
	}
	s.states.mu.Unlock()
	g.read.Do(func() {
		// Whoever waits for it does not lose it because the first who asked has gone.
		g.err = s.o.DB.Read(context.WithoutCancel(ctx), func(tx *store.Tx) error { return s.readState(tx, group, g) })
	})
	if g.err != nil {
		s.forget(group, g)
	}
	return g, g.err
}

// forget has the group read again.
func (s *Service) forget(group string, g *groupState) {
	s.states.mu.Lock()
	defer s.states.mu.Unlock()
	if s.states.groups[group] == g {
		delete(s.states.groups, group)
		close(g.stale)
	}
}

func (s *Service) readState(tx *store.Tx, group string, g *groupState) (err error) {
	g.all = fleetapi.State{
		Trial: fleetapi.SecondsOf(s.o.Trial), ReportEvery: fleetapi.SecondsOf(s.o.ReportEvery), FullEvents: s.o.FullEvents,
	}
	if t := s.trustNow(); t.serial > 1 {
		g.all.Trust = t.signed
	}
	if s.o.Heads != nil {
		g.head, err = s.o.Heads(tx, group)
	} else {
		g.head, err = groupHead(tx, group)
	}
	g.actions = func(string) *fleetapi.Signed { return nil }
	if err == nil && s.o.Actions != nil {
		g.actions, err = s.o.Actions(tx, group)
	}
	if err == nil && s.o.Questions != nil {
		g.all.Questions, err = s.o.Questions(tx, group)
	}
	return err
}

// groupHead gives all gateways of a group its head.
func groupHead(tx *store.Tx, group string) (func(string) []byte, error) {
	head, _, err := tx.Depot().Get(tx.Context(), revision.HeadName(group), revision.MaxSigned)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return func(string) []byte { return head }, nil
}

// answer is the state of one gateway with its tag. Those that have the same share it.
func (g *groupState) answer(gateway string) (tag string, body []byte, err error) {
	mine := own{g.head(gateway), g.actions(gateway)}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.body != nil && g.last.actions == mine.actions && bytes.Equal(g.last.head, mine.head) {
		return g.tag, g.body, nil
	}
	state := g.all
	state.Head, state.Actions = mine.head, mine.actions
	if g.body, err = json.Marshal(state); err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(g.body)
	g.last, g.tag = mine, `"`+hex.EncodeToString(sum[:12])+`"`
	return g.tag, g.body, nil
}

// serveState answers with what the gateway shall have, when that is something else than it has.
func (s *Service) serveState(w http.ResponseWriter, r *http.Request, g authority.Gateway) error {
	wait := time.NewTimer(preferred(r))
	defer wait.Stop()
	for {
		state, err := s.stateOf(r.Context(), g.Group)
		if err != nil {
			return err
		}
		tag, body, err := state.answer(g.Name)
		if err != nil {
			return err
		}
		if r.Header.Get("If-None-Match") != tag {
			w.Header().Set("ETag", tag)
			return answerJSON(w, body)
		}
		select {
		case <-state.stale:
			// Whether it may still ask is asked again: it may have been revoked meanwhile.
			if err := s.o.DB.Read(r.Context(), func(tx *store.Tx) error { return allowed(tx, g.Name, g.Group) }); err != nil {
				return err
			}
		case <-wait.C:
			w.Header().Set("ETag", tag)
			w.WriteHeader(http.StatusNotModified)
			return nil
		case <-r.Context().Done():
			return nil
		case <-s.stopping():
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
}

// preferred is how long the request would wait.
func preferred(r *http.Request) time.Duration {
	for _, p := range strings.Split(r.Header.Get("Prefer"), ",") {
		if text, ok := strings.CutPrefix(strings.TrimSpace(p), "wait="); ok {
			if n, err := strconv.Atoi(text); err == nil && n > 0 {
				return min(time.Duration(n)*time.Second, fleetapi.LongestWait)
			}
		}
	}
	return 0
}

// watch has states read again after whatever may have changed them.
func (s *Service) watch(ctx context.Context) {
	for {
		woken, moved := s.o.DB.Wake(Topic), s.o.DB.Wake(store.HeadsTopic)
		if err := s.o.DB.Read(ctx, s.readTrust); err != nil && ctx.Err() == nil {
			s.log.Warn("read what gateways trust; it is tried again with the next change", zap.Error(err))
		}
		s.stale()
		select {
		case <-ctx.Done():
			return
		case <-woken:
		case <-moved:
		}
	}
}

// stale has all groups read again.
func (s *Service) stale() {
	s.states.mu.Lock()
	defer s.states.mu.Unlock()
	for group, g := range s.states.groups {
		delete(s.states.groups, group)
		close(g.stale)
	}
}

// stopping is closed when polls shall end.
func (s *Service) stopping() <-chan struct{} { return s.stop }

// Stop ends waiting polls: the gateways ask again, elsewhere if this manager ends.
func (s *Service) Stop() { s.stopOnce.Do(func() { close(s.stop) }) }

// object answers with an object of the depot.
func (s *Service) object(ctx context.Context, g authority.Gateway, name string) (data []byte, err error) {
	if !strings.HasPrefix(name, g.Group+"/") {
		return nil, noObject(name)
	}
	err = s.o.DB.Read(ctx, func(tx *store.Tx) error {
		data, _, err = tx.Depot().Get(ctx, name, maxObject)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = noObject(name)
	}
	return data, err
}

// maxObject is how large an object of the depot may be, in bytes.
const maxObject = 256 << 20

func noObject(name string) error {
	return &fleetapi.Problem{Title: fmt.Sprintf("there is no object %.200q for this gateway", name), Status: http.StatusNotFound}
}
