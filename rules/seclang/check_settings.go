package seclang

import (
	"regexp"
	"strconv"
	"strings"
)

// refusedCtl and what takes the place of the setting.
var refusedCtl = map[string]string{
	"ruleEngine": "it would change the mode in the middle of a request; set mode on the application or route, " +
		"or write a rule with then: allow",
	"requestBodyAccess":  "request bodies are always inspected; limit how much with body: inspect_bytes on the route",
	"requestBodyLimit":   "set body: max_bytes and inspect_bytes on the route",
	"responseBodyAccess": "set response: inspect on the route",
	"responseBodyLimit":  "set response: inspect_bytes on the route",
	"auditEngine":        "records go where logs: says",
	"auditLogParts":      "records go where logs: says",
	"debugLogLevel":      "remove it",
	"hashEngine":         "the engine does not support it; remove it",
	"hashEnforcement":    "the engine does not support it; remove it",
}

// processors are the body processors that a rule may choose.
var processors = map[string]bool{
	"URLENCODED": true, "MULTIPART": true, "JSON": true, "NDJSON": true, "XML": true, "TEXT": true, "RAW": true,
}

func (c *checker) ctl(a Action) {
	name, value, _ := strings.Cut(a.Value, "=")
	if why := refusedCtl[name]; why != "" {
		c.fail(a.Line, "ctl:%s cannot be used in custom rules: %s", name, why)
		return
	}
	selected, target, targeted := strings.Cut(value, ";")
	switch name {
	case "requestBodyProcessor", "responseBodyProcessor":
		if !processors[value] {
			c.fail(a.Line, "ctl:%s=%s: the processors are URLENCODED, MULTIPART, JSON, NDJSON, XML, TEXT and RAW", name, value)
		}
	case "ruleRemoveById":
		c.broadIDs(a.Line, "ctl:"+name, c.ctlIDs(a, name, value))
	case "ruleRemoveByTag":
		c.tag(a.Line, "ctl:"+name, value)
	case "ruleRemoveByMsg":
		c.message(a.Line, "ctl:"+name, value)
	case "ruleRemoveTargetById", "ruleRemoveTargetByTag", "ruleRemoveTargetByMsg":
		if !targeted || target == "" {
			c.fail(a.Line, "ctl:%s needs what the rules shall not look at: ctl:%s=%s;ARGS:comment", name, name, selected)
			return
		}
		v, ok := c.ctlTarget(a, target)
		switch {
		case !ok:
		case name == "ruleRemoveTargetById":
			if ids := c.ctlIDs(a, name, selected); !narrow([]Variable{v}) {
				c.broadIDs(a.Line, "ctl:"+name, ids)
			}
		case name == "ruleRemoveTargetByMsg":
			c.message(a.Line, "ctl:"+name, selected)
		case !narrow([]Variable{v}):
			c.tag(a.Line, "ctl:"+name, selected)
		}
	}
}

// ctlIDs reads a rule id or range, and refuses protected ones.
func (c *checker) ctlIDs(a Action, name, text string) []IDRange {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, errFrom := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	if errFrom != nil || errTo != nil || from < 1 || to < from {
		c.fail(a.Line, "ctl:%s=%s: %q is not a rule id or range; write 942100 or 942100-942999", name, text, text)
		return nil
	}
	ids := []IDRange{{from, to}}
	c.protectedIDs(a.Line, "ctl:"+name, ids)
	return ids
}

