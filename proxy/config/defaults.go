package config

import (
	"net"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"gatehouse/rules/policy"
)

// Defaults that depend on other keys. The others stand in the table of fields.
const (
	defaultMaxBytes     Size = 10 << 20
	defaultInspectBytes Size = 1 << 20
	defaultRotation     Size = 100 << 20
	defaultKeep              = 5
)

// complete fills in every default. It changes nothing that was written, except that short forms become long ones.
func (l *loader) complete() {
	c := &l.cfg
	if len(c.Listeners) == 0 {
		c.Listeners = []Listener{{}}
	}
	if !slices.ContainsFunc(c.Policies, func(p Policy) bool { return p.Name == "default" }) {
		c.Policies = append(c.Policies, Policy{Name: "default"})
	}
	for i := range c.Applications {
		completeApplication(&c.Applications[i])
	}
	l.nameUpstreams()
	fill(reflect.ValueOf(c).Elem())
	for i := range c.Listeners {
		completeListener(&c.Listeners[i])
	}
	for i := range c.Upstreams {
		completeUpstream(&c.Upstreams[i])
	}
	for i := range c.Groups {
		if r := &c.Groups[i].Rollout; len(r.Stages) == 0 {
			r.Stages = []Stage{"1", "10%", "50%", "all"}
		}
	}
	for _, s := range []*Sink{&c.Logs.Access, &c.Logs.Events} {
		completeSink(s)
	}
	l.completePolicies()
}

// fill gives every empty field its default from the table of fields, in v and everything below it.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		if isScalarType(v.Type()) {
			return
		}
		for i := range v.NumField() {
			f := fieldOf(v.Type(), v.Type().Field(i))
			if f.def != "" && v.Field(i).IsZero() {
				n := yaml.Node{Kind: yaml.ScalarNode, Value: f.def}
				n.Tag = n.ShortTag()
				setScalar(&n, v.Field(i), field{})
			}
			fill(v.Field(i))
		}
	}
}

func completeListener(x *Listener) {
	if x.Name == "" {
		x.Name = string(x.Protocol)
	}
	if x.TrustedHops == nil {
		hops := 1
		if x.ProxyProtocol == PROXYRequired {
			hops = 0
		}
		x.TrustedHops = &hops
	}
}

func completeUpstream(x *Upstream) {
	if h := &x.Health; h.Path != "" {
		if h.Interval == 0 {
			h.Interval = Duration(10e9)
		}
		if h.Healthy == 0 {
			h.Healthy = 2
		}
		if h.Unhealthy == 0 {
			h.Unhealthy = 3
		}
	}
}

func completeSink(s *Sink) {
	if s.To == "stdout" || s.To == "none" {
		return
	}
	if s.MaxSize == 0 {
		s.MaxSize = defaultRotation
	}
	if s.Keep == 0 {
		s.Keep = defaultKeep
	}
}

func completeApplication(a *Application) {
	for i, h := range a.Hosts {
		if host, message := canonicalHost(h); message == "" {
			a.Hosts[i] = host
		}
	}
	if a.Name == "" && len(a.Hosts) > 0 {
		a.Name = a.Hosts[0]
	}
	if len(a.Routes) == 0 {
		a.Routes = []Route{{}}
	}
	for i := range a.Routes {
		completeRoute(&a.Routes[i])
	}
}

// completeRoute gives a route the limits of its traffic. Routes that carry upgrades or gRPC alone have no limits of
// bodies: nothing of them is buffered.
func completeRoute(r *Route) {
	if len(r.Traffic) == 0 {
		r.Traffic = []Traffic{TrafficAuto}
	}
	if len(r.Response.Types) == 0 {
		r.Response.Types = []string{"text/html", "application/json", "text/plain"}
	}
	api := slices.Contains(r.Traffic, TrafficAPI)
	if !api && !slices.Contains(r.Traffic, TrafficAuto) {
		return
	}
	b := &r.Body
	if b.MaxBytes == 0 {
		b.MaxBytes = defaultMaxBytes
	}
	if b.InspectBytes == 0 {
		b.InspectBytes = b.MaxBytes
		if !api {
			b.InspectBytes = min(defaultInspectBytes, b.MaxBytes)
		}
	}
	if b.Oversize == "" {
		b.Oversize = InspectPrefix
	}
}

