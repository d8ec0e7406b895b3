package route

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

// fastest is the shortest of a few runs of f.
func fastest(f func()) time.Duration {
	best := time.Hour
	for range 5 {
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	return best
}

// TestLong looks up a path of 30,000 segments and a host of 30,000 labels: that must cost less than reading them does.
func TestLong(t *testing.T) {
	routes := []config.Route{prefix("/")}
	hosts := []string{"*"}
	for i := range 20 {
		routes = append(routes, prefix(fmt.Sprintf("/api/v%d", i)))
		hosts = append(hosts, fmt.Sprintf("*.x%d.example.com", i))
	}
	table := New([]config.Application{{Name: "one", Hosts: hosts, Routes: routes}})
	raw, name := strings.Repeat("/a", 30_000), strings.Repeat("A.", 30_000)

	var path Path
	parse := fastest(func() { path, _ = ParsePath(raw) })
	find := fastest(func() { table.Find("other", path, "GET") })
	methods := fastest(func() { table.Host("other").Methods(path.Canonical) })
	var host string
	read := fastest(func() { host = CanonicalHost(name) })
	look := fastest(func() { table.Host(host) })
	t.Logf("path: read in %v, route found in %v, methods in %v; host: read in %v, application found in %v", parse, find, methods, read, look)
	if find > 10*parse || methods > 10*parse {
		t.Errorf("a path that is read in %v needs %v to find its route and %v for the methods", parse, find, methods)
	}
	if look > 10*read {
		t.Errorf("a host that is read in %v needs %v to find its application", read, look)
	}
}

// TestShortened holds look-ups against those that begin at the whole of every path and host.
func TestShortened(t *testing.T) {
	applications := []config.Application{
		{Name: "a", Hosts: []string{"*.a.b", "*.b"}, Routes: []config.Route{prefix("/a"), exact("/a/b/"), prefix("/ab/a", "GET"), exact("/b", "GET")}},
		{Name: "b", Hosts: []string{"*.ab.b.a"}, Routes: []config.Route{prefix("/"), prefix("/b/b/a"), exact("/b/b", "GET")}},
	}
	table, whole := New(applications), New(applications)
	whole.longest = 1 << 20
	for _, a := range whole.apps {
		a.longest = 1 << 20
	}
	found := 0
	random := rand.New(rand.NewPCG(1, 2))
	word := func(separator string) string {
		var b strings.Builder
		for range random.IntN(10) {
			b.WriteString([]string{"a", "b", "ab", separator, separator}[random.IntN(5)])
		}
		return b.String()
	}
	for range 20_000 {
		host, path := word("."), "/"+word("/")
		got, want := table.Host(host), whole.Host(host)
		if (got == nil) != (want == nil) || got != nil && got.Index != want.Index {
			t.Fatalf("host %q: application %v, want %v", host, got, want)
		}
		for i := range table.apps {
			short, err := table.apps[i].find(path, "POST")
			long, wantErr := whole.apps[i].find(path, "POST")
			if err != wantErr || (short == nil) != (long == nil) || short != nil && short.Index != long.Index {
				t.Fatalf("path %q: route %v, %v, want %v, %v", path, short, err, long, wantErr)
			}
			if short != nil {
				found++
			}
			if got, want := fmt.Sprint(table.apps[i].Methods(path)), fmt.Sprint(whole.apps[i].Methods(path)); got != want {
				t.Fatalf("path %q: methods %s, want %s", path, got, want)
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d paths had a route", found)
	}
}
