package parity

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gatehouse/rules/seclang"
)

// volatile variables have another value later in a phase.
var volatile = map[string]bool{
	"MATCHED_VAR": true, "MATCHED_VAR_NAME": true, "MATCHED_VARS": true, "MATCHED_VARS_NAMES": true, "RULE": true, "HIGHEST_SEVERITY": true,
	"REQBODY_PROCESSOR": true, "RES_BODY_PROCESSOR": true,
}

var singles = []string{
	"ARGS_COMBINED_SIZE", "ARGUMENTS_LIMIT_REACHED", "AUTH_TYPE", "FILES_COMBINED_SIZE", "FULL_REQUEST", "FULL_REQUEST_LENGTH", "HIGHEST_SEVERITY",
	"INBOUND_DATA_ERROR", "MATCHED_VAR", "MATCHED_VAR_NAME", "MULTIPART_DATA_AFTER", "MULTIPART_DUPLICATE_PART_HEADER", "MULTIPART_INVALID_QUOTING",
	"MULTIPART_STRICT_ERROR", "MULTIPART_UNMATCHED_BOUNDARY", "OUTBOUND_DATA_ERROR", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_HOST",
	"REMOTE_PORT", "REQBODY_ERROR", "REQBODY_ERROR_MSG", "REQBODY_PROCESSOR", "REQBODY_PROCESSOR_ERROR", "REQBODY_PROCESSOR_ERROR_MSG",
	"REQUEST_BASENAME", "REQUEST_BODY", "REQUEST_BODY_LENGTH", "REQUEST_FILENAME", "REQUEST_LINE", "REQUEST_METHOD", "REQUEST_PROTOCOL",
	"REQUEST_URI", "REQUEST_URI_RAW", "RESPONSE_BODY", "RESPONSE_CONTENT_LENGTH", "RESPONSE_CONTENT_TYPE", "RESPONSE_PROTOCOL", "RESPONSE_STATUS",
	"RES_BODY_PROCESSOR", "SERVER_ADDR", "SERVER_NAME", "SERVER_PORT", "STATUS_LINE", "TIME", "TIME_DAY", "TIME_EPOCH", "TIME_HOUR", "TIME_MIN",
	"TIME_MON", "TIME_SEC", "TIME_WDAY", "TIME_YEAR", "UNIQUE_ID", "URI_PARSE_ERROR", "URLENCODED_ERROR", "USERID", "SESSIONID",
	// often
	"REQUEST_URI", "REQUEST_FILENAME", "REQUEST_BODY", "QUERY_STRING", "REQUEST_METHOD", "MATCHED_VAR", "REQUEST_LINE", "RESPONSE_BODY", "RESPONSE_STATUS",
}

// collections with the keys that values stand under.
var collections = []struct {
	name string
	keys []string
}{
	{"ARGS", plainNames},
	{"ARGS", plainNames},
	{"ARGS", plainNames},
	{"ARGS_GET", plainNames},
	{"ARGS_POST", plainNames},
	{"ARGS_NAMES", plainNames},
	{"ARGS_GET_NAMES", plainNames},
	{"ARGS_POST_NAMES", plainNames},
	{"ARGS_PATH", plainNames},
	{"REQUEST_HEADERS", append([]string{"Host", "Content-Type", "Content-Length", "Cookie"}, headerNames...)},
	{"REQUEST_HEADERS", headerNames},
	{"REQUEST_HEADERS_NAMES", headerNames},
	{"REQUEST_COOKIES", cookieNames},
	{"REQUEST_COOKIES_NAMES", cookieNames},
	{"FILES", []string{"q", "a"}},
	{"FILES_NAMES", []string{"q", "a"}},
	{"FILES_SIZES", []string{"q", "a.txt"}},
	{"MULTIPART_FILENAME", plainNames},
	{"MULTIPART_NAME", plainNames},
	{"MULTIPART_PART_HEADERS", plainNames},
	{"MATCHED_VARS", []string{"ARGS:q", "ARGS_GET:q", "REQUEST_URI"}},
	{"MATCHED_VARS_NAMES", []string{"ARGS:q"}},
	{"RESPONSE_HEADERS", responseHeaderNames},
	{"RESPONSE_HEADERS_NAMES", responseHeaderNames},
	{"RESPONSE_ARGS", plainNames},
	{"TX", txKeys},
	{"TX", txKeys},
	{"TX", txKeys},
	{"XML", []string{"/*", "//@*"}},
	{"XML", []string{"/*", "//@*"}},
	{"REQUEST_XML", nil},
	{"RULE", []string{"id", "msg", "severity", "rev", "logdata"}},
	{"GEO", []string{"country_code"}},
}