// nameUpstreams moves the short form url to urls, turns URLs in applications and routes into named upstreams and gives
// routes the upstream of their application.
func (l *loader) nameUpstreams() {
	c := &l.cfg
	taken := map[string]bool{}
	named := map[string]string{} // names by the one URL that an upstream has
	for i := range c.Upstreams {
		u, path := &c.Upstreams[i], item("upstreams", i)
		taken[u.Name] = true
		if u.URL != "" && len(u.URLs) == 0 {
			u.URLs, u.URL = []string{u.URL}, ""
			l.origin[item(key(path, "urls"), 0)] = key(path, "url")
		}
		for j, raw := range u.URLs {
			if canonical, _, message := parseURL(raw); message == "" {
				u.URLs[j] = canonical
			}
		}
		if len(u.URLs) == 1 && u.Name == upstreamName(u.URLs[0]) {
			named[u.URLs[0]] = u.Name
		}
	}
	resolve := func(ref *string, path string) {
		raw := *ref
		if !isURL(raw) {
			return
		}
		if canonical, _, message := parseURL(raw); message == "" {
			raw = canonical
		}
		name, ok := named[raw]
		if !ok {
			name = unusedName(upstreamName(raw), taken)
			named[raw], taken[name] = name, true
			u := item("upstreams", len(c.Upstreams))
			l.places[u] = l.places.find(path)
			l.origin[item(key(u, "urls"), 0)] = path
			c.Upstreams = append(c.Upstreams, Upstream{Name: name, URLs: []string{raw}})
		}
		*ref = name
	}
	for i := range c.Applications {
		a, path := &c.Applications[i], item("applications", i)
		resolve(&a.Upstream, key(path, "upstream"))
		for j := range a.Routes {
			r := &a.Routes[j]
			if r.Upstream == "" {
				r.Upstream = a.Upstream
				continue
			}
			resolve(&r.Upstream, key(item(key(path, "routes"), j), "upstream"))
		}
	}
}

// upstreamName names an upstream by the host and port of its URL.
func upstreamName(raw string) string {
	_, u, message := parseURL(raw)
	if message != "" {
		return "upstream"
	}
	port := u.Port()
	if port == "" {
		port = defaultPorts[u.Scheme]
	}
	if name := net.JoinHostPort(u.Hostname(), port); isName(name) {
		return name
	}
	return "upstream"
}

// unusedName adds a number to a name that is taken.
func unusedName(name string, taken map[string]bool) string {
	for n, base := 2, name; taken[name]; n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	return name
}

// completePolicies gives every policy the CRS settings of the policies that it extends, and then the defaults, and
// rate limits their burst.
func (l *loader) completePolicies() {
	c := &l.cfg
	effective := make([]policy.CRS, len(c.Policies))
	for i := range c.Policies {
		crs := policy.CRS{Setup: policy.SetupGatehouse, Paranoia: 1, InboundThreshold: 5, OutboundThreshold: 4}
		for _, p := range c.lineage(&c.Policies[i]) { // the parents first
			override(&crs, p.CRS)
		}
		effective[i] = crs
	}
	for i := range c.Policies {
		c.Policies[i].CRS = effective[i]
		for j := range c.Policies[i].RateLimits {
			if x := &c.Policies[i].RateLimits[j]; x.Burst == 0 {
				x.Burst = x.Limit.Count
			}
		}
	}
}

// override replaces the settings that o names.
func override(crs *policy.CRS, o policy.CRS) {
	if o.Version != "" {
		crs.Version = o.Version
	}
	if o.Setup != "" {
		crs.Setup = o.Setup
	}
	if o.Paranoia != 0 {
		crs.Paranoia = o.Paranoia
	}
	if o.InboundThreshold != 0 {
		crs.InboundThreshold = o.InboundThreshold
	}
	if o.OutboundThreshold != 0 {
		crs.OutboundThreshold = o.OutboundThreshold
	}
}
