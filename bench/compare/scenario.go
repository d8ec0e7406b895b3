package main

import (
	"cmp"
	"time"

	"gatehouse/bench/mix"
	"gatehouse/bench/peers"
)

// scenario is one kind of traffic, and who gets it.
type scenario struct {
	name, title string
	mix         string
	paranoia    int
	tls, http2  bool
	// flood also looks at benign requests at a low rate while the server is saturated, with attacks and without.
	flood   bool
	who     func(peers.Peer) bool
	seconds time.Duration // of each measurement
	steady  time.Duration // of the open loop, if another
	rounds  int
	// connections at saturation, if others than in the settings: large requests keep few of them busy enough.
	connections int
	// What follows is for curves.
	bytes   int // of bodies; the mix is then one of that size. Negative is none
	sites   int
	rules   int
	workers int
}

func everyone(peers.Peer) bool         { return true }
func inspecting(p peers.Peer) bool     { return p.Inspects }
func notOtherEngine(p peers.Peer) bool { return p.Ours || !p.Inspects }

// scenarios of a run: all of them in full, or those that say most.
func scenarios(quick bool) []scenario {
	full := []scenario{
		{name: "standard", title: "a shop's visitors, paranoia level 1", mix: "shop", who: everyone, seconds: 5 * time.Second},
		{name: "attacks50", title: "every second request is an attack", mix: "attacks50", flood: true, who: inspecting, seconds: 4 * time.Second},
		{name: "attacks10", title: "every tenth request is an attack", mix: "attacks10", who: inspecting, seconds: 3 * time.Second},
		{name: "attacks1", title: "every hundredth request is an attack", mix: "attacks1", who: inspecting, seconds: 3 * time.Second},
		{name: "api", title: "JSON of 1 to 64 KiB", mix: "api", who: everyone, seconds: 4 * time.Second, connections: 8},
		{name: "uploads", title: "photos of 4 to 256 KiB", mix: "uploads", who: everyone, seconds: 4 * time.Second, connections: 8},
		{name: "tls", title: "a shop's visitors over TLS", mix: "shop", tls: true, who: everyone, seconds: 3 * time.Second},
		{name: "http2", title: "a shop's visitors over HTTP/2 and TLS", mix: "shop", tls: true, http2: true, who: everyone, seconds: 3 * time.Second},
		{name: "hosts", title: "a thousand sites: with ours each is an application", mix: "hosts", who: notOtherEngine, seconds: 3 * time.Second},
		{name: "pl4", title: "paranoia level 4, requests that it lets pass", mix: "plain", paranoia: 4, who: inspecting, seconds: 3 * time.Second},
	}
	const rounds, quickRounds = 5, 3
	chosen := full
	if quick {
		chosen = full[:2]
		chosen[0].seconds, chosen[0].steady = 2*time.Second, time.Second
		chosen[1].seconds = time.Second
		chosen[1].rounds = 2
	}
	for i := range chosen {
		s := &chosen[i]
		s.paranoia = max(s.paranoia, 1)
		s.steady = cmp.Or(s.steady, s.seconds)
		if s.rounds == 0 {
			s.rounds = rounds
			if quick {
				s.rounds = quickRounds
			}
		}
	}
	return chosen
}

// traffic is the mix that the scenario sends.
func (s scenario) traffic() (mix.Mix, error) {
	if s.bytes != 0 {
		return mix.Sized(max(0, s.bytes)), nil
	}
	m, err := mix.Find(s.mix)
	if s.sites > 0 {
		m.Hosts = s.sites
		m.Count = max(m.Count, m.Hosts)
	}
	return m, err
}

// hosts are the names that servers are asked by.
func (s scenario) hosts(m mix.Mix) []string {
	if s.tls {
		return []string{peers.TLSHost}
	}
	if m.Hosts == 1 {
		return []string{mix.Host}
	}
	names := make([]string, m.Hosts)
	for i := range names {
		names[i] = mix.HostName(i)
	}
	return names
}