var keyPatterns = []string{"^a", "q|id", "(?i)name", `^json\.`, ".", "x-", "[0-9]", "^(?:q|a)$", "_", "^$", "ſ", `\.a$`, "A"}

// variables are what a rule looks at.
func (g *policyGenerator) variables(as role) []seclang.Variable {
	var out []seclang.Variable
	for range 1 + g.N(3) {
		if g.Chance(35) {
			name := pick(g.Choices, singles)
			if g.common && as == starter && strings.HasPrefix(name, "MATCHED_VAR") {
				name = "REQUEST_URI"
			}
			out = append(out, seclang.Variable{Name: name, Count: g.Chance(2)})
			continue
		}
		v := g.collection()
		out = append(out, v)
		if v.Name == "XML" || v.Count {
			continue
		}
		if g.Chance(20) { // exclusions of it
			for range 1 + g.N(3) {
				x := g.selected(v.Name)
				x.Exclude = true
				out = append(out, x)
			}
		}
	}
	return out
}

// collection is a collection, with or without a selector, or the number of its values.
func (g *policyGenerator) collection() seclang.Variable {
	if len(g.removed) > 0 && g.Chance(25) { // by a ctl: what it does has to show
		return pick(g.Choices, g.removed)
	}
	c := pick(g.Choices, collections)
	for !g.allowed(c.name) {
		c = pick(g.Choices, collections)
	}
	v := seclang.Variable{Name: c.name}
	if c.name == "XML" {
		v.Key = pick(g.Choices, c.keys)
		return v
	}
	if g.Chance(45) || c.name == "TX" || c.name == "RULE" {
		v = g.selected(c.name)
	}
	v.Count = g.Chance(12)
	return v
}

// selected is a collection with a selector.
func (g *policyGenerator) selected(name string) seclang.Variable {
	v := seclang.Variable{Name: name}
	var keys []string
	for _, c := range collections {
		if c.name == name {
			keys = c.keys
		}
	}
	switch {
	case g.Chance(20):
		v.Key, v.Regex = pick(g.Choices, keyPatterns), true
		v.Quoted = g.Chance(20)
	case len(keys) > 0:
		v.Key = pick(g.Choices, keys)
		switch {
		case strings.HasPrefix(name, "ARGS") && g.Chance(70):
			v.Key = g.themed(plainNames, func(t *theme) []string { return t.names })
		case name == "REQUEST_HEADERS" && g.Chance(70):
			v.Key = g.header()
		}
		if g.Chance(10) {
			v.Key = strings.ToUpper(v.Key)
		}
	}
	return v
}

// patterns for @rx that are not CRS's.
var patterns = []string{
	"foo", "^foo$", "(?i)select", "f(o+)", "(a)|(b)", "(?:union|select)", `\bor\b`, "^$", ".", ".*", "^.{3}$", "[^a-z]", `\d+`, `(\w+)=(\w+)`, `^(\d+)\.(\d+)\.(\d+)\.(\d+)$`,
	"a.b", "(?s)a.b", "(?-s)a.b", "foo$", "^bar", `\x00`, `\xff`, `[\x80-\xff]`, "é", "(?i)STRASSE", "(?i)ſ", "k", "(?i)K", `%[0-9a-fA-F]{2}`, `<script[^>]*>`, `(?i)<(\w+)[^>]*\son(\w+)=`,
	`\.\./`, `[;|&]\s*\w+`, `(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)`, `(x)?(foo)`, "(?:a|b)*c", `^(?:[^,]*,){2}`, `\s`, `\S+@\S+`, `[[:punct:]]{2}`, `\pL`, `(?U)a.*b`, "(?P<name>admin|root)", "0", `^\W*$`, "(foo|foobar)", "^(?:GET|POST)$", `\$\{jndi:`, `\\`, `"`, "日",
}

