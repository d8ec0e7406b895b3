package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/bench/load"
	"gatehouse/bench/mix"
	"gatehouse/bench/peers"
	"gatehouse/bench/report"
)

// comparison is one run.
type comparison struct {
	built    *peers.Built
	dir      string // for everything that the run writes and then no longer needs
	peers    []peers.Peer
	settings report.Settings
	warm     time.Duration // before each turn, or
	warmOnce bool          // only before the first
	progress io.Writer
	void     []string
}

// probeRate is how many benign requests a second are sent beside a flood.
const probeRate = 50

// spoil notes why the run proves nothing.
func (c *comparison) spoil(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.void = append(c.void, text)
	fmt.Fprintln(c.progress, "VOID:", text)
}

// contender is a server of a scenario.
type contender struct {
	peer    peers.Peer
	process *peers.Process
	load    *load.Vegeta // of the scenario's mix
	probe   *load.Vegeta // of benign requests
	result  *report.Server
}

// traffic is what a scenario sends.
type traffic struct {
	scenario
	mix       mix.Mix
	all, calm *load.Wrk // the mix, and the same without attacks
	requests  []mix.Request
	benign    []mix.Request
}

// prepare makes the requests.
func (c *comparison) prepare(s scenario) (*traffic, error) {
	m, err := s.traffic()
	if err != nil {
		return nil, err
	}
	s.connections = cmp.Or(s.connections, c.settings.Connections)
	t := &traffic{scenario: s, mix: m, requests: m.Requests(c.settings.Seed)}
	without := m
	without.AttackPercent = 0
	t.benign = without.Requests(c.settings.Seed + 1)
	if s.tls {
		for _, requests := range [][]mix.Request{t.requests, t.benign} {
			for i := range requests {
				requests[i].SetHost(peers.TLSHost)
			}
		}
	}
	if t.all, err = c.wrk(t.requests); err != nil {
		return nil, err
	}
	t.calm, err = c.wrk(t.benign)
	return t, err
}

func (c *comparison) wrk(requests []mix.Request) (*load.Wrk, error) {
	dir, err := os.MkdirTemp(c.dir, "wrk-")
	if err != nil {
		return nil, err
	}
	return load.NewWrk(dir, requests)
}

// run measures one scenario.
func (c *comparison) run(ctx context.Context, s scenario) (*report.Scenario, error) {
	t, err := c.prepare(s)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(c.dir, s.name+"-")
	if err != nil {
		return nil, err
	}
	backend, err := peers.StartBackend(ctx, c.built, dir)
	if err != nil {
		return nil, err
	}
	defer backend.Stop()
	with := peers.Settings{
		Backend: backend.Address, Workers: cmp.Or(s.workers, c.settings.Workers), Paranoia: s.paranoia, TLS: s.tls, Hosts: s.hosts(t.mix),
		Rules: mix.CustomRules(s.rules),
	}

	var all []*contender
	defer func() {
		for _, v := range all {
			v.process.Stop()
		}
	}()
	for _, p := range c.peers {
		if !s.who(p) {
			continue
		}
		fmt.Fprintf(c.progress, "%s: start %s\n", s.name, p.Title)
		process, err := p.Start(ctx, c.built, dir, with)
		if err != nil {
			c.spoil("%s: %v", s.name, err)
			continue
		}
		url := t.url(process)
		v := &contender{peer: p, process: process, load: load.NewVegeta(url, t.requests, s.http2), probe: load.NewVegeta(url, t.benign, s.http2)}
		v.result = &report.Server{Name: p.Name, Title: p.Title, Inspects: p.Inspects, Ours: p.Ours}
		all = append(all, v)
	}
	for _, v := range all {
		c.check(t, v)
	}
	for round := range s.rounds {
		turns := slices.Clone(all)
		if round%2 == 1 {
			slices.Reverse(turns)
		}
		for _, v := range turns {
			if err := c.turn(ctx, t, v, round); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", s.name, v.peer.Title, err)
			}
		}
	}
	return t.report(all), ctx.Err()
}

// url is where a server is asked.
func (t *traffic) url(p *peers.Process) string {
	if !t.tls {
		return "http://" + p.Address
	}
	return "https://" + peers.TLSHost + p.Address[strings.LastIndexByte(p.Address, ':'):]
}

// check asks for a part of the mix and holds each reply against what it has to be.
func (c *comparison) check(t *traffic, v *contender) {
	const most, connections = 400, 4
	within := 4 * max(t.steady, time.Second)
	s := v.load.Check(most, connections, within, v.peer.Inspects)
	v.result.Checked += s.Requests
	c.judge(t, v, s)
}

// judge spoils the run if replies are wrong.
func (c *comparison) judge(t *traffic, v *contender, s load.Steady) {
	if s.Wrong > 0 {
		c.spoil("%s: %s: %d of %d replies are wrong: %s", t.name, v.peer.Title, s.Wrong, s.Requests, strings.Join(s.Errors, "; "))
	}
}

