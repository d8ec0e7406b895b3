package regress

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/rules"
)

// Outcome is what came of a stage's request.
type Outcome struct {
	Matches []rules.Match
	// Status is that of the reply; 0 if there was none.
	Status int
}

// Check returns what does not fit, one a line; nothing if all does.
func (e Expect) Check(o Outcome) []string {
	var wrong []string
	matched := func(id int) bool {
		return slices.ContainsFunc(o.Matches, func(m rules.Match) bool { return m.Rule == id })
	}
	for _, id := range e.Rules {
		if !matched(id) {
			wrong = append(wrong, fmt.Sprintf("rule %d did not match", id))
		}
	}
	for _, id := range e.Absent {
		if matched(id) {
			wrong = append(wrong, fmt.Sprintf("rule %d matched", id))
		}
	}
	if len(e.Statuses) > 0 && !slices.Contains(e.Statuses, o.Status) {
		wrong = append(wrong, fmt.Sprintf("status %d, want one of %v", o.Status, e.Statuses))
	}
	if o.Status == 0 && !e.Failure {
		wrong = append(wrong, "no reply")
	}
	log := logOf(o.Matches)
	if e.Log != nil && !e.Log.MatchString(log) {
		wrong = append(wrong, fmt.Sprintf("no line of the log matches %s", e.Log))
	}
	if e.NoLog != nil && e.NoLog.MatchString(log) {
		wrong = append(wrong, fmt.Sprintf("a line of the log matches %s", e.NoLog))
	}
	return wrong
}

// logOf writes matches the way that patterns of the tests expect of an error log.
func logOf(matches []rules.Match) string {
	var b strings.Builder
	for _, m := range matches {
		fmt.Fprintf(&b, "[file %q] [line \"%d\"] [id \"%d\"] [msg %q] [data %q] [severity %q]", m.File, m.Line, m.Rule, m.Message, m.Data, m.Severity)
		for _, t := range m.Targets {
			b.WriteString(" found within " + t.Variable)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