// ctlTarget reads VARIABLE or VARIABLE:key as the engine does: one variable, its key everything after the colon.
func (c *checker) ctlTarget(a Action, text string) (Variable, bool) {
	name, key, _ := strings.Cut(text, ":")
	v := Variable{Position: a.Position, Name: strings.ToUpper(strings.TrimSpace(name)), Key: strings.TrimSpace(key), Exclude: true}
	selectable, known := variableNames[v.Name]
	switch {
	case !known:
		c.fail(a.Line, "ctl:%s: %q is not a variable%s", a.Value, name, suggest(v.Name, variableNames))
		return v, false
	case v.Key != "" && !selectable:
		c.fail(a.Line, "ctl:%s: %s holds one value and takes no key", a.Value, v.Name)
		return v, false
	}
	if n := len(v.Key); n > 1 && v.Key[0] == '/' && v.Key[n-1] == '/' {
		if _, err := regexp.Compile(v.Key[1 : n-1]); err != nil || n == 2 {
			c.fail(a.Line, "ctl:%s: %s is not a regular expression (RE2)", a.Value, v.Key)
			return v, false
		}
		v.Key, v.Regex = v.Key[1:n-1], true
	}
	return v, true
}

// protectedVariables are TX variables by which protection is set and measured; their names or prefixes.
var protectedVariables = []string{
	"gatehouse_", "inbound_anomaly_score", "outbound_anomaly_score", "blocking_", "detection_", "anomaly_score",
	"critical_anomaly_score", "error_anomaly_score", "warning_anomaly_score", "notice_anomaly_score",
	"sql_injection_score", "xss_score", "rfi_score", "lfi_score", "rce_score", "php_injection_score",
	"http_violation_score", "session_fixation_score", "paranoia_level", "executing_paranoia_level", "early_blocking",
	"reporting_level", "sampling_", "crs_", "allow_method_override", "allowed_", "restricted_", "enforce_bodyproc", "do_reput_block",
	"max_file_size", "combined_file_size", "max_num_args", "arg_length", "arg_name_length", "total_arg_length",
	"crs_validate_utf8_encoding", "ua_hash", "real_ip", "json_request_body",
}

// scoreIncrease is what may be done to a score: adding points.
var (
	scoreName     = regexp.MustCompile(`^(?:(?:in|out)bound_anomaly_score(?:_pl[1-4])?|[a-z_]+_score)$`)
	scoreIncrease = regexp.MustCompile(`^\+(?:[0-9]{1,4}|%\{tx\.(?:critical|error|warning|notice)_anomaly_score\})$`)
)

func (c *checker) setvar(a Action) {
	name, value, _ := strings.Cut(strings.TrimPrefix(a.Value, "!"), "=")
	remove := strings.HasPrefix(a.Value, "!")
	_, key, _ := strings.Cut(strings.ToLower(name), ".")
	key = strings.TrimSpace(key)
	literal, _, expanded := strings.Cut(key, "%{")
	for _, p := range protectedVariables {
		switch {
		case strings.HasPrefix(literal, p):
			if !remove && !expanded && scoreName.MatchString(key) && !pointsName[key] && scoreIncrease.MatchString(strings.ToLower(value)) {
				return
			}
			c.fail(a.Line, "setvar:%s: tx.%s belongs to the gateway or to CRS%s", a.Value, key, settingOf(p))
			return
		case expanded && strings.HasPrefix(p, literal):
			c.fail(a.Line, "setvar:%s: the name could become tx.%s, which belongs to the gateway or to CRS; begin it with text of your own, such as tx.my_%s", a.Value, p, key)
			return
		}
	}
}

// pointsName are the scores that say how many points a match is worth.
var pointsName = map[string]bool{
	"critical_anomaly_score": true, "error_anomaly_score": true, "warning_anomaly_score": true, "notice_anomaly_score": true,
}

func settingOf(prefix string) string {
	switch {
	case strings.Contains(prefix, "score"):
		return "; a rule may add points to it (=+5, =+%{tx.critical_anomaly_score}), and thresholds are set with crs: inbound_threshold"
	case strings.Contains(prefix, "paranoia"), strings.HasPrefix(prefix, "blocking_"), strings.HasPrefix(prefix, "detection_"):
		return "; set crs: paranoia and the thresholds in the policy"
	case strings.HasPrefix(prefix, "allowed_"), strings.HasPrefix(prefix, "restricted_"):
		return "; the traffic of the route sets it"
	}
	return "; choose another name"
}
