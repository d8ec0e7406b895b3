package api

import (
	"fmt"
	"strings"

	"gatehouse/mgmt/problem"
)

// ETag is the tag of a version.
func ETag(version int64) string { return fmt.Sprintf(`"%d"`, version) }

// Condition are the headers that say under which condition something is written. Routes that write what has a version embed it.
type Condition struct {
	IfMatch     string `header:"If-Match" doc:"the ETag of what was read"`
	IfNoneMatch string `header:"If-None-Match" doc:"* to make something new only"`
}

// Check holds the tag of what is there (empty if nothing is) against the condition.
func (c Condition) Check(tag string) error {
	switch {
	case c.IfNoneMatch != "" && tag != "" && listed(c.IfNoneMatch, tag):
		return stale("it is there already, with ETag %s", tag)
	case c.IfMatch == "":
		return nil
	case tag == "":
		return stale("it is not there any more")
	case !listed(c.IfMatch, tag):
		return stale("it was changed since: its ETag is %s now, and not %.80s", tag, c.IfMatch)
	}
	return nil
}

func stale(format string, args ...any) error {
	return problem.New(problem.Stale, "%s; read it again, and decide again", fmt.Sprintf(format, args...))
}

// listed says whether a list of tags, or *, has the tag. Weak tags are equal to none (RFC 9110, section 13.1.1).
func listed(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || one == tag {
			return true
		}
	}
	return false
}
