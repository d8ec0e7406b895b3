package resolve

import (
	"crypto/sha256"
	"regexp"

	"gatehouse/rules/program/macro"
	"gatehouse/rules/program/variable"
	"gatehouse/rules/seclang"
)

// Rule is a SecRule, SecAction or SecMarker, or a link of a chain.
type Rule struct {
	// Identity is equal for rules that are equal. That of a link is zero: it belongs to its starter.
	Identity Identity
	// Place is where the rule's text begins.
	Place seclang.Position
	// ID is 0 for markers and links.
	ID int
	// Phase is 1 to 5; 0 for markers, which run in every phase, and for links.
	Phase int
	// Marker is the name of a SecMarker, empty for rules.
	Marker string

	Targets []Target
	// Operator is nil for SecAction and SecMarker, which match without a value.
	Operator *Operator
	// Transformations are the names of the steps in effect, in order, as Lookup of package transform takes them.
	Transformations []string
	Capture         bool
	MultiMatch      bool

	// Effects are setvar and ctl in their order. They happen for each match.
	Effects []Effect
	// Disruptive is the disruptive action in effect. It happens once the whole chain matched.
	Disruptive Disruptive
	// SkipAfter is the marker behind which evaluation goes on, empty if the rule does not skip.
	SkipAfter string
	// Skip is the number of rules to skip.
	Skip int

	Message, Data macro.Macro
	Severity      int // 0 EMERGENCY to 7 DEBUG, or NoSeverity
	Revision      string
	Tags          []string
	// Log says that matches are recorded.
	Log bool

	// Links are the rules chained to this one. Empty for a link itself.
	Links []*Rule

	// Unsupported says what about the rule only the reference evaluates, empty if nothing.
	Unsupported string

	// status is the status action as it stands in the text, which Disruptive may not use.
	status int
	// chain says that the rule has the action chain.
	chain bool
	// origin keeps the source in the cache as long as one of its rules is in use.
	origin *source
}

// Identity names a rule by all that decides what it is, so that equal rules of different policies are compiled once. It
// is comparable.
type Identity struct {
	// Source is the digest of the source's name and text and of the directives before it that decide how it reads.
	Source [sha256.Size]byte
	// Index is that of the rule's directive in its source.
	Index int
	// Changes is the digest of what SecRuleUpdate* changed, zero if nothing.
	Changes [sha256.Size]byte
}

// NoSeverity is the severity of rules that state none.
const NoSeverity = -1

// Target is a variable that a rule looks at.
type Target struct {
	Variable variable.ID
	Count    bool // the number of values is looked at
	// Key selects the values under one key, as the reference compares it: in lower case unless keys of the variable
	// are case-sensitive. Empty selects all. With Regex it is /text/, which only names what is counted.
	Key string
	// Regex selects values by their key; it has been compiled from the text that the reference compiles. It may be
	// shared with other targets.
	Regex *regexp.Regexp
	// Except are keys that are left out.
	Except []Exception
}

// Exception leaves values out by their lower-cased key. With neither part set, it leaves out everything.
type Exception struct {
	Key   string // in lower case
	Regex *regexp.Regexp
}

// Operator is what a rule does with each value.
type Operator struct {
	Name    string
	Negated bool
	// Argument is the text as the reference hands it to the operator.
	Argument string
	// Macro is the argument's text with macros, for operators that expand them.
	Macro macro.Macro
	// Source is the name of the source, by which data files are found.
	Source string
	// Datasets are those that stand before the rule, by name. They are not to be changed.
	Datasets map[string][]string
}

// EffectKind is what an Effect does.
type EffectKind uint8

// The kinds of effects.
const (
	SetVar EffectKind = iota
	UnsetVar
	RemoveRules          // ctl:ruleRemoveById, ByTag, ByMsg
	RemoveTargets        // ctl:ruleRemoveTargetById, ByTag, ByMsg
	SetEngine            // ctl:ruleEngine; Value is on, off or detectiononly in lower case
	SetBodyProcessor     // ctl:requestBodyProcessor; Value is in upper case
	SetResponseProcessor // ctl:responseBodyProcessor; Value is in upper case
	ForceBody            // ctl:forceRequestBodyVariable; Value is on or off
	ForceResponseBody    // ctl:forceResponseBodyVariable
	SetBodyAccess        // ctl:requestBodyAccess
	SetResponseAccess    // ctl:responseBodyAccess
)

// Effect is a setvar or ctl.
type Effect struct {
	Kind EffectKind
	// Key and Text are of SetVar and UnsetVar: the name in TX without "tx.", and the value. Text is not set for a
	// setvar without "=".
	Key, Text macro.Macro
	Value     string
	// Rules are what RemoveRules and RemoveTargets are about.
	Rules Selection
	// Target is what RemoveTargets leaves out of the rules; Variable and either Key, Regex or neither. Key is in lower case.
	Target Target
}

// Selection names rules by id, tag or message. One of its parts is set.
type Selection struct {
	First, Last int // a range of ids, both included
	Tag         string
	Message     string
}

// DisruptiveKind is what a rule does to the request once it matched.
type DisruptiveKind uint8

// The kinds of disruptive actions.
const (
	Pass DisruptiveKind = iota
	Deny
	Drop
	Redirect
	Allow        // skip all phases but logging... as the reference does for allow without a value
	AllowPhase   // allow:phase
	AllowRequest // allow:request
	// Block is a block that no default action resolves: it does nothing.
	Block
)

// Disruptive is a disruptive action with its parts.
type Disruptive struct {
	Kind   DisruptiveKind
	Status int    // as the reference answers: 403 for deny without a status; 0 for all that answer nothing
	Data   string // the target of a redirect
}
