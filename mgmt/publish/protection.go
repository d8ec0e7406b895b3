package publish

import (
	"fmt"
	"maps"
	"slices"

	"gatehouse/mgmt/problem"
	"gatehouse/proxy/config"
)

// lowering is one way in which an application is protected less than before.
type lowering struct{ application, message string }

// permit asks for every lowering whether it is allowed.
func (a Author) permit(list []lowering) error {
	for _, l := range list {
		if a.MayLower == nil {
			return nil
		}
		if err := a.MayLower(l.application); err != nil {
			p := problem.New(problem.Forbidden, "application %s: %s: %v", l.application, l.message, err)
			p.Code = "protection"
			return p
		}
	}
	return nil
}

var modes = []config.Mode{config.ModeDisabled, config.ModeDetect, config.ModeBlock}

func rank(m config.Mode) int { return slices.Index(modes, m) }

// protection is how an application is protected, all settings resolved.
type protection struct {
	mode                        config.Mode
	routes                      map[string]config.Mode
	paranoia, inbound, outbound int
	forward                     bool
}

func protectionOf(c *config.Config, a *config.Application) protection {
	p := protection{mode: a.Mode, routes: map[string]config.Mode{}, forward: a.OnInspectionError == config.ForwardOnError}
	if set, err := c.ResolvePolicy(a.Policy); err == nil {
		p.paranoia, p.inbound, p.outbound = set.CRS.Paranoia, set.CRS.InboundThreshold, set.CRS.OutboundThreshold
	}
	for _, r := range a.Routes {
		mode := r.Mode
		if mode == "" {
			mode = a.Mode
		}
		p.routes[fmt.Sprint(r.Path, " ", r.Match, r.Methods)] = mode
	}
	return p
}

// unwritten is how an application is protected that says nothing of it.
var unwritten = protection{mode: config.ModeDetect, paranoia: 1, inbound: 5, outbound: 4}

// lowered says which applications are protected less by after than by before. A new one is compared with one that says nothing. Either may
// be nil.
func lowered(before, after *config.Loaded) (list []lowering) {
	if after == nil {
		return nil
	}
	was := map[string]protection{}
	if before != nil {
		for i := range before.Config.Applications {
			a := &before.Config.Applications[i]
			was[a.Name] = protectionOf(before.Config, a)
		}
	}
	for i := range after.Config.Applications {
		a := &after.Config.Applications[i]
		old, ok := was[a.Name]
		if !ok {
			old = unwritten
		}
		for _, message := range protectionOf(after.Config, a).less(old) {
			list = append(list, lowering{a.Name, message})
		}
	}
	return list
}

// less says in what p protects less than old.
func (p protection) less(old protection) (messages []string) {
	add := func(less bool, format string, args ...any) {
		if less {
			messages = append(messages, fmt.Sprintf(format, args...))
		}
	}
	add(rank(p.mode) < rank(old.mode), "its mode is lowered from %s to %s", old.mode, p.mode)
	for _, route := range slices.Sorted(maps.Keys(p.routes)) {
		mode, was := p.routes[route], old.mode
		if m, ok := old.routes[route]; ok {
			was = m
		}
		add(rank(mode) < rank(was) && !(mode == p.mode && rank(p.mode) < rank(old.mode)), "the mode of its route %s is lowered from %s to %s", route, was, mode)
	}
	add(p.paranoia < old.paranoia, "its paranoia level is lowered from %d to %d", old.paranoia, p.paranoia)
	add(p.inbound > old.inbound, "its inbound threshold is raised from %d to %d", old.inbound, p.inbound)
	add(p.outbound > old.outbound, "its outbound threshold is raised from %d to %d", old.outbound, p.outbound)
	add(p.forward && !old.forward, "it forwards what could not be inspected")
	return messages
}
