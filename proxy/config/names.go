package config

import (
	"fmt"
	"regexp"
	"slices"
)

// namePattern is what names are made of: they stand in records, metrics, messages and API paths.
const namePattern = `^[A-Za-z0-9*_.:\[\]-]{1,253}$`

var nameRE = regexp.MustCompile(namePattern)

func isName(s string) bool { return nameRE.MatchString(s) }

// names reports names that are missing, odd or given twice, and answers the set of names.
func (l *loader) names(list string, count int, name func(int) string) map[string]bool {
	set := map[string]bool{}
	first := map[string]string{}
	for i := range count {
		path := key(item(list, i), "name")
		n := name(i)
		switch {
		case n == "" && list == "applications": // its hosts are missing, which is reported
		case n == "" && !l.written(path):
			l.problem(path, "is missing")
		case !isName(n):
			l.problem(path, "%q is not a name; write letters, digits and . _ - : * without spaces", n)
		case set[n] && list == "applications" && !l.written(path) && !l.written(first[n]): // their hosts are equal, which is reported
		case set[n]:
			l.problem(path, "%q is defined twice; first at %s", n, l.places.find(first[n]))
		default:
			set[n], first[n] = true, path
		}
	}
	return set
}

// checkName reports a reference to a name that does not exist.
func (l *loader) checkName(path, noun, name string, set map[string]bool) {
	if set[name] {
		return
	}
	var known []string
	for n := range set {
		if n != "" {
			known = append(known, n)
		}
	}
	slices.Sort(known)
	l.problem(path, "there is no %s %q%s%s", noun, name, DidYouMean(name, known), listed(known))
}

// listed gives a few names in brackets.
func listed(known []string) string {
	switch n := len(known); {
	case n == 0:
		return " (none is defined)"
	case n > 8:
		return fmt.Sprintf(" (%s and %d more)", join(known[:8]), n-8)
	}
	return " (" + join(known) + ")"
}
