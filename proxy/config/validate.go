package config

import (
	"strings"
)

// validate reports everything that is wrong with the complete configuration.
func (l *loader) validate() {
	c := &l.cfg
	listeners := l.names("listeners", len(c.Listeners), func(i int) string { return c.Listeners[i].Name })
	certificates := l.names("certificates", len(c.Certificates), func(i int) string { return c.Certificates[i].Name })
	upstreams := l.names("upstreams", len(c.Upstreams), func(i int) string { return c.Upstreams[i].Name })
	applications := l.names("applications", len(c.Applications), func(i int) string { return c.Applications[i].Name })
	policies := l.names("policies", len(c.Policies), func(i int) string { return c.Policies[i].Name })
	lists := l.names("lists", len(c.Lists), func(i int) string { return c.Lists[i].Name })
	l.names("groups", len(c.Groups), func(i int) string { return c.Groups[i].Name })

	l.validateListeners()
	l.validateCertificates()
	l.validateUpstreams(certificates)
	l.validateApplications(policies, upstreams, lists)
	l.validatePolicies(policies, lists)
	l.validateLists()
	l.validateGroups(listeners, applications)
	l.validateLogs()
	l.warnOfNoEffect()
}

func join(words []string) string { return strings.Join(words, ", ") }
