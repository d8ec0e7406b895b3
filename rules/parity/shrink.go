package parity

import (
	"errors"
	"slices"
	"strings"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/rulestest"
	"gatehouse/rules/seclang"
)

// Case is a policy and an exchange about which engines differ.
type Case struct {
	Draft    Draft
	Exchange *Exchange
	Mode     rulestest.Mode
	// Before are the exchanges that the candidate's rule set judged before, as far as they matter.
	Before []*Exchange
}

// drafted is the case with another policy.
func (c Case) drafted(d Draft) Case {
	c.Draft = d
	return c
}

// Differs says whether engines differ about the case, stably.
func (c Case) Differs(e Engines) (Comparison, bool) {
	pair, err := e.Load(c.Draft.Policy())
	var load *LoadError
	if errors.As(err, &load) {
		return Comparison{Agreement: Different, Difference: Difference{Verdict: []string{load.Error()}}}, true
	}
	if err != nil {
		return Comparison{}, false
	}
	defer pair.Close()
	for _, x := range c.Before {
		for _, mode := range rulestest.Modes() {
			x.Run(pair.Candidate, mode)
		}
	}
	const again = 40
	comparison := pair.Compare(c.Exchange, c.Mode, again, 0)
	return comparison, comparison.Agreement == Different
}

// Shrink makes a case as small as it can in the given time, such that the engines still differ about it. The kind of
// difference is kept: refused policies stay refused, failures failures.
func Shrink(e Engines, c Case, within time.Duration) Case {
	first, differs := c.Differs(e)
	if !differs {
		return c
	}
	s := shrinker{engines: e, best: c, kind: kindOf(first), until: time.Now().Add(within)}
	for s.changed = true; s.changed && !s.over(); {
		s.changed = false
		s.before()
		s.exchange()
		s.directives()
		s.rules()
		s.texts()
	}
	return s.best
}

// kindOf is what a difference is about: how a line of it begins.
func kindOf(c Comparison) string {
	if len(c.Difference.Verdict) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(c.Difference.Verdict[0], ":")
	if strings.HasPrefix(kind, "error") || strings.HasPrefix(kind, "the ") {
		return kind
	}
	return "verdict"
}

type shrinker struct {
	engines Engines
	best    Case
	kind    string
	until   time.Time
	changed bool
}

func (s *shrinker) over() bool { return time.Now().After(s.until) }

// try takes a smaller case if the engines still differ about it.
func (s *shrinker) try(c Case) bool {
	if s.over() || size(c) >= size(s.best) {
		return false
	}
	comparison, differs := c.Differs(s.engines)
	if !differs || kindOf(comparison) != s.kind {
		return false
	}
	s.best, s.changed = c, true
	return true
}

// size is how much there is to read in a case. What is not as usual counts.
func size(c Case) int {
	n := 0
	for _, source := range c.Draft.Policy().Sources {
		n += len(source.Text)
	}
	for _, x := range append([]*Exchange{c.Exchange}, c.Before...) {
		n += exchangeSize(x)
	}
	return n
}

func exchangeSize(x *Exchange) int {
	n := 100
	usual := NewRequest("GET", x.Request.Target, x.Request.Headers...)
	if x.Request.Client != usual.Client || x.Request.Traffic != usual.Traffic {
		n += 10
	}
	n += len(x.Request.Method) + len(x.Request.Target) + len(x.Body)
	if x.Request.Method != usual.Method {
		n += 2
	}
	if x.Request.Protocol != usual.Protocol {
		n++
	}
	if x.Truncated {
		n += 20
	}
	for _, h := range x.Request.Headers {
		n += 4 + len(h.Name) + len(h.Value)
	}
	if x.Response == nil {
		return n + 20 // a test file always has one
	}
	for _, h := range x.Response.Headers {
		n += 4 + len(h.Name) + len(h.Value)
	}
	if x.Response.Status != 200 {
		n++
	}
	return n + len(x.ResponseBody)
}

