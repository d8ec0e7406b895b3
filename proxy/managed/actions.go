package managed

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// actionsName is the file of the emergency actions that are in force.
const actionsName = "actions.json"

// keptActions is what is on disk: the highest statement that was applied, and its actions.
type keptActions struct {
	Order   revision.Order   `json:"order"`
	Hash    revision.Hash    `json:"hash"`
	Group   string           `json:"group"`
	Actions *fleetapi.Signed `json:"actions"`
}

// statement is as much of the statement as an order is judged by.
func (k *keptActions) statement() revision.Statement {
	return revision.Statement{Kind: fleetapi.KindActions, Group: k.Group, Order: k.Order, Content: k.Hash}
}

// actionsState is how it is with emergency actions.
type actionsState struct {
	mu      sync.Mutex // guards what follows; taken before Gateway.mu
	kept    keptActions
	waiting *fleetapi.Signed // until there is a server
	inForce uint64           // number of what the server has
	answers []fleetapi.Answer
}

// loadActions reads what was in force before a restart. A damaged file is an error: it also says which actions are replays.
func (g *Gateway) loadActions() error {
	err := g.dir.read(actionsName, &g.actions.kept)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the emergency actions: %w", err)
	}
	return nil
}

// applyKept puts in force what was so before a restart, before the first request.
func (g *Gateway) applyKept(s *proxy.Server) {
	g.actions.mu.Lock()
	defer g.actions.mu.Unlock()
	kept := &g.actions.kept
	if kept.Actions == nil {
		return
	}
	if _, group, _ := g.stackAndGroup(); group != kept.Group { // it has joined another one since
		g.actions.kept = keptActions{}
		return
	}
	statement, set, err := g.openActions(kept.Actions)
	if err == nil && statement.Order != kept.Order {
		err = fmt.Errorf("they are of number %s, and %s was kept", statement.Order, kept.Order)
	}
	if err == nil {
		err = s.ApplyActions(set)
	}
	if err != nil {
		g.log.Error("the emergency actions of before the restart cannot be applied", zap.Error(err))
		return
	}
	g.actions.inForce = statement.Order.Number
}

// openActions verifies actions and reads them.
func (g *Gateway) openActions(x *fleetapi.Signed) (revision.Statement, *fleetapi.Actions, error) {
	statement, err := g.Verify(fleetapi.KindActions, x.Statement)
	if err != nil {
		return statement, nil, err
	}
	set := &fleetapi.Actions{}
	return statement, set, x.Open(statement, set)
}

// takeActions applies emergency actions, nil for those that wait for the server. They wait for no rollout and no revision.
func (g *Gateway) takeActions(x *fleetapi.Signed) {
	g.actions.mu.Lock()
	if x != nil {
		g.actions.waiting = x
	}
	x, s := g.actions.waiting, g.server.Load()
	if x == nil || s == nil {
		g.actions.mu.Unlock()
		return
	}
	g.actions.waiting = nil
	statement, done, err := g.applyActions(s, x)
	g.actions.mu.Unlock()
	if err != nil {
		g.refuse(fleetapi.Refusal{Kind: fleetapi.KindActions, Order: statement.Order, Hash: revision.HashOf(x.Document), Reason: err.Error()})
	} else if done {
		g.reportSoon()
	}
}

// applyActions verifies, applies and keeps actions. done is false if they are in force already. The caller holds actions.mu.
func (g *Gateway) applyActions(s *proxy.Server, x *fleetapi.Signed) (statement revision.Statement, done bool, err error) {
	statement, set, err := g.openActions(x)
	if err != nil {
		return statement, false, err
	}
	kept := &g.actions.kept
	if kept.Group == statement.Group {
		if err := statement.Follows(kept.statement()); err != nil {
			return statement, false, fmt.Errorf("emergency actions: %w", err)
		}
		if statement.Order == kept.Order && g.actions.inForce == statement.Order.Number {
			return statement, false, nil
		}
	}
	if err := s.ApplyActions(set); err != nil {
		return statement, false, err
	}
	*kept = keptActions{Order: statement.Order, Hash: statement.Content, Group: statement.Group, Actions: x}
	g.actions.inForce = statement.Order.Number
	if err := g.dir.write(actionsName, kept); err != nil {
		g.log.Error("the emergency actions cannot be kept on disk; after a restart without the manager they would not be in force", zap.Error(err))
	}
	return statement, true, nil
}

// answer answers questions, in every report until others are asked.
func (g *Gateway) answer(questions []fleetapi.Question) {
	s := g.server.Load()
	if s == nil {
		return
	}
	const most = 16 // at once
	var answers []fleetapi.Answer
	for i := range questions[:min(most, len(questions))] {
		answers = append(answers, s.AnswerQuestion(&questions[i]))
	}
	g.actions.mu.Lock()
	g.actions.answers = answers
	g.actions.mu.Unlock()
	if len(answers) > 0 {
		g.reportSoon()
	}
}

// reportActions says which actions are in force, and what was asked.
func (g *Gateway) reportActions(r *fleetapi.Report) {
	g.actions.mu.Lock()
	defer g.actions.mu.Unlock()
	r.Serving.Actions = g.actions.inForce
	r.Answers = append(r.Answers, g.actions.answers...)
}
