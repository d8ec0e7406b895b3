package upstream

import (
	"time"
)

// Status is a snapshot of an upstream for /status.
type Status struct {
	Name      string          `json:"name"`
	Retired   bool            `json:"retired,omitempty"` // replaced by a newer configuration, finishes what is in flight
	InFlight  int64           `json:"in_flight"`
	Hosts     []HostStatus    `json:"hosts,omitempty"` // one for each name that is resolved
	Addresses []AddressStatus `json:"addresses"`
}

// HostStatus is what a host resolves to.
type HostStatus struct {
	Host      string   `json:"host"`
	Addresses []string `json:"addresses"`
	TTL       float64  `json:"ttl_seconds"`
	Age       float64  `json:"age_seconds"`     // of the last good answer; 0 if there was none
	Stale     bool     `json:"stale,omitempty"` // the last look-up failed, an older answer is in use
	Error     string   `json:"error,omitempty"` // of the last look-up
}

// AddressStatus is what is known of an address.
type AddressStatus struct {
	Address   string    `json:"address"`
	Host      string    `json:"host"`
	State     State     `json:"state"`
	Since     time.Time `json:"since"`
	Until     time.Time `json:"until,omitzero"` // when an ejected address is tried again
	InFlight  int64     `json:"in_flight"`
	Idle      int       `json:"idle_connections"`
	Active    int       `json:"active_connections"`
	LastError string    `json:"last_error,omitempty"`
}

// Status gives a snapshot of the upstream.
func (u *Upstream) Status() Status {
	now := time.Now()
	s := Status{Name: u.config.Name, Retired: u.retired.Load(), InFlight: u.active.Load(), Addresses: []AddressStatus{}}
	for _, w := range u.watchers {
		s.Hosts = append(s.Hosts, w.status(now))
	}
	u.mu.Lock()
	endpoints := append(append([]*endpoint(nil), *u.endpoints.Load()...), u.draining...)
	u.mu.Unlock()
	for _, ep := range endpoints {
		s.Addresses = append(s.Addresses, ep.status(now))
	}
	return s
}