// tryExchange tries the case with its exchange changed.
func (s *shrinker) tryExchange(change func(*Exchange)) bool {
	c := s.best
	c.Exchange = c.Exchange.clone()
	change(c.Exchange)
	return s.try(c)
}

// minimize leaves out of a list what can be: halves, quarters, and so on down to single items.
func minimize[T any](list []T, smallest int, try func([]T) bool) []T {
	for size := max(len(list)/2, 1); size >= smallest && len(list) > 0; size /= 2 {
		for i := 0; i < len(list); {
			without := slices.Concat(list[:i], list[min(i+size, len(list)):])
			if try(without) {
				list = without
			} else {
				i += size
			}
		}
		if size == 1 {
			break
		}
	}
	return list
}

// before leaves out what the candidate judged before.
func (s *shrinker) before() {
	minimize(s.best.Before, 1, func(list []*Exchange) bool {
		c := s.best
		c.Before = list
		return s.try(c)
	})
	for i := range s.best.Before {
		for _, other := range []*Exchange{
			s.best.Exchange,
			{Name: "plain", Request: NewRequest("GET", "/"), Response: &rules.Response{Status: 200, Protocol: "HTTP/1.1"}},
		} {
			c := s.best
			c.Before = slices.Clone(c.Before)
			c.Before[i] = other
			s.try(c)
		}
	}
}

// directives leaves out sources and directives.
func (s *shrinker) directives() {
	for i := range s.best.Draft.Sources {
		s.try(s.best.drafted(s.best.Draft.with(i, nil)))
	}
	// All sources in one list: most directives do not matter, wherever they stand.
	type item struct {
		source int
		*seclang.Directive
	}
	var all []item
	for i, source := range s.best.Draft.Sources {
		for _, d := range source.Directives {
			all = append(all, item{i, d})
		}
	}
	minimize(all, 1, func(list []item) bool {
		d := s.best.Draft
		d.Sources = slices.Clone(d.Sources)
		for i := range d.Sources {
			d.Sources[i].Directives = nil
		}
		for _, x := range list {
			d.Sources[x.source].Directives = append(d.Sources[x.source].Directives, x.Directive)
		}
		return s.try(s.best.drafted(d))
	})
}

// rules leaves out links, variables and actions.
func (s *shrinker) rules() {
	for i := range s.best.Draft.Sources {
		for j := 0; j < len(s.best.Draft.Sources[i].Directives); j++ {
			if s.over() {
				return
			}
			if s.best.Draft.Sources[i].Directives[j].Rule == nil {
				continue
			}
			replace := func(change func(*seclang.Directive)) bool {
				directives := slices.Clone(s.best.Draft.Sources[i].Directives)
				directives[j] = cloneRule(directives[j])
				change(directives[j])
				return s.try(s.best.drafted(s.best.Draft.with(i, directives)))
			}
			current := func() *seclang.Rule { return s.best.Draft.Sources[i].Directives[j].Rule }
			for l := len(current().Links) - 1; l >= 0; l-- {
				replace(func(d *seclang.Directive) { dropLink(d.Rule, l) })
			}
			s.ruleParts(current(), func(change func(*seclang.Rule)) bool {
				return replace(func(d *seclang.Directive) { change(d.Rule) })
			})
			for l := range current().Links {
				s.ruleParts(current().Links[l].Rule, func(change func(*seclang.Rule)) bool {
					return replace(func(d *seclang.Directive) { change(d.Rule.Links[l].Rule) })
				})
			}
		}
	}
}

func (s *shrinker) ruleParts(r *seclang.Rule, replace func(func(*seclang.Rule)) bool) {
	if len(r.Variables) > 1 {
		minimize(r.Variables, 1, func(list []seclang.Variable) bool {
			return len(list) > 0 && replace(func(r *seclang.Rule) { r.Variables = list })
		})
	}
	minimize(r.Actions, 1, func(list []seclang.Action) bool {
		return replace(func(r *seclang.Rule) { r.Actions = list })
	})
}