var numericOperators = []string{"eq", "ge", "gt", "le", "lt"}

var macros = []string{
	"%{tx.score}", "%{tx.a}", "%{tx.n}", "%{tx.0}", "%{tx.1}", "%{TX.missing}", "%{MATCHED_VAR}", "%{MATCHED_VAR_NAME}", "%{ARGS.q}", "%{ARGS_GET.id}", "%{REQUEST_HEADERS.x-a}",
	"%{REQUEST_METHOD}", "%{rule.id}", "%{rule.msg}", "%{REMOTE_ADDR}", "%{REQUEST_COOKIES.sid}", "%{UNIQUE_ID}", "%{tx.inbound_anomaly_score_threshold}", "%{request_uri}", "%{REQUEST_HEADERS_NAMES}", "%{rule.severity}",
	"%{tx.list}", "%{ARGS.Name}", "%{RESPONSE_STATUS}", "%{tx.flag}",
}

func (g *policyGenerator) operator(numeric bool) *seclang.Operator {
	o := &seclang.Operator{Negated: g.Chance(15)}
	if numeric && g.Chance(90) || g.Chance(8) {
		o.Name = pick(g.Choices, numericOperators)
		o.Arg = pick(g.Choices, []string{"0", "1", "2", "5", "10", "-1", "x", "200", "%{tx.score}", "%{tx.n}", "%{tx.a}", "+5", "99999999999999999999"})
		return o
	}
	switch n := g.N(100); {
	case n < 38:
		o.Name, o.Arg = "rx", g.pattern()
	case n < 50:
		o.Name = pick(g.Choices, []string{"pm", "pm", "pm"})
		o.Arg = g.wordList(1 + g.N(8))
	case n < 75:
		o.Name = pick(g.Choices, []string{"contains", "contains", "streq", "beginsWith", "endsWith", "within", "strmatch"})
		o.Arg = g.argument()
	case n < 78:
		o.Name, o.Arg = "unconditionalMatch", ""
	case n < 79:
		o.Name, o.Arg = "noMatch", ""
	case n < 83:
		o.Name = pick(g.Choices, []string{"detectSQLi", "detectXSS"})
	case n < 88:
		o.Name, o.Arg = "validateByteRange", pick(g.Choices, []string{"32-126", "1-255", "9,10,13,32-126,128-255", "97-122", "0-255", "65"})
	case n < 91:
		o.Name = "validateUrlEncoding"
	case n < 94:
		o.Name = "validateUtf8Encoding"
	case n < 97:
		o.Name, o.Arg = "ipMatch", pick(g.Choices, []string{"198.51.100.0/24", "192.0.2.1", "::1,10.0.0.0/8", "2001:db8::/32", "198.51.100.7, 192.0.2.0/24"})
	case n < 98 && !g.common:
		o.Name, o.Arg = "restpath", pick(g.Choices, []string{"/api/{id}", "/admin/{a}/{b}", "/{x}"})
	default:
		o.Name, o.Arg = "validateNid", pick(g.Choices, []string{`us \d{3}-?\d{2}-?\d{4}`})
	}
	return o
}

