package main

import (
	"fmt"
	"slices"
	"testing"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
	"gatehouse/proxy/route"
	"gatehouse/rules/crs"
)

// TestRouteMethods compares what route says of each method on a route of each traffic with what a gateway does with a plain
// request, a gRPC request and a WebSocket handshake: route says yes if it takes one of them.
func TestRouteMethods(t *testing.T) {
	refusals := []event.Reason{event.MethodRefused, event.MethodNoRoute, event.UpgradeRefused}
	for _, traffic := range []string{"auto", "api", "grpc", "websocket", "auto, grpc", "api, websocket", "grpc, websocket"} {
		t.Run(traffic, func(t *testing.T) {
			loaded, err := config.Options{CRSVersions: crs.Versions()}.LoadBytes("t.yaml", fmt.Appendf(nil, `
applications:
  - { hosts: [shop.example.com], mode: disabled, upstream: "http://shop.internal", routes: [{ path: /, traffic: [%s] }] }
`, traffic))
			if err != nil {
				t.Fatal(err)
			}
			inspector, err := proxy.NewInspector(loaded, zap.NewNop(), proxytest.Compiled(t))
			if err != nil {
				t.Fatal(err)
			}
			defer inspector.Close()
			table := route.New(loaded.Config.Applications)
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "TRACE", "CONNECT"} {
				taken := false
				for _, request := range [][2]string{{"", "none"}, {"", "grpc"}, {"websocket", "none"}} {
					taken = taken || !slices.Contains(refusals, judge(t, inspector, request[0], method, request[1]))
				}
				answer, err := findRoute(table, "http://shop.example.com/", method)
				if err != nil {
					t.Fatal(err)
				}
				if (answer.Problem == "") != taken || (answer.Status == 0) != taken {
					t.Errorf("%s: the gateway takes it: %v; route says %d %q", method, taken, answer.Status, answer.Problem)
				}
			}
		})
	}
}
