package policy

import "strings"

// maxRuleID is the highest id that rules have.
const maxRuleID = 9_999_999

// protection is a range of rules that nobody may remove, and why.
type protection struct {
	from, to int
	why      string
}

// The ranges that exclusions and custom SecLang cannot touch: without one of them the rest of the rules would look
// as if they worked, and would not.
var protections = []protection{
	{200000, 200009, "the base rules choose the body parser and refuse bodies, arguments and addresses that do not parse, which the other rules rely on"},
	{ReservedFirst, ReservedLast, "the ids 100000 to 199999 are the gateway's own"},
	{901000, 901999, "these rules set CRS up; without them no score is counted"},
	{949000, 949999, "these rules evaluate the inbound anomaly score; without them nothing is refused"},
	{959000, 959999, "these rules evaluate the outbound anomaly score; without them nothing is refused"},
	{980000, 980999, "these rules report the anomaly scores"},
}

// Protected answers why rule id cannot be removed, or the empty string if it can.
func Protected(id int) string { return ProtectedRange(id, id) }

// ProtectedRange answers why the rules from first to last cannot be removed, or the empty string if they can.
func ProtectedRange(first, last int) string {
	for _, p := range protections {
		if first <= p.to && last >= p.from {
			return p.why
		}
	}
	return ""
}

// broadTags are the tags that nearly every rule, or rules that evaluate scores, carry.
var broadTags = []string{
	"owasp_crs", "application-multi", "language-multi", "platform-multi", "attack-generic",
	"anomaly-evaluation", "reporting", "modsecurity",
}

// BroadTag reports whether a tag covers so many rules, or such rules, that removing them switches the WAF off.
func BroadTag(tag string) bool {
	t := strings.ToLower(tag)
	for _, b := range broadTags {
		if t == b {
			return true
		}
	}
	return strings.HasPrefix(t, "paranoia-level") || strings.HasPrefix(t, "gatehouse/")
}

// The ids that the lowered text uses; operators' own SecLang has 1 to 99,999.
const (
	ReservedFirst   = 100_000
	firstRuleID     = 110_000
	lastRuleID      = 129_999
	firstExclusion  = 130_000
	lastExclusion   = 199_999
	ReservedLast    = 199_999
	OperatorFirstID = 1
	OperatorLastID  = 99_999
)
