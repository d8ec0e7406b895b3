package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

func exact(path string, methods ...string) config.Route {
	return config.Route{Path: path, Match: config.MatchExact, Methods: methods}
}

func prefix(path string, methods ...string) config.Route {
	return config.Route{Path: path, Match: config.MatchPrefix, Methods: methods}
}

func TestFind(t *testing.T) {
	table := New([]config.Application{
		{Name: "shop", Hosts: []string{"shop.example.com", "*.shop.example.com"}, Routes: []config.Route{
			prefix("/"), prefix("/api"), prefix("/api/", "POST"), exact("/api"), exact("/login", "POST"), prefix("/login/help"),
			prefix("/admin", "GET"), exact("/only"),
			{Path: "/files", EncodedSlash: config.EncodedSlashAllow},
		}},
		{Name: "deep", Hosts: []string{"*.b.shop.example.com"}, Routes: []config.Route{exact("/x")}},
		{Name: "rest", Hosts: []string{"*"}, Routes: []config.Route{prefix("/")}},
	})
	noCatchAll := New([]config.Application{{Name: "one", Hosts: []string{"one"}, Routes: []config.Route{prefix("/")}}})
	tests := []struct {
		table              *Table
		host, path, method string
		app, route         string
		err                error
	}{
		{host: "shop.example.com", path: "/", app: "shop", route: "/"},
		{host: "SHOP.example.com:8080", path: "/", app: "shop", route: "/"},
		{host: "shop.example.com.", path: "/", app: "shop", route: "/"},
		{host: "a.shop.example.com", path: "/", app: "shop", route: "/"},
		{host: "a.a.shop.example.com", path: "/", app: "shop", route: "/"},
		{host: "a.b.shop.example.com", path: "/x", app: "deep", route: "=/x"},
		{host: "b.shop.example.com", path: "/", app: "shop", route: "/"},
		{host: "[::1]:80", path: "/", app: "rest", route: "/"},
		{host: "other", path: "/api", app: "rest", route: "/"},
		{table: noCatchAll, host: "other", path: "/", err: ErrUnknownHost},
		{host: "shop.example.com", path: "/api", app: "shop", route: "=/api"},
		{host: "shop.example.com", path: "/api/", app: "shop", route: "/api"},
		{host: "shop.example.com", path: "/api/x", app: "shop", route: "/api"},
		{host: "shop.example.com", path: "/api/x", method: "POST", app: "shop", route: "/api/ POST"},
		{host: "shop.example.com", path: "/apix", app: "shop", route: "/"},
		{host: "shop.example.com", path: "/login", method: "POST", app: "shop", route: "=/login POST"},
		{host: "shop.example.com", path: "/login", err: ErrMethod, app: "shop"},
		{host: "shop.example.com", path: "/login/x", app: "shop", route: "/"},
		{host: "shop.example.com", path: "/admin/x", method: "PUT", app: "shop", err: ErrMethod},
		{host: "a.b.shop.example.com", path: "/y", app: "deep", err: ErrNoRoute},
		{host: "shop.example.com", path: "/x/../api/y", app: "shop", route: "/api"},
		{host: "shop.example.com", path: "//api/y", app: "shop", err: ErrAmbiguous},
		{host: "shop.example.com", path: "/x//y", app: "shop", route: "/"},
		{host: "shop.example.com", path: "/x%2fy", app: "shop", err: ErrEncodedSlash},
		{host: "shop.example.com", path: "/files/x%2fy", app: "shop", route: "/files"},
	}
	for _, tt := range tests {
		t.Run(tt.host+tt.path+tt.method, func(t *testing.T) {
			if tt.table == nil {
				tt.table = table
			}
			if tt.method == "" {
				tt.method = "GET"
			}
			path, err := ParsePath(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			app, r, err := tt.table.Find(CanonicalHost(tt.host), path, tt.method)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if app != nil && app.Config.Name != tt.app || app == nil && tt.app != "" {
				t.Errorf("application %+v, want %q", app, tt.app)
			}
			if err == nil && r.Name != tt.route {
				t.Errorf("route %q, want %q", r.Name, tt.route)
			}
		})
	}
	if got := fmt.Sprint(table.Host("shop.example.com").Methods("/login")); got != "[POST]" {
		t.Errorf("Methods(/login) = %s", got)
	}
}

// TestFindScales shows that a look-up among 10,000 applications costs about what it costs among 10.
func TestFindScales(t *testing.T) {
	build := func(n int) (*Table, []string) {
		apps := make([]config.Application, n)
		hosts := make([]string, n)
		for i := range apps {
			hosts[i] = fmt.Sprintf("app-%d.example.com", i)
			apps[i] = config.Application{Name: hosts[i], Hosts: []string{hosts[i], fmt.Sprintf("*.w%d.example.com", i)}, Routes: []config.Route{prefix("/"), prefix("/api/v1")}}
		}
		return New(apps), hosts
	}
	path, err := ParsePath("/api/v1/orders/17/items")
	if err != nil {
		t.Fatal(err)
	}
	measure := func(table *Table, hosts []string) time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			for i := range 20_000 {
				if _, r, err := table.Find(hosts[i%10], path, "GET"); err != nil || r.Name != "/api/v1" {
					t.Fatalf("route %v, error %v", r, err)
				}
			}
			best = min(best, time.Since(start))
		}
		return best
	}
	small, smallHosts := build(10)
	large, largeHosts := build(10_000)
	a, b := measure(small, smallHosts), measure(large, largeHosts)
	t.Logf("20,000 look-ups: %v among 10 applications, %v among 10,000 (ratio %.2f)", a, b, float64(b)/float64(a))
	if b > 10*a {
		t.Errorf("look-ups among 10,000 applications take %.1f times as long as among 10", float64(b)/float64(a))
	}
}

func TestNeverForwarded(t *testing.T) {
	for _, method := range []string{"CONNECT", "TRACE", "TRACK"} {
		for _, spelled := range []string{method, strings.ToLower(method), method[:1] + strings.ToLower(method[1:])} {
			if !NeverForwarded(spelled) {
				t.Errorf("%s is forwarded", spelled)
			}
		}
	}
	for _, method := range []string{"GET", "get", "POST", "PATCH", "PROPFIND", "TRAC", "TRACES", "CONNECTED", "X"} {
		if NeverForwarded(method) {
			t.Errorf("%s is not forwarded", method)
		}
	}
}
