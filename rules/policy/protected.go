package policy

import "gatehouse/rules/seclang"

// maxRuleID is the highest id that rules have.
const maxRuleID = 9_999_999

// Protected answers why rule id cannot be removed, or the empty string if it can.
func Protected(id int) string { return seclang.ProtectedRange(id, id) }

// BroadTag reports whether a tag covers so many rules, or such rules, that removing them switches the WAF off.
func BroadTag(tag string) bool { return seclang.BroadTag(tag) }

// The ids that lowered text uses. Operators' own SecLang has 1 to 99,999; fixed rules of ours are in 100000 to 109999
// and stand in the embedded texts.
const (
	settingsID     = 100_900
	firstRuleID    = 110_000
	lastRuleID     = 129_999
	firstExclusion = 130_000
	lastExclusion  = 199_999
)

// The tags by which lowered text marks its own rules.
const (
	TagInternal    = "gatehouse/internal"     // never shown
	TagExclusion   = "gatehouse/exclusion:"   // and its name: an exclusion took effect, never shown as a match
	TagRule        = "gatehouse/rule:"        // and its name: a structured rule matched
	TagList        = "gatehouse/list:"        // and its name: a list that the rule names
	TagStageDetect = "gatehouse/stage:detect" // the rule only records
)
