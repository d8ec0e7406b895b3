package tuning

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/proxy/event"
)

// Judgement is what a place looks like.
type Judgement string

// The judgements.
const (
	FalsePositive Judgement = "false_positive" // many clients over some time: an attack is rarely that popular
	Attack        Judgement = "attack"         // only clients that were refused all over the place
	Look          Judgement = "look"           // neither is clear
)

// Place is where rules matched: a target on paths of one pattern.
type Place struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	// Target is empty where a rule looks at the request as a whole, and where Reason is not one of rules.
	Target    string       `json:"target"`
	Reason    event.Reason `json:"reason"`
	Requests  int          `json:"requests"`
	Clients   int          `json:"clients"`
	First     time.Time    `json:"first"`
	Last      time.Time    `json:"last"`
	Judgement Judgement    `json:"judgement"`
	Incident  string       `json:"incident"` // an example, the newest
	Rules     []PlaceRule  `json:"rules"`
	// Widened says that Path has a * in place of many different segments: an exclusion that gatehouse incident suggests
	// for one of them needs this path.
	Widened bool `json:"widened,omitempty"`
	// Elsewhere is the number of places at which the client of an attack was refused.
	Elsewhere int `json:"elsewhere,omitempty"`
}

// PlaceRule is a rule that matched at a place.
type PlaceRule struct {
	ID       int    `json:"id"`
	Message  string `json:"message"`
	Requests int    `json:"requests"`
	Clients  int    `json:"clients"`
}

// Group is one rule at one place.
type Group struct {
	Rule      int          `json:"rule"`
	Message   string       `json:"message"`
	Reason    event.Reason `json:"reason"`
	Method    string       `json:"method"`
	Path      string       `json:"path"`
	Target    string       `json:"target"`
	Requests  int          `json:"requests"`
	Clients   int          `json:"clients"`
	Judgement Judgement    `json:"judgement"`
	Incident  string       `json:"incident"`
}

// String names the place: POST /api/orders/*/notes json:items[*].comment.
func (p *Place) String() string {
	s := strings.TrimSpace(p.Method + " " + p.Path)
	switch {
	case p.Target != "":
		s += " " + p.Target
	case len(p.Rules) == 0:
		s += " " + string(p.Reason)
	}
	return s
}

// by says who was there and how often.
func (p *Place) by() string {
	return plural(p.Clients, "client") + ", " + plural(p.Requests, "request")
}

// Hint says what to run about the place.
func (p *Place) Hint() string {
	switch {
	case len(p.Rules) == 0:
		return "gatehouse incident " + p.Incident + " says what helps"
	case p.Widened:
		return fmt.Sprintf("gatehouse incident %s prints the exclusion for one of the paths; with path: %q it holds for all", p.Incident, p.Path)
	}
	return "gatehouse incident " + p.Incident + " prints the exclusion"
}

// spread is the time from which on several clients at one place are no coincidence.
const spread = time.Hour

// A client is taken for an attacker if it was refused at many places for more than one class of attack, or for many
// classes. Where its other requests are known, a good part of them must have been refused.
const (
	manyPlaces   = 4
	moreClasses  = 2
	manyClasses  = 3
	refusedShare = 0.25
	refusedMost  = 0.5 // enough by itself at many places
)

// hit is an event as far as grouping needs it.
type hit struct {
	at               time.Time
	client, incident string
	method           string
	path             string // a pattern
	widened          bool   // by widenPaths
	reason           event.Reason
	rules            []hitRule
	classes          []string
}

// hitRule is a rule and where it matched. An empty target is the request as a whole.
type hitRule struct {
	id      int
	message string
	targets []string
}

func hitOf(e *event.Event) hit {
	h := hit{at: e.Time, client: e.Client, incident: e.Incident, method: e.Method, path: PathPattern(e.Path), reason: e.Reason}
	matches, _ := fewestOf(e, Contributing(e))
	for i := range matches {
		m := &matches[i]
		r := hitRule{id: m.Rule, message: m.Message, targets: targetsOf(m)}
		if len(r.targets) == 0 {
			r.targets = []string{""}
		}
		h.rules = append(h.rules, r)
		for _, tag := range m.Tags {
			if class, ok := strings.CutPrefix(tag, "attack-"); ok && !slices.Contains(h.classes, class) {
				h.classes = append(h.classes, class)
			}
		}
	}
	return h
}

// placeKey finds a place.
type placeKey struct {
	method, path, target string
	reason               event.Reason
}

// keys gives the places of a hit, each once.
func (h *hit) keys() []placeKey {
	base := placeKey{method: h.method, path: h.path, reason: h.reason}
	if len(h.rules) == 0 {
		return []placeKey{base}
	}
	var out []placeKey
	for _, r := range h.rules {
		for _, t := range r.targets {
			k := base
			k.target = t
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out
}

// gatheredPlace is a place in the making.
type gatheredPlace struct {
	tally
	first   time.Time
	widened bool
	rules   map[int]*gatheredRule
	order   []int
}

type gatheredRule struct {
	tally
	message string
}

// group gathers hits by place and by rule, those with most clients first. requests counts each client's requests, those
// that passed too; it is empty where that is not known.
func group(hits []hit, requests map[string]int, clients int) ([]Place, []Group) {
	widenPaths(hits)
	places := map[placeKey]*gatheredPlace{}
	seen := map[string]*footprint{}
	for i := range hits {
		h := &hits[i]
		f := seen[h.client]
		if f == nil {
			f = &footprint{places: map[placeKey]bool{}, classes: map[string]bool{}, requests: requests[h.client]}
			seen[h.client] = f
		}
		f.refused++
		for _, c := range h.classes {
			f.classes[c] = true
		}
		for _, k := range h.keys() {
			f.places[k] = true
			p := places[k]
			if p == nil {
				p = &gatheredPlace{first: h.at, rules: map[int]*gatheredRule{}}
				places[k] = p
			}
			p.take(h, k.target)
		}
	}
	var out []Place
	for k, p := range places {
		out = append(out, p.place(k, clients, seen))
	}
	slices.SortFunc(out, comparePlaces)
	groups := []Group{}
	for i := range out {
		groups = append(groups, groupsOf(&out[i], places)...)
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Clients, a.Clients), cmp.Compare(b.Requests, a.Requests))
	})
	if out == nil {
		out = []Place{}
	}
	return out, groups
}

