package action

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// Share is which part of the last 15 minutes' requests an action would have hit, by what the gateways have kept of them.
type Share struct {
	Requests int64   `json:"requests"`
	Hit      int64   `json:"hit"`
	Share    float64 `json:"share"` // 0 to 1; 0 without requests
	// Gateways is how many were asked, Answered how many of them have answered in time.
	Gateways int `json:"gateways"`
	Answered int `json:"answered"`
	// Refusal is why a gateway would refuse the action in any case.
	Refusal string `json:"refusal,omitempty"`
}

// enough is from how many requests on a share says something.
const enough = 100

// Ask asks the gateways of groups which share an action would have hit, and waits until all have answered or the patience is at its end.
func (s *Service) Ask(ctx context.Context, a fleetapi.Action, groups []string) (Share, error) {
	id := store.NewID("ask", s.o.DB.Now())
	connected := map[string]bool{}
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		body, err := json.Marshal(fleetapi.Question{ID: id, Action: a})
		if err != nil {
			return err
		}
		clear(connected)
		for _, group := range groups {
			list, err := s.o.Connected(tx, group)
			if err != nil {
				return err
			}
			for _, name := range list {
				connected[name] = true
			}
			if len(list) == 0 {
				continue
			}
			if _, err := tx.Exec("INSERT INTO action_questions (id, grp, at, body) VALUES ($1, $2, $3, $4)", id, group, tx.Now(), string(body)); err != nil {
				return err
			}
		}
		tx.Notify(s.o.FleetTopic)
		return nil
	})
	if err != nil || len(connected) == 0 {
		return Share{}, err
	}
	defer s.forget(ctx, id)
	patience := time.NewTimer(s.o.Patience)
	defer patience.Stop()
	for {
		woken := s.o.DB.Wake(Topic)
		share, err := s.answers(ctx, id)
		share.Gateways = len(connected)
		if err != nil || share.Answered >= len(connected) || share.Refusal != "" {
			return share, err
		}
		select {
		case <-woken:
		case <-patience.C:
			return share, nil
		case <-ctx.Done():
			return share, ctx.Err()
		}
	}
}

// answers adds up what was answered.
func (s *Service) answers(ctx context.Context, id string) (out Share, err error) {
	err = s.o.DB.Read(ctx, func(tx *store.Tx) error {
		out = Share{}
		return tx.Query(func(scan func(...any) error) error {
			var requests, hit int64
			var refusal string
			err := scan(&requests, &hit, &refusal)
			out.Requests, out.Hit, out.Answered = out.Requests+requests, out.Hit+hit, out.Answered+1
			if refusal != "" {
				out.Refusal = refusal
			}
			return err
		}, "SELECT requests, hit, refusal FROM action_answers WHERE question = $1", id)
	})
	if out.Requests > 0 {
		out.Share = float64(out.Hit) / float64(out.Requests)
	}
	return out, err
}

// forget ends a question.
func (s *Service) forget(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.o.DB.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM action_questions WHERE id = $1", id)
		if err == nil {
			_, err = tx.Exec("DELETE FROM action_answers WHERE question = $1", id)
		}
		tx.Notify(s.o.FleetTopic)
		return err
	})
	if err != nil {
		s.log.Warn("a question that was answered stays; gateways answer it again")
	}
}

// questionAge is for how long a question is asked at most, whatever becomes of the manager that asks it.
const questionAge = time.Minute

// Questions are what the gateways of a group are asked.
func (s *Service) Questions(tx *store.Tx, group string) (list []fleetapi.Question, err error) {
	err = tx.Query(func(scan func(...any) error) error {
		var body string
		if err := scan(&body); err != nil {
			return err
		}
		var q fleetapi.Question
		err := json.Unmarshal([]byte(body), &q)
		list = append(list, q)
		return err
	}, "SELECT body FROM action_questions WHERE grp = $1 AND at > $2 ORDER BY id", group, tx.Now().Add(-questionAge))
	return list, err
}

// Guard refuses what must not be done: what a gateway refuses always, and unless it is forced, what would have hit more than a tenth of
// the requests.
func Guard(share Share, force bool) error {
	if share.Refusal != "" {
		return problem.New(problem.Conflict, "refused: %s", share.Refusal)
	}
	if !force && share.Requests >= enough && share.Share > fleetapi.GuardShare {
		p := problem.New(problem.Conflict, "it would have hit %.0f %% of the last 15 minutes' requests (%d of %d), more than %.0f %%: narrow it down, or force it",
			100*share.Share, share.Hit, share.Requests, 100*fleetapi.GuardShare)
		p.Code = "needs_force"
		return p.At("body.force", fmt.Sprintf("would hit %.0f %% of the requests", 100*share.Share), false)
	}
	return nil
}
