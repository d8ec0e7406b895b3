package fleet

import (
	"encoding/json"
	"errors"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
)

// Gateway is what is known of a gateway.
type Gateway struct {
	Name     string    `json:"name"`
	Group    string    `json:"group"`
	Instance string    `json:"instance"`
	Joined   time.Time `json:"joined"`
	JoinedBy string    `json:"joined_by"`
	Serial   string    `json:"serial"` // of its latest certificate
	NotAfter time.Time `json:"not_after"`
	// Ended is empty, revoked or retired.
	Ended   string    `json:"ended,omitempty"`
	EndedAt time.Time `json:"ended_at,omitzero"`
	// Seen is when it was heard of last; zero before it was.
	Seen time.Time `json:"seen,omitzero"`
	// Report is its last; nil before the first.
	Report *fleetapi.Report `json:"report,omitempty"`
}

// How gateways end.
const (
	Revoked = "revoked"
	Retired = "retired"
)

// Silent is after which time without a word a gateway counts as away: a poll takes up to LongestWait, and reports come more often.
const Silent = 90 * time.Second

// Away says whether nothing was heard of a gateway for long.
func (g *Gateway) Away(now time.Time) bool {
	seen := g.Seen
	if seen.IsZero() {
		seen = g.Joined
	}
	return g.Ended == "" && now.Sub(seen) > Silent
}

const gatewayQuery = `SELECT g.name, g.grp, g.instance, g.joined, g.joined_by, g.serial, g.not_after, g.ended, g.ended_at, COALESCE(s.seen, 0), COALESCE(s.report, '')
	FROM gateways g LEFT JOIN gateway_status s ON s.name = g.name `

// scan reads a row of gatewayQuery.
func (g *Gateway) scan(scan func(...any) error) error {
	var endedAt, seen int64
	var report string
	if err := scan(&g.Name, &g.Group, &g.Instance, &g.Joined, &g.JoinedBy, &g.Serial, &g.NotAfter, &g.Ended, &endedAt, &seen, &report); err != nil {
		return err
	}
	if endedAt > 0 {
		g.EndedAt = time.UnixMicro(endedAt).UTC()
	}
	if seen > 0 {
		g.Seen = time.UnixMicro(seen).UTC()
	}
	if report == "" {
		return nil
	}
	g.Report = &fleetapi.Report{}
	return json.Unmarshal([]byte(report), g.Report)
}

// Filter chooses gateways. Empty fields choose all.
type Filter struct {
	Group string
	// Ended are those that were revoked or retired; without it, those that were not.
	Ended bool
	After string // by name
	Most  int    // 0 is all
}

// Gateways are those that a filter chooses, by name.
func Gateways(tx *store.Tx, f Filter) (list []Gateway, err error) {
	ended := "="
	if f.Ended {
		ended = "<>"
	}
	if f.Most == 0 {
		f.Most = 1 << 30
	}
	err = tx.Query(func(scan func(...any) error) error {
		var g Gateway
		err := g.scan(scan)
		list = append(list, g)
		return err
	}, gatewayQuery+"WHERE ($1 = '' OR g.grp = $1) AND g.ended "+ended+" '' AND g.name > $2 ORDER BY g.name LIMIT $3", f.Group, f.After, f.Most)
	return list, err
}

// Connected are the gateways of a group that take traffic and were heard of lately, by name.
func Connected(tx *store.Tx, group string) (names []string, err error) {
	list, err := Gateways(tx, Filter{Group: group})
	for _, g := range list {
		if !g.Away(tx.Now()) && g.Report != nil && g.Report.Ready && !g.Report.Draining {
			names = append(names, g.Name)
		}
	}
	return names, err
}

// GetGateway gives one gateway.
func GetGateway(tx *store.Tx, name string) (Gateway, error) {
	var g Gateway
	found := false
	err := tx.Query(func(scan func(...any) error) error {
		found = true
		return g.scan(scan)
	}, gatewayQuery+"WHERE g.name = $1", name)
	if err == nil && !found {
		err = problem.New(problem.NotFound, "there is no gateway %s", name)
	}
	return g, err
}

// RevokeGateway ends a gateway: its certificates are good for nothing from now on. It goes on serving what it serves.
func (s *Service) RevokeGateway(tx *store.Tx, by, name, note string) (Gateway, error) {
	g, err := GetGateway(tx, name)
	if err != nil || g.Ended == Revoked {
		return g, err
	}
	g.Ended, g.EndedAt = Revoked, tx.Now()
	detail := map[string]string{"group": g.Group, "instance": g.Instance}
	if note != "" {
		detail["note"] = note
	}
	return g, errors.Join(s.end(tx, g), tx.Audit(by, "gateway.revoke", "gateways/"+name, detail))
}

// end writes that a gateway has ended.
func (s *Service) end(tx *store.Tx, g Gateway) error {
	_, err := tx.Exec("UPDATE gateways SET ended = $2, ended_at = $3 WHERE name = $1", g.Name, g.Ended, g.EndedAt)
	tx.Notify(Topic) // its poll ends
	return err
}

// allowed says why a gateway may not ask, nil if it may.
func allowed(tx *store.Tx, name, group string) error {
	var ended, grp string
	err := tx.Get(store.Row(&ended, &grp), "SELECT ended, grp FROM gateways WHERE name = $1", name)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && grp != group:
		return &fleetapi.Problem{Type: fleetapi.ProblemRevoked, Title: "this manager does not know the gateway " + name + ": join again", Status: 403}
	case err != nil:
		return err
	case ended == Revoked:
		return &fleetapi.Problem{Type: fleetapi.ProblemRevoked, Title: "the gateway " + name + " was revoked: join again, with a new token", Status: 403}
	case ended == Retired:
		return &fleetapi.Problem{Type: fleetapi.ProblemRetired, Title: "the gateway " + name + " was away for too long and was retired: join again", Status: 403}
	}
	return nil
}