// dropLink takes a link out of a chain, and the word chain with the last one.
func dropLink(r *seclang.Rule, l int) {
	last := l == len(r.Links)-1
	r.Links = slices.Delete(r.Links, l, l+1)
	if !last {
		return
	}
	before := r
	if len(r.Links) > 0 {
		before = r.Links[len(r.Links)-1].Rule
	}
	before.Actions = slices.DeleteFunc(before.Actions, func(a seclang.Action) bool { return a.Name == "chain" })
}

// exchange leaves out of the request and the reply what can be.
func (s *shrinker) exchange() {
	s.tryExchange(func(x *Exchange) {
		x.Response = &rules.Response{Status: 200, Protocol: "HTTP/1.1"}
		x.ResponseBody = nil
	})
	s.tryExchange(func(x *Exchange) { x.Truncated = false })
	s.tryExchange(func(x *Exchange) { x.Body = nil })
	s.tryExchange(func(x *Exchange) {
		x.Request = NewRequest(x.Request.Method, x.Request.Target, x.Request.Headers...)
	})
	s.tryExchange(func(x *Exchange) { x.Request.Protocol = "HTTP/1.1" })
	s.tryExchange(func(x *Exchange) { x.Request = NewRequest("GET", x.Request.Target, x.Request.Headers...) })
	s.tryExchange(func(x *Exchange) { x.Request = NewRequest(x.Request.Method, "/", x.Request.Headers...) })
	minimize(s.best.Exchange.Request.Headers, 1, func(h []rules.Header) bool {
		return s.tryExchange(func(x *Exchange) { x.Request = s.sameHead(x.Request.Target, h) })
	})
	if x := s.best.Exchange; x.Response != nil {
		minimize(x.Response.Headers, 1, func(h []rules.Header) bool {
			return s.tryExchange(func(x *Exchange) { x.Response.Headers = h })
		})
	}
	if path, query, ok := strings.Cut(s.best.Exchange.Request.Target, "?"); ok {
		minimize(strings.Split(query, "&"), 1, func(list []string) bool {
			return s.tryExchange(func(x *Exchange) {
				x.Request = s.sameHead(path+"?"+strings.Join(list, "&"), x.Request.Headers)
			})
		})
	}
	if form := string(s.best.Exchange.Body); strings.Contains(form, "&") {
		minimize(strings.Split(form, "&"), 1, func(list []string) bool {
			return s.tryExchange(func(x *Exchange) { x.Body = []byte(strings.Join(list, "&")) })
		})
	}
}

// sameHead is the request with another target and other headers; what follows from them follows.
func (s *shrinker) sameHead(target string, headers []rules.Header) rules.Request {
	old := s.best.Exchange.Request
	r := NewRequest(old.Method, target, headers...)
	r.Protocol, r.Client, r.Traffic = old.Protocol, old.Client, old.Traffic
	return r
}

// texts shortens target, header values and bodies byte by byte; of long ones, only by larger pieces.
func (s *shrinker) texts() {
	smallest := func(n int) int { return max(1, n/256) }
	target := []byte(s.best.Exchange.Request.Target)
	minimize(target, smallest(len(target)), func(t []byte) bool {
		return len(t) > 0 && t[0] == '/' && s.tryExchange(func(x *Exchange) { x.Request = s.sameHead(string(t), x.Request.Headers) })
	})
	for i := range s.best.Exchange.Request.Headers {
		value := []byte(s.best.Exchange.Request.Headers[i].Value)
		minimize(value, smallest(len(value)), func(v []byte) bool {
			return oneLine(string(v)) == string(v) && s.tryExchange(func(x *Exchange) {
				x.Request.Headers[i].Value = string(v)
				x.Request = s.sameHead(x.Request.Target, x.Request.Headers)
			})
		})
	}
	body := s.best.Exchange.Body
	minimize(body, smallest(len(body)), func(b []byte) bool { return s.tryExchange(func(x *Exchange) { x.Body = b }) })
	reply := s.best.Exchange.ResponseBody
	minimize(reply, smallest(len(reply)), func(b []byte) bool { return s.tryExchange(func(x *Exchange) { x.ResponseBody = b }) })
}
