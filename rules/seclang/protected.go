package seclang

import "strings"

// protection is a range of rules that nobody may remove, and why.
type protection struct {
	from, to int
	why      string
}

// The rules that exclusions and custom SecLang cannot touch: without one of them the others would look as if they
// worked, and would not.
var protections = []protection{
	{100_000, 199_999, "the ids 100000 to 199999 are the gateway's own"},
	{200_000, 200_009, "the base rules 200000 to 200009 choose the body parser and refuse bodies, arguments and addresses that do not parse, which the other rules rely on"},
	{901_000, 901_999, "the rules 901000 to 901999 set CRS up; without them no score is counted"},
	{949_000, 949_999, "the rules 949000 to 949999 evaluate the inbound anomaly score; without them nothing is refused"},
	{959_000, 959_999, "the rules 959000 to 959999 evaluate the outbound anomaly score; without them no reply is refused"},
	{980_000, 980_999, "the rules 980000 to 980999 report the anomaly scores"},
}

// ProtectedRange answers why the rules from first to last cannot be removed or changed, or the empty string if they
// can.
func ProtectedRange(first, last int) string {
	for _, p := range protections {
		if first <= p.to && last >= p.from {
			return p.why
		}
	}
	return ""
}

// broadTags are the tags that nearly every rule, or rules that evaluate scores, carry.
var broadTags = map[string]bool{
	"owasp_crs": true, "application-multi": true, "language-multi": true, "platform-multi": true,
	"anomaly-evaluation": true, "reporting": true, "modsecurity": true,
}

// BroadTag reports whether a tag covers so many rules, or such rules, that removing them switches the WAF off.
func BroadTag(tag string) bool {
	t := strings.ToLower(tag)
	return t == "" || broadTags[t] || strings.HasPrefix(t, "paranoia-level") || strings.HasPrefix(t, "gatehouse/")
}
