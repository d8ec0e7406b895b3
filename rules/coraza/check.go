package coraza

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/rules"
)

// permitted are the directives that a policy's text may use. What is missing from it opens files, reaches the network,
// writes logs or changes how the engine as a whole works, which is the driver's to decide.
var permitted = []string{
	"secrule", "secaction", "secmarker", "secdefaultaction", "secdataset", "seccomponentsignature", "seccollectiontimeout",
	"secruleremovebyid", "secruleremovebytag", "secruleremovebymsg",
	"secruleupdatetargetbyid", "secruleupdatetargetbytag", "secruleupdateactionbyid",
	"secruleengine", "secrequestbodyaccess", "secresponsebodyaccess",
	"secresponsebodymimetype", "secresponsebodymimetypesclear",
}

// refusedActions and refusedOperators run programs, change the process, or reach out of it.
var (
	refusedActions   = []string{"exec", "setenv"}
	refusedOperators = []string{"rbl", "inspectfile", "validateschema", "geolookup"}
)

// checked is what a look at the text before Coraza's own says.
type checked struct {
	problems rules.TextErrors
	// detectOnly says that Coraza's DetectionOnly mode sees the same interruption as mode block: the text has no
	// allow and changes the engine's mode only to Off.
	detectOnly bool
}

// check looks at every directive for what Coraza accepts and we do not.
func check(sources []scanned) checked {
	result := checked{detectOnly: true}
	for _, s := range sources {
		for i, d := range s.directives {
			complain := func(format string, args ...any) {
				result.problems = append(result.problems, rules.TextError{Source: s.name, Line: d.line, Message: fmt.Sprintf(format, args...)})
			}
			if !slices.Contains(permitted, d.name) {
				directiveName, _, _ := strings.Cut(d.raw, " ")
				complain("the directive %q cannot be used in a policy", strings.TrimSpace(directiveName))
				continue
			}
			if d.name == "secruleengine" && !strings.EqualFold(strings.Trim(d.arguments, `"`), "On") {
				complain("SecRuleEngine %s: the mode belongs to the application (mode: detect or block), the text can only say On", d.arguments)
			}
			r, ok := d.rule()
			if !ok {
				continue
			}
			if (d.name == "secrule" || d.name == "secaction") && d.group == i && r.id() == 0 {
				complain("the rule has no id; add id:NUMBER to its actions")
			}
			operator := strings.ToLower(strings.TrimLeft(r.operator, "!@"))
			if slices.Contains(refusedOperators, operator) {
				complain("the operator %s cannot be used: it reaches outside the request", r.operator)
			}
			checkActions(r, complain, &result)
		}
	}
	return result
}

func checkActions(r rule, complain func(string, ...any), result *checked) {
	for _, a := range r.actions {
		switch {
		case slices.Contains(refusedActions, a.name):
			complain("the action %q cannot be used in a policy", a.name)
		case a.name == "allow":
			result.detectOnly = false
		case a.name == "status":
			status, err := strconv.Atoi(a.value)
			if err != nil || status < 200 || status > 599 {
				complain("status:%s is not an HTTP status that can be sent; use 200 to 599", a.value)
			}
		case a.name == "ctl":
			key, value, _ := strings.Cut(a.value, "=")
			if strings.EqualFold(key, "ruleEngine") && !strings.EqualFold(value, "Off") && !mentionsDetect(r.variables) {
				result.detectOnly = false
			}
		}
	}
}

// mentionsDetect says whether a rule is the one that puts a transaction in detect.
func mentionsDetect(variables string) bool { return strings.EqualFold(variables, "TX:"+txDetect) }