// pattern is one that stands in the list, or two of them joined, or a little one made up.
func (g *policyGenerator) pattern() string {
	p := pick(g.Choices, patterns)
	switch n := g.N(12); {
	case n == 0:
		p += "|" + pick(g.Choices, patterns)
	case n == 4:
		p = "^" + regexp.QuoteMeta(g.word()) + "$"
	case n == 5:
		p = g.fragment()
	case n == 1:
		p = "(?:" + p + ")" + pick(g.Choices, []string{"+", "*", "?", "{2}", ""}) + pick(g.Choices, patterns)
	case n == 2:
		p = "(" + regexp.QuoteMeta(g.word()) + ")" + p
	case n == 3:
		p = "(?i)" + regexp.QuoteMeta(strings.TrimSpace(g.attack()))
	}
	p = strings.TrimSpace(p)
	if _, err := regexp.Compile(p); err != nil || p == "" || strings.ContainsAny(p, "\n\r\x00") || strings.HasSuffix(p, `\`) && !strings.HasSuffix(p, `\\`) {
		return "foo"
	}
	return p
}

// fragment is a pattern for some bytes of an attack.
func (g *policyGenerator) fragment() string {
	a := g.attack()
	i := g.N(len(a))
	return regexp.QuoteMeta(a[i:min(i+2+g.N(6), len(a))])
}

// plain is a word that can stand in rule text as it is.
func (g *policyGenerator) plain() string {
	w := strings.TrimSpace(g.word())
	if w == "" || strings.ContainsAny(w, "\"'\\%{}`,|") {
		return "foo"
	}
	return w
}

func (g *policyGenerator) wordList(n int) string {
	var list []string
	for range n {
		list = append(list, g.plain())
	}
	return strings.Join(list, " ")
}

// argument is that of an operator which expands macros.
func (g *policyGenerator) argument() string {
	switch n := g.N(10); {
	case n < 6:
		return g.plain()
	case n < 8:
		return g.wordList(1 + g.N(5))
	case n < 9:
		return g.oneOf(macros)
	}
	return g.plain() + g.oneOf(macros) + g.plain()
}

// role is where actions stand.
type role int

const (
	starter role = iota
	link
)

func (g *policyGenerator) actions(as role) []seclang.Action {
	var out []seclang.Action
	add := func(name, value string) {
		a := seclang.Action{Name: name, Value: value}
		if strings.ContainsAny(value, " ,:=;%/") {
			a.Quote = "'"
		}
		out = append(out, a)
	}
	if as == starter {
		id := g.next
		g.next++
		g.ids = append(g.ids, id)
		add("id", strconv.Itoa(id))
		add("phase", weighted(g.Choices, []share[string]{{26, "1"}, {40, "2"}, {9, "3"}, {12, "4"}, {7, "5"}, {3, "request"}, {2, "response"}, {1, "logging"}}))
		g.disruptive(add)
		if g.Chance(5) {
			add("skip", strconv.Itoa(1+g.N(3)))
		}
		if g.Chance(7) {
			add("skipAfter", pick(g.Choices, markers))
		}
		if g.Chance(30) {
			add(pick(g.Choices, []string{"log", "nolog", "auditlog", "noauditlog"}), "")
		}
	}
	if g.Chance(35) {
		add("msg", pick(g.Choices, ruleMessages)+pick(g.Choices, []string{"", " " + g.oneOf(macros)}))
	}
	if g.Chance(25) {
		add("logdata", "found "+g.oneOf(macros)+" in "+g.oneOf(macros))
	}
	if g.Chance(25) {
		add("severity", pick(g.Choices, []string{"CRITICAL", "WARNING", "NOTICE", "ERROR", "EMERGENCY", "2", "5", "DEBUG"}))
	}
	for g.Chance(35) {
		add("tag", pick(g.Choices, ruleTags))
	}
	if g.Chance(25) {
		add("capture", "")
	}
	for g.Chance(35) {
		add("setvar", g.setvar())
	}
	if g.Chance(12) {
		add("ctl", g.ctl())
	}
	if g.Chance(4) {
		add(pick(g.Choices, []string{"rev", "ver", "maturity"}), strconv.Itoa(1+g.N(9)))
	}
	return out
}

