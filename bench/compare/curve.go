package main

import (
	"context"
	"fmt"
	"time"

	"gatehouse/bench/peers"
	"gatehouse/bench/report"
)

// curve is how what a request costs grows with something.
type curve struct {
	name, title, axis string
	at                []int
	who               func(peers.Peer) bool
	set               func(s *scenario, at int)
}

func gatewayOnly(p peers.Peer) bool { return p.Ours }

// besideProxy is the gateway with net/http's proxy, which shows how much of a curve is the gateway's.
func besideProxy(p peers.Peer) bool { return p.Ours || p.Name == "net-http" }

// curves of a run.
func curves() []curve {
	return []curve{
		{
			name: "applications", title: "applications of the same policy, requests for all in turn", axis: "applications",
			at: []int{1, 10, 100, 1000, 10_000}, who: gatewayOnly, set: func(s *scenario, at int) { s.sites = at },
		},
		{
			name: "rules", title: "rules of the operator beside CRS, none of which matches", axis: "rules",
			at: []int{0, 100, 1000, 5000}, who: gatewayOnly, set: func(s *scenario, at int) { s.rules = at },
		},
		{
			name: "body", title: "size of a JSON body", axis: "bytes", at: []int{0, 1 << 10, 10 << 10, 100 << 10, 1000 << 10}, who: besideProxy,
			set: func(s *scenario, at int) {
				s.bytes = at
				if at == 0 {
					s.bytes = -1
				}
				const few = 8
				s.connections = few
			},
		},
		{
			name: "connections", title: "connections, all of them busy", axis: "connections", at: []int{10, 100, 1000, 10_000}, who: besideProxy,
			set: func(s *scenario, at int) {
				s.connections = at
				const many, longer = 1000, 8 * time.Second // they have to be opened first
				if at >= many {
					s.seconds = longer
				}
			},
		},
		{
			name: "workers", title: "threads that serve (GOMAXPROCS)", axis: "threads", at: []int{1, 2}, who: besideProxy,
			set: func(s *scenario, at int) { s.workers = at },
		},
	}
}

// draw measures the points of a curve.
func (c *comparison) draw(ctx context.Context, v curve, rounds int, seconds time.Duration) (*report.Curve, error) {
	out := &report.Curve{Name: v.name, Title: v.title, Axis: v.axis}
	for _, at := range v.at {
		s := scenario{name: fmt.Sprintf("%s %d", v.name, at), title: v.title, mix: "shop", paranoia: 1, who: v.who, seconds: seconds, rounds: rounds}
		v.set(&s, at)
		measured, err := c.run(ctx, s)
		if err != nil {
			return nil, err
		}
		out.Points = append(out.Points, report.Point{At: at, Servers: measured.Servers})
	}
	return out, nil
}
