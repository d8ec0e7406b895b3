package fleetapi

import (
	"time"

	"gatehouse/rules/revision"
)

// KindActions and KindLists are the kinds of the statements of an Actions and a Lists.
const (
	KindActions = revision.KindActions
	KindLists   = revision.KindLists
)

// Actions are the emergency actions of a group that are in force, all of them. Its number is the statement's: a gateway
// takes none that is lower than the one it has.
type Actions struct {
	Format  int      `json:"format"` // 1
	Actions []Action `json:"actions"`
}

// ActionKind is what an action does.
type ActionKind string

// The kinds of actions.
const (
	ActionBlock   ActionKind = "block"   // refuse what it matches, in every mode but disabled
	ActionLimit   ActionKind = "limit"   // refuse what of it is beyond Rate a second, by client
	ActionMode    ActionKind = "mode"    // serve the application in Mode
	ActionDisable ActionKind = "disable" // leave Rule out for the application
)

// Action is a short-lived measure of an operator that waits for no rollout. It says what it concerns: of Application (empty: all of
// the group), the requests that match all of Clients, Path and Header that are set; a block or limit has at least one of them.
type Action struct {
	ID          string     `json:"id"`
	Kind        ActionKind `json:"kind"`
	Application string     `json:"application,omitempty"`

	Clients []string `json:"clients,omitempty"` // addresses and prefixes
	Path    string   `json:"path,omitempty"`    // as in exclusions: * one segment, ** the rest
	Header  string   `json:"header,omitempty"`  // name
	Value   string   `json:"value,omitempty"`   // of the header, exactly

	Rate  float64 `json:"rate,omitempty"`  // requests a second and client, of limit
	Burst int     `json:"burst,omitempty"` // of limit
	Mode  string  `json:"mode,omitempty"`  // of mode: detect or block
	Rule  int     `json:"rule,omitempty"`  // of disable

	Reason  string    `json:"reason"`
	Author  string    `json:"author"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	// Force says that its author has seen that it hits more than a tenth of the requests.
	Force bool `json:"force,omitempty"`
}

// Lists are changes to lists of addresses since the snapshot in the revision. Its number is the statement's.
type Lists struct {
	Format int         `json:"format"` // 1
	Lists  []ListDelta `json:"lists"`
}

// ListDelta is what is added to and taken from the list of the revision whose text has the hash Base. A gateway that serves by another
// text leaves the delta out until it has that one.
type ListDelta struct {
	Name   string        `json:"name"`
	Base   revision.Hash `json:"base"`
	Add    []string      `json:"add,omitempty"`
	Remove []string      `json:"remove,omitempty"`
}