func (g *policyGenerator) disruptive(add func(name, value string)) {
	switch n := g.N(100); {
	case n < 72:
		add("pass", "")
	case n < 82:
		add("deny", "")
	case n < 85:
		add("block", "")
	case n < 87:
		add("drop", "")
	case n < 89:
		add("redirect", "https://shop.example.com/sorry")
	case n < 92:
		add("allow", pick(g.Choices, []string{"", "phase", "request"}))
	default:
		return
	}
	if g.Chance(12) {
		add("status", pick(g.Choices, []string{"403", "404", "429", "500", "302", "200"}))
	}
}

func (g *policyGenerator) setvar() string {
	key := pick(g.Choices, txKeys)
	if g.Chance(12) {
		key = "x_" + g.oneOf(macros)
	}
	if g.Chance(5) {
		key = strings.ToUpper(key)
	}
	collection := pick(g.Choices, []string{"tx.", "tx.", "TX."})
	switch n := g.N(100); {
	case n < 35:
		return fmt.Sprintf("%s%s=+%s", collection, key, pick(g.Choices, []string{"1", "5", "%{tx.n}", "%{tx.score}", "%{tx.critical_anomaly_score}", "x", "0"}))
	case n < 42:
		return fmt.Sprintf("%s%s=-%s", collection, key, pick(g.Choices, []string{"1", "5", "%{tx.n}"}))
	case n < 65:
		return fmt.Sprintf("%s%s=%s", collection, key, pick(g.Choices, []string{"0", "1", "5", "foo", "foo bar", "10"}))
	case n < 98:
		return fmt.Sprintf("%s%s=%s%s", collection, key, pick(g.Choices, []string{"", "x", "+"}), g.oneOf(macros))
	case g.Chance(85):
		return collection + key + "=1"
	case n < 99: // neither this nor the next has a value, which the reference fails to look at
		return "!" + collection + key
	}
	return collection + key
}

func (g *policyGenerator) ctl() string {
	target := func() string {
		v := g.collection()
		v.Count, v.Exclude, v.Quoted = false, false, false
		if v.Name != "XML" && !volatile[v.Name] {
			g.removed = append(g.removed, v)
		}
		return v.String()
	}
	switch g.N(16) {
	case 0, 1:
		return "ruleRemoveById=" + idText(g.aheadIDs())
	case 2:
		return "ruleRemoveByTag=" + pick(g.Choices, ruleTags)
	case 3:
		return "ruleRemoveByMsg=" + pick(g.Choices, ruleMessages)
	case 4, 5, 6, 7:
		return "ruleRemoveTargetById=" + idText(g.aheadIDs()) + ";" + target()
	case 8:
		return "ruleRemoveTargetByTag=" + pick(g.Choices, ruleTags) + ";" + target()
	case 9:
		return "ruleRemoveTargetByMsg=" + pick(g.Choices, ruleMessages) + ";" + target()
	case 10:
		return "ruleEngine=" + pick(g.Choices, []string{"Off", "DetectionOnly", "On"})
	case 11:
		return "requestBodyProcessor=" + pick(g.Choices, []string{"JSON", "XML", "URLENCODED", "MULTIPART", "TEXT", "RAW", "NDJSON", "nosuch"})
	case 12:
		return "forceRequestBodyVariable=" + pick(g.Choices, []string{"On", "Off"})
	case 13:
		return pick(g.Choices, []string{"requestBodyAccess=", "responseBodyAccess="}) + pick(g.Choices, []string{"On", "Off"})
	case 14:
		return "forceResponseBodyVariable=" + pick(g.Choices, []string{"On", "Off"})
	}
	return g.oneOf([]string{"auditEngine=On", "auditLogParts=+E", "debugLogLevel=3", "responseBodyProcessor=JSON", "responseBodyProcessor=XML"})
}

// aheadIDs are rules before or after the one that is being written.
func (g *policyGenerator) aheadIDs() seclang.IDRange {
	first := max(1, g.next-3+g.N(8))
	if g.Chance(75) {
		return seclang.IDRange{First: first, Last: first}
	}
	return seclang.IDRange{First: first, Last: first + g.N(5)}
}
