package action

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"gatehouse/proxy/clientip"
	"gatehouse/proxy/limit"
	"gatehouse/rules/fleetapi"
)

func request(client string, at time.Time) *Request {
	return &Request{
		Time: at, Client: clientip.Client{Addr: netip.AddrPortFrom(netip.MustParseAddr(client), 1)}, Application: "shop",
		Method: "GET", Path: "/a/b", Host: "shop.example.com", Header: http.Header{"User-Agent": {"test"}, "Accept": {"*/*"}},
	}
}

func block(id string, clients ...string) fleetapi.Action {
	now := time.Now()
	return fleetapi.Action{ID: id, Kind: fleetapi.ActionBlock, Clients: clients, Reason: "r", Created: now, Expires: now.Add(time.Hour)}
}

func compiled(t testing.TB, list ...fleetapi.Action) *Set {
	t.Helper()
	s, err := Compile(&fleetapi.Actions{Format: 1, Actions: list}, time.Now(), limit.NewCounters(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestExpiryAndShared(t *testing.T) {
	s := compiled(t, block("a", "203.0.113.0/24"))
	now := time.Now()
	if s.Decide(request("203.0.113.1", now)).Action == nil {
		t.Error("not blocked")
	}
	if s.Decide(request("203.0.113.1", now.Add(2*time.Hour))).Action != nil {
		t.Error("blocked after it expired")
	}
	shared := request("203.0.113.1", now)
	shared.Client.Shared = true
	if s.Decide(shared).Action != nil {
		t.Error("everybody behind a proxy is blocked")
	}
	if compiled(t) != nil {
		t.Error("an empty set is not nil")
	}
}

// TestSamples: totals are exact, shares are within the error of the samples, and what is old is forgotten.
func TestSamples(t *testing.T) {
	s, now := NewSamples(), time.Unix(1_800_000_000, 0)
	const n = 60_000
	for i := range n {
		client := "192.0.2.1"
		if i%10 == 0 {
			client = "203.0.113.9"
		}
		s.Add(request(client, now.Add(time.Duration(i)*10*time.Millisecond)), Passed, nil)
	}
	a := block("a", "203.0.113.0/24")
	end := now.Add(n * 10 * time.Millisecond)
	all, hit, err := s.Answer(&a, end)
	if err != nil || all != n || math.Abs(float64(hit)-n/10) > n/50 {
		t.Errorf("%d of %d, %v", hit, all, err)
	}
	a.Header, a.Value = "user-agent", "other"
	if _, hit, _ := s.Answer(&a, end); hit != 0 {
		t.Errorf("another header: %d", hit)
	}
	if all, _, _ := s.Answer(&a, end.Add(time.Hour)); all != 0 {
		t.Errorf("an hour later: %d", all)
	}
	for i := range 100 {
		s.Add(request("192.0.2.1", end.Add(time.Duration(i)*time.Minute)), Passed, nil)
	}
	if len(s.older) >= 16 {
		t.Errorf("%d minutes are kept", len(s.older))
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{0, 1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var list []fleetapi.Action
			for i := range n {
				list = append(list, block(fmt.Sprintf("a%d", i), fmt.Sprintf("203.%d.113.0/24", i), fmt.Sprintf("2001:db8:%x::/48", i)))
			}
			s, r := compiled(b, list...), request("203.0.114.1", time.Now())
			b.ReportAllocs()
			for b.Loop() {
				s.Decide(r)
			}
		})
	}
}

func BenchmarkSamples(b *testing.B) {
	s, r := NewSamples(), request("203.0.113.1", time.Now())
	b.ReportAllocs()
	for b.Loop() {
		s.Add(r, Passed, nil)
	}
}

// TestSamplesAreEven: what came early in a minute is remembered as well as what came late.
func TestSamplesAreEven(t *testing.T) {
	s, now := NewSamples(), time.Unix(1_800_000_000, 0)
	const n = 20_000
	for i := range n {
		client := "203.0.113.9"
		if i >= n/2 {
			client = "192.0.2.1"
		}
		s.Add(request(client, now), Passed, nil)
	}
	a := block("a", "203.0.113.0/24")
	if all, hit, err := s.Answer(&a, now); err != nil || all != n || hit < n*4/10 || hit > n*6/10 {
		t.Errorf("%d of %d, %v", hit, all, err)
	}
}
