package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/proxy/config"
	"gatehouse/proxy/route"
)

func routeCommand() command {
	return command{
		name: "route", synopsis: "-config PATH URL [-method M] [-o text|json]", short: "say which route takes a URL",
		long: `
  gatehouse route -config gatehouse.yaml https://shop.example.com/api/orders -method POST

Exit code 1 if no route takes it; the answer says what a client would get. A gRPC route takes POST alone: -method POST.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			path := configFlag(flags)
			method := flags.String("method", http.MethodGet, "request `method`")
			output := outputFlag(flags)
			return func(_ context.Context, args []string) error {
				if *path == "" || len(args) != 1 {
					return usagef("-config PATH and one URL are required")
				}
				loaded, err := c.loadFor(*path)
				if err != nil {
					return err
				}
				answer, err := findRoute(route.New(loaded.Config.Applications), args[0], *method)
				if err != nil {
					return err
				}
				if answer.place != "" {
					file, line, _ := loaded.Position(answer.place)
					answer.Defined = fmt.Sprintf("%s:%d", file, line)
				}
				if *output == "json" {
					err = c.printJSON(answer)
				} else {
					err = answer.print(c)
				}
				if err == nil && answer.Problem != "" {
					err = errReported
				}
				return err
			}
		},
	}
}

// routeAnswer is what gatehouse route prints.
type routeAnswer struct {
	Host        string   `json:"host"`
	Path        string   `json:"path"`
	Method      string   `json:"method"`
	Application string   `json:"application,omitempty"`
	Route       string   `json:"route,omitempty"`
	Mode        string   `json:"mode,omitempty"`
	Policy      string   `json:"policy,omitempty"`
	Traffic     []string `json:"traffic,omitempty"`
	Upstream    string   `json:"upstream,omitempty"`
	Redirect    string   `json:"redirect,omitempty"`
	Defined     string   `json:"defined,omitempty"`
	Status      int      `json:"status,omitempty"`
	Problem     string   `json:"problem,omitempty"`

	place string // path of the route in the configuration
}

// findRoute looks up a URL, whose scheme may be left out.
func findRoute(table *route.Table, target, method string) (*routeAnswer, error) {
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	_, rest, _ := strings.Cut(target, "://")
	host, path := rest, "/"
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	path, _, _ = strings.Cut(path, "#")
	path, _, _ = strings.Cut(path, "?")
	if u, err := url.Parse("http://" + host); err != nil || u.Host == "" || u.User != nil {
		return nil, usagef("%q is not a URL such as https://shop.example.com/api", target)
	}
	if path == "" {
		path = "/"
	}
	a := &routeAnswer{Host: route.CanonicalHost(host), Path: path, Method: strings.ToUpper(method)}
	if route.NeverForwarded(a.Method) {
		a.Status, a.Problem = http.StatusMethodNotAllowed, a.Method+" is never forwarded"
		return a, nil
	}
	parsed, err := route.ParsePath(path)
	if err != nil {
		a.Status, a.Problem = http.StatusBadRequest, err.Error()
		return a, nil
	}
	app, r, err := table.Find(a.Host, parsed, a.Method)
	if app != nil {
		a.Application, a.Policy, a.Mode = app.Config.Name, app.Config.Policy, string(app.Config.Mode)
		a.place = fmt.Sprintf("applications[%d]", app.Index)
	}
	if r != nil {
		a.Route, a.place = r.Name, fmt.Sprintf("%s.routes[%d]", a.place, r.Index)
		if r.Config.Mode != "" {
			a.Mode = string(r.Config.Mode)
		}
		for _, t := range r.Config.Traffic {
			a.Traffic = append(a.Traffic, string(t))
		}
		if a.Upstream = r.Config.Upstream; a.Upstream == "" {
			a.Upstream = app.Config.Upstream
		}
		if to := r.Config.Rewrite.Redirect; to != nil {
			a.Redirect, a.Upstream = fmt.Sprintf("%d %s", to.Status, to.To), ""
		}
	}
	if err != nil {
		a.Problem, a.Status = err.Error(), statusOf(err)
	} else {
		a.Problem, a.Status = refusedByTraffic(r.Config.Traffic, a.Method)
	}
	return a, nil
}

// refusedByTraffic says why a route refuses every request with a method because of the traffic that it carries, and with
// which status. It answers "" if there are requests that it takes.
func refusedByTraffic(traffic []config.Traffic, method string) (problem string, status int) {
	carries := func(t config.Traffic) bool { return slices.Contains(traffic, t) }
	grpc, handshakes := carries(config.TrafficGRPC), carries(config.TrafficWebSocket)
	switch {
	case carries(config.TrafficAuto), carries(config.TrafficAPI):
	case grpc && method == http.MethodPost, handshakes && method == http.MethodGet:
	case grpc:
		return "the route carries gRPC, which is POST", http.StatusMethodNotAllowed
	default:
		return "the route carries WebSocket handshakes alone, which are GET", http.StatusUpgradeRequired
	}
	return "", 0
}

// statusOf is what a client gets for an error of the route table.
func statusOf(err error) int {
	switch err {
	case route.ErrUnknownHost:
		return http.StatusMisdirectedRequest
	case route.ErrNoRoute:
		return http.StatusNotFound
	case route.ErrMethod:
		return http.StatusMethodNotAllowed
	}
	return http.StatusBadRequest
}

func (a *routeAnswer) print(c *cli) error {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(c.stdout, "%-12s %s\n", name, value)
		}
	}
	if a.Problem != "" {
		line("refused", fmt.Sprintf("%d: %s", a.Status, a.Problem))
	}
	line("application", a.Application)
	line("route", a.Route)
	line("mode", a.Mode)
	line("policy", a.Policy)
	line("traffic", strings.Join(a.Traffic, ", "))
	line("upstream", a.Upstream)
	line("redirect", a.Redirect)
	line("defined at", a.Defined)
	return nil
}
