package listener

import (
	"errors"
	"fmt"
	"net"
	"reflect"

	"gatehouse/proxy/config"
)

// Plan is a configuration for which everything that can fail has been done: certificates are loaded, new addresses
// bound. Exactly one of Commit and Discard must be called.
type Plan struct {
	set    *Set
	table  *table
	places []place
}

// place is where a listener of the new configuration is served.
type place struct {
	cfg      config.Listener
	listener *Listener
	bound    bool // by this plan
}

// Prepare makes a plan for cfg. Listeners whose address stays the same keep their socket; a name, protocol or any
// other setting may change. On an error nothing has changed.
func (s *Set) Prepare(cfg Config) (*Plan, error) {
	s.mu.Lock()
	closed, current := s.closed, s.listeners
	s.mu.Unlock()
	if closed {
		return nil, ErrClosed
	}
	t, err := loadTable(cfg.Certificates, cfg.Sealed)
	if err != nil {
		return nil, err
	}
	p := &Plan{set: s, table: t}
	var problems []error
	for i, l := range cfg.Listeners {
		if l.Protocol == config.ProtocolHTTPS && len(t.list) == 0 {
			problems = append(problems, fmt.Errorf("listeners[%d].protocol (listener %q): https needs an entry under certificates", i, l.Name))
			continue
		}
		if existing := p.unclaimed(current, l); existing != nil {
			p.places = append(p.places, place{cfg: l, listener: existing})
			continue
		}
		tcp, err := Listen(l.Address, key(i, l))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		p.places = append(p.places, place{cfg: l, listener: newListener(s, tcp), bound: true})
	}
	if len(problems) > 0 {
		p.Discard()
		return nil, errors.Join(problems...)
	}
	return p, nil
}

// unclaimed finds the existing listener for cfg: same address, and preferably same name, since ":0" may be there
// more than once.
func (p *Plan) unclaimed(current []*Listener, cfg config.Listener) *Listener {
	var found *Listener
	for _, l := range current {
		old := l.config()
		if !sameAddress(old.Address, cfg.Address) || p.claims(l) {
			continue
		}
		if old.Name == cfg.Name {
			return l
		}
		if found == nil {
			found = l
		}
	}
	return found
}

func (p *Plan) claims(l *Listener) bool {
	for _, place := range p.places {
		if place.listener == l {
			return true
		}
	}
	return false
}

// sameAddress reports whether two configured addresses bind the same: ":80" is "[::]:80".
func sameAddress(a, b string) bool {
	if a == b {
		return true
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	everywhere := func(host string) bool { return host == "" || host == "::" }
	return errA == nil && errB == nil && portA == portB && everywhere(hostA) && everywhere(hostB)
}

// Commit puts the plan into effect: settings hold for connections that are accepted from now on, new listeners accept,
// and those that are gone drain in the background. It cannot fail. After Shutdown it is Discard.
func (p *Plan) Commit() {
	s := p.set
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		p.Discard()
		return
	}
	s.store.use(p.table)
	listeners := make([]*Listener, 0, len(p.places))
	for _, place := range p.places {
		l := place.listener
		if place.bound || !reflect.DeepEqual(l.config(), place.cfg) {
			l.apply(place.cfg)
		}
		if place.bound && s.started {
			l.start()
		}
		listeners = append(listeners, l)
	}
	for _, old := range s.listeners {
		if !p.claims(old) {
			s.retire(old)
		}
	}
	s.listeners = listeners
}

// Discard gives up what the plan has bound.
func (p *Plan) Discard() {
	for _, place := range p.places {
		if place.bound {
			place.listener.discard()
		}
	}
}