// take counts a hit.
func (p *gatheredPlace) take(h *hit, target string) {
	p.add(h.client, h.incident, h.at)
	p.widened = p.widened || h.widened
	if h.at.Before(p.first) {
		p.first = h.at
	}
	for _, r := range h.rules {
		if !slices.Contains(r.targets, target) {
			continue
		}
		g := p.rules[r.id]
		if g == nil {
			g = &gatheredRule{message: r.message}
			p.rules[r.id] = g
			p.order = append(p.order, r.id)
		}
		g.add(h.client, h.incident, h.at)
	}
}

// footprint is where a client was refused.
type footprint struct {
	places            map[placeKey]bool
	classes           map[string]bool
	refused, requests int // requests is 0 if it is not known
}

func (f *footprint) attacker() bool {
	various := len(f.classes) >= manyClasses || len(f.places) >= manyPlaces && len(f.classes) >= moreClasses
	if f.requests == 0 {
		return various
	}
	refused := ratio(f.refused, f.requests)
	return various && refused >= refusedShare || len(f.places) >= manyPlaces && refused >= refusedMost
}

func (p *gatheredPlace) place(k placeKey, clients int, seen map[string]*footprint) Place {
	out := Place{
		Method: k.method, Path: k.path, Target: k.target, Reason: k.reason, Requests: p.requests, Clients: len(p.clients),
		First: p.first, Last: p.last, Incident: p.incident, Rules: []PlaceRule{},
		Widened: p.widened,
	}
	slices.Sort(p.order)
	for _, id := range p.order {
		r := p.rules[id]
		out.Rules = append(out.Rules, PlaceRule{ID: id, Message: r.message, Requests: r.requests, Clients: len(r.clients)})
	}
	slices.SortStableFunc(out.Rules, func(a, b PlaceRule) int { return cmp.Compare(b.Requests, a.Requests) })
	innocent := 0
	for c := range p.clients {
		if f := seen[c]; f.attacker() {
			out.Elsewhere = max(out.Elsewhere, len(f.places))
		} else {
			innocent++
		}
	}
	switch {
	case innocent == 0:
		out.Judgement = Attack
	case innocent >= clients && p.last.Sub(p.first) >= spread:
		out.Judgement, out.Elsewhere = FalsePositive, 0
	default:
		out.Judgement, out.Elsewhere = Look, 0
	}
	return out
}

func comparePlaces(a, b Place) int {
	return cmp.Or(
		cmp.Compare(b.Clients, a.Clients), cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Method, b.Method), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Reason, b.Reason),
	)
}

// groupsOf gives the place once for each of its rules; one that no rule made once, with rule 0.
func groupsOf(p *Place, places map[placeKey]*gatheredPlace) []Group {
	base := Group{Reason: p.Reason, Method: p.Method, Path: p.Path, Target: p.Target, Requests: p.Requests, Clients: p.Clients, Judgement: p.Judgement, Incident: p.Incident}
	if len(p.Rules) == 0 {
		base.Message = explanations[p.Reason].why
		return []Group{base}
	}
	gathered := places[placeKey{p.Method, p.Path, p.Target, p.Reason}]
	var out []Group
	for _, r := range p.Rules {
		g := base
		g.Rule, g.Message, g.Requests, g.Clients, g.Incident = r.ID, r.Message, r.Requests, r.Clients, gathered.rules[r.ID].incident
		out = append(out, g)
	}
	return out
}

// manySiblings is the number of paths, differing in one segment alone, from which on the segment is a variable.
const manySiblings = 5

// widenPaths puts * in place of a segment where the hits of one method have many, /products/red-shoes and its like.
func widenPaths(hits []hit) {
	for level := 0; ; level++ {
		deeper := false
		siblings := map[string]map[string]bool{}
		around := func(h *hit) (key, segment string, ok bool) {
			segments := strings.Split(h.path, "/")
			if len(segments) <= level+1 {
				return "", "", false
			}
			segment = segments[level+1]
			segments[level+1] = "*"
			return fmt.Sprintf("%s %s", h.method, strings.Join(segments, "/")), segment, segment != "" && !strings.Contains(segment, "*")
		}
		for i := range hits {
			key, segment, ok := around(&hits[i])
			deeper = deeper || strings.Count(hits[i].path, "/") > level
			if !ok {
				continue
			}
			if siblings[key] == nil {
				siblings[key] = map[string]bool{}
			}
			siblings[key][segment] = true
		}
		for i := range hits {
			if key, _, ok := around(&hits[i]); ok && len(siblings[key]) >= manySiblings {
				_, hits[i].path, _ = strings.Cut(key, " ")
				hits[i].widened = true
			}
		}
		if !deeper {
			return
		}
	}
}