// turn measures a server once.
func (c *comparison) turn(ctx context.Context, t *traffic, v *contender, round int) error {
	warm := c.warm
	if c.warmOnce && round > 0 {
		warm = 0
	}
	r, err := c.saturate(ctx, t, v, warm)
	if err != nil {
		return err
	}
	// A server that is nearly saturated has no latency but that of its queue.
	const reserve = 1.1
	if t.steady > 0 && r.Rate > reserve*float64(c.settings.Rate) {
		if _, err := settle(v.process); err != nil {
			return err
		}
		s := v.load.Rate(c.settings.Rate, t.steady, v.peer.Inspects, round*c.settings.Rate*int(t.steady/time.Second))
		v.result.Checked += s.Requests
		c.judge(t, v, s)
		r.Steady = &report.Steady{Benign: s.Benign, Requests: s.Requests, Late: s.Late}
		if t.mix.AttackPercent > 0 {
			r.Steady.Attacks = &s.Attacks
		}
	}
	if t.flood {
		if r.Flood, err = c.flood(ctx, t, v, round); err != nil {
			return err
		}
	}
	v.result.Rounds = append(v.result.Rounds, r)
	if err := c.checkRecords(t, v, r.Requests); err != nil {
		return err
	}
	fmt.Fprintf(c.progress, "%s: round %d of %d: %-36s %8.1f us/request %8.0f requests/s %5.0f MiB\n", t.name, round+1, t.rounds, v.peer.Title, r.CPU, r.Rate, r.RSS)
	return v.process.DropRecords()
}

// saturate measures what requests cost the server when it gets as many as it can answer.
func (c *comparison) saturate(ctx context.Context, t *traffic, v *contender, warm time.Duration) (report.Round, error) {
	if warm > 0 {
		if _, err := c.drive(ctx, t, v, warm); err != nil {
			return report.Round{}, err
		}
	}
	before, err := settle(v.process)
	if err != nil {
		return report.Round{}, err
	}
	s, err := c.drive(ctx, t, v, t.seconds)
	if err != nil {
		return report.Round{}, err
	}
	after, err := v.process.Usage()
	if err != nil {
		return report.Round{}, err
	}
	if s.Requests == 0 {
		c.spoil("%s: %s: no reply in %v", t.name, v.peer.Title, t.seconds)
		return report.Round{}, nil
	}
	const mebibyte = 1 << 20
	return report.Round{
		CPU:      float64((after.CPU - before.CPU).Microseconds()) / float64(s.Requests),
		Rate:     float64(s.Requests) / s.Seconds,
		RSS:      float64(after.RSS) / mebibyte,
		Requests: s.Requests,
		Saturate: s.Latency,
	}, nil
}

// checkRecords spoils the run if a server that is to write a record of every request has not: records cost time.
func (c *comparison) checkRecords(t *traffic, v *contender, requests int) error {
	const least = 100 // bytes of a record
	written, err := v.process.Records()
	if err == nil && v.peer.Records && written < int64(requests)*least {
		c.spoil("%s: %s: %d bytes of records of %d requests", t.name, v.peer.Title, written, requests)
	}
	return err
}

// settle waits until a server has done what it was left with, and gives what it used by then. Some work for clients that
// are gone.
func settle(p *peers.Process) (peers.Usage, error) {
	const tries, pause, idle = 100, 100 * time.Millisecond, 10 * time.Millisecond
	last, err := p.Usage()
	for range tries {
		if err != nil {
			break
		}
		before := last.CPU
		time.Sleep(pause)
		if last, err = p.Usage(); last.CPU-before <= idle {
			break
		}
	}
	return last, err
}

// drive saturates a server for a time.
func (c *comparison) drive(ctx context.Context, t *traffic, v *contender, how time.Duration) (load.Saturation, error) {
	if t.http2 {
		s := v.load.Saturate(t.connections, how, v.peer.Inspects, 0)
		v.result.Checked += s.Requests
		c.judge(t, v, s)
		return load.Saturation{Requests: s.Requests, Seconds: s.Seconds, Latency: s.Benign}, nil
	}
	s, err := t.all.Saturate(ctx, t.url(v.process), t.connections, how)
	if err != nil {
		return s, err
	}
	if problem := s.Check(t.mix, v.peer.Inspects, t.connections); problem != "" {
		c.spoil("%s: %s: %s", t.name, v.peer.Title, problem)
	}
	return s, nil
}

// flood measures benign requests beside those that saturate the server: first benign ones too, then the scenario's.
func (c *comparison) flood(ctx context.Context, t *traffic, v *contender, round int) (*report.Flood, error) {
	const lead = time.Second // of the flood
	beside := func(flood *load.Wrk) (load.Latency, error) {
		ended := make(chan error, 1)
		go func() {
			_, err := flood.Saturate(ctx, t.url(v.process), t.connections, t.seconds+lead)
			ended <- err
		}()
		time.Sleep(lead / 2) // wrk has its connections by then
		s := v.probe.Rate(probeRate, t.seconds, v.peer.Inspects, round*probeRate*int(t.seconds/time.Second))
		c.judge(t, v, s)
		return s.Benign, <-ended
	}
	calm, err := beside(t.calm)
	if err != nil {
		return nil, err
	}
	under, err := beside(t.all)
	if err != nil {
		return nil, err
	}
	return &report.Flood{Calm: calm, Under: under, Ratio: under.P99 / calm.P99}, nil
}

// report is what was measured.
func (t *traffic) report(all []*contender) *report.Scenario {
	s := &report.Scenario{
		Name: t.name, Title: t.title, Mix: t.mix.Title, Requests: t.mix.Count, AttackPercent: t.mix.AttackPercent, Hosts: t.mix.Hosts,
		Paranoia: t.paranoia, TLS: t.tls, HTTP2: t.http2, Seconds: t.seconds.Seconds(), Connections: t.connections,
	}
	for _, v := range all {
		s.Servers = append(s.Servers, *v.result)
	}
	s.Summarize()
	return s
}
