// Package policy holds the structured objects that operators write (CRS settings, rules, exclusions and their
// targets) and lowers them to SecLang text, which is what every engine loads.
//
// Invariant: the meaning of a structured object is the text that it lowers to; nothing else interprets it.
package policy

import "net/netip"

// CRS selects the OWASP Core Rule Set release and its settings.
type CRS struct {
	// Version is a release such as "4.25.0"; empty means the newest embedded one.
	Version           string `yaml:"version" json:"version"`
	Setup             Setup  `yaml:"setup,omitempty" json:"setup,omitempty"`
	Paranoia          int    `yaml:"paranoia,omitempty" json:"paranoia,omitempty"` // 1 to 4
	InboundThreshold  int    `yaml:"inbound_threshold,omitempty" json:"inbound_threshold,omitempty"`
	OutboundThreshold int    `yaml:"outbound_threshold,omitempty" json:"outbound_threshold,omitempty"`
}

// Setup names the settings that CRS starts from.
type Setup string

// The setups.
const (
	SetupGatehouse Setup = "gatehouse-1" // ours: allowed methods and content types follow the traffic
	SetupStock     Setup = "stock"       // crs-setup.conf as CRS ships it
)

// Rule is a condition and an action, without SecLang.
type Rule struct {
	Name  string `yaml:"name,omitempty" json:"name,omitempty"`
	When  When   `yaml:"when,omitempty" json:"when,omitempty"`
	Then  Action `yaml:"then,omitempty" json:"then,omitempty"`
	Stage Stage  `yaml:"stage,omitempty" json:"stage,omitempty"`
}

// When is a condition: its keys are ANDed, the values of one key ORed.
type When struct {
	Client  Strings `yaml:"client,omitempty" json:"client,omitempty"` // list names, addresses or prefixes
	Host    Strings `yaml:"host,omitempty" json:"host,omitempty"`
	Path    Strings `yaml:"path,omitempty" json:"path,omitempty"` // patterns: * one segment, ** the rest
	Methods Strings `yaml:"method,omitempty" json:"method,omitempty"`
	Any     []When  `yaml:"any,omitempty" json:"any,omitempty"` // at least one of them
	Not     *When   `yaml:"not,omitempty" json:"not,omitempty"`
}

// Strings is a list that may be written as a single value.
type Strings []string

// Action is what a rule does to a request that it matches.
type Action string

// The actions.
const (
	ActionBlock Action = "block"
	ActionAllow Action = "allow" // ends inspection of the request with a pass
)

// Stage says whether a rule acts or only records.
type Stage string

// The stages.
const (
	StageDetect  Stage = "detect"
	StageEnforce Stage = "enforce"
)

// Exclusion is a scoped exception: in its scope the named rules do not look at the named targets.
type Exclusion struct {
	Name         string  `yaml:"name,omitempty" json:"name,omitempty"`
	Rules        []int   `yaml:"rules,omitempty" json:"rules,omitempty"`
	Tags         Strings `yaml:"tags,omitempty" json:"tags,omitempty"`
	Hosts        Strings `yaml:"hosts,omitempty" json:"hosts,omitempty"` // policies only
	Path         string  `yaml:"path,omitempty" json:"path,omitempty"`
	Methods      Strings `yaml:"methods,omitempty" json:"methods,omitempty"`
	Targets      Strings `yaml:"targets,omitempty" json:"targets,omitempty"`
	WholeRequest bool    `yaml:"whole_request,omitempty" json:"whole_request,omitempty"`
	Owner        string  `yaml:"owner,omitempty" json:"owner,omitempty"`
	Reason       string  `yaml:"reason,omitempty" json:"reason,omitempty"`
	Expires      Date    `yaml:"expires,omitempty" json:"expires,omitempty"`
}

// List is a named set of client addresses.
type List []ListEntry

// ListEntry is a network that counts until its day of expiry ends; empty means always.
type ListEntry struct {
	Prefix  netip.Prefix
	Expires Date
}

// Date is a calendar day in UTC, written 2027-06-30; an object that expires on it is valid until that day ends.
// Empty means never.
type Date string
