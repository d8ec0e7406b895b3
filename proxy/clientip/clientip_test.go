package clientip

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/proxy/config"
)

func hops(n int) *int { return &n }

func conn(peer, client string) Addresses {
	a := Addresses{
		Peer:   netip.MustParseAddrPort(peer),
		Server: netip.MustParseAddrPort("192.0.2.80:8080"),
	}
	a.Client = a.Peer
	if client != "" {
		a.Client = netip.MustParseAddrPort(client)
	}
	return a
}

func TestClient(t *testing.T) {
	tests := []struct {
		name     string
		listener config.Listener
		peer     string
		source   string // out of a PROXY header
		xff      []string
		want     string
		from     Source
		problem  Problem
		shared   bool
	}{
		{"one hop", config.Listener{}, "10.0.0.1:999", "", []string{"203.0.113.9"}, "203.0.113.9:0", FromForwarded, NoProblem, false},
		{"one hop, spoofed entries to the left", config.Listener{}, "10.0.0.1:999", "", []string{"1.1.1.1, 127.0.0.1, 203.0.113.9"}, "203.0.113.9:0", FromForwarded, NoProblem, false},
		{"two hops", config.Listener{TrustedHops: hops(2)}, "10.0.0.1:999", "", []string{"1.1.1.1, 203.0.113.9, 198.51.100.1"}, "203.0.113.9:0", FromForwarded, NoProblem, false},
		{"several headers are one list", config.Listener{TrustedHops: hops(3)}, "10.0.0.1:999", "", []string{"1.1.1.1, 203.0.113.9", "198.51.100.1,198.51.100.2"}, "203.0.113.9:0", FromForwarded, NoProblem, false},
		{"short chain", config.Listener{TrustedHops: hops(3)}, "10.0.0.1:999", "", []string{"203.0.113.9, 198.51.100.1"}, "203.0.113.9:0", FromForwarded, ShortChain, false},
		{"untrusted peer", config.Listener{}, "198.51.100.7:999", "", []string{"203.0.113.9"}, "198.51.100.7:999", FromConnection, NoProblem, false},
		{"no header", config.Listener{}, "10.0.0.1:999", "", nil, "10.0.0.1:999", FromConnection, Missing, true},
		{"garbage at the needed place", config.Listener{}, "10.0.0.1:999", "", []string{"203.0.113.9, unknown"}, "10.0.0.1:999", FromConnection, Malformed, true},
		{"garbage elsewhere", config.Listener{}, "10.0.0.1:999", "", []string{"unknown,,; , 203.0.113.9"}, "203.0.113.9:0", FromForwarded, NoProblem, false},
		{"empty entry at the needed place", config.Listener{}, "10.0.0.1:999", "", []string{"203.0.113.9, "}, "10.0.0.1:999", FromConnection, Malformed, true},
		{"empty header", config.Listener{}, "10.0.0.1:999", "", []string{""}, "10.0.0.1:999", FromConnection, Malformed, true},
		{"no hops", config.Listener{TrustedHops: hops(0)}, "10.0.0.1:999", "", []string{"203.0.113.9"}, "10.0.0.1:999", FromConnection, NoProblem, false},
		{"ip and port", config.Listener{}, "10.0.0.1:999", "", []string{"203.0.113.9:4711"}, "203.0.113.9:4711", FromForwarded, NoProblem, false},
		{"v6", config.Listener{}, "10.0.0.1:999", "", []string{"2001:db8::1"}, "[2001:db8::1]:0", FromForwarded, NoProblem, false},
		{"v6 and port", config.Listener{}, "10.0.0.1:999", "", []string{"[2001:db8::1]:4711"}, "[2001:db8::1]:4711", FromForwarded, NoProblem, false},
		{"v6 in brackets", config.Listener{}, "10.0.0.1:999", "", []string{"[2001:db8::1]"}, "[2001:db8::1]:0", FromForwarded, NoProblem, false},
		{"v6 with zone", config.Listener{}, "10.0.0.1:999", "", []string{"fe80::1%eth0"}, "[fe80::1]:0", FromForwarded, NoProblem, false},
		{"mapped v4", config.Listener{}, "10.0.0.1:999", "", []string{"::ffff:203.0.113.9"}, "203.0.113.9:0", FromForwarded, NoProblem, false},
		{"mapped peer", config.Listener{}, "[::ffff:10.0.0.1]:999", "", []string{"203.0.113.9"}, "203.0.113.9:0", FromForwarded, NoProblem, false},
		{"mapped untrusted peer", config.Listener{}, "[::ffff:198.51.100.7]:999", "", nil, "198.51.100.7:999", FromConnection, NoProblem, false},
		{"named proxies replace the private ranges", config.Listener{TrustedProxies: prefixes("198.51.100.0/24")}, "10.0.0.1:999", "", []string{"203.0.113.9"}, "10.0.0.1:999", FromConnection, NoProblem, false},
		{"named proxy", config.Listener{TrustedProxies: prefixes("198.51.100.0/24")}, "198.51.100.7:999", "", []string{"203.0.113.9"}, "203.0.113.9:0", FromForwarded, NoProblem, false},
		{"named proxy, mapped prefix", config.Listener{TrustedProxies: prefixes("::ffff:198.51.100.0/120")}, "198.51.100.7:999", "", []string{"203.0.113.9"}, "203.0.113.9:0", FromForwarded, NoProblem, false},

		{"PROXY, default hops", config.Listener{ProxyProtocol: config.PROXYRequired}, "10.0.0.1:999", "203.0.113.9:4711", []string{"1.1.1.1"}, "203.0.113.9:4711", FromPROXY, NoProblem, false},
		{"PROXY of a health check", config.Listener{ProxyProtocol: config.PROXYRequired}, "10.0.0.1:999", "", nil, "10.0.0.1:999", FromConnection, NoProblem, true},
		{"PROXY before an HTTP proxy", config.Listener{ProxyProtocol: config.PROXYRequired, TrustedHops: hops(1)}, "10.0.0.1:999", "198.51.100.1:80", []string{"203.0.113.9"}, "203.0.113.9:0", FromForwarded, NoProblem, false},
		{"an address out of a PROXY header gives no trust", config.Listener{ProxyProtocol: config.PROXYRequired, TrustedHops: hops(1)}, "198.51.100.7:999", "10.0.0.1:80", []string{"203.0.113.9"}, "10.0.0.1:80", FromPROXY, NoProblem, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := http.Header{}
			if test.xff != nil {
				h["X-Forwarded-For"] = test.xff
			}
			got := NewResolver(test.listener).Client(conn(test.peer, test.source), h)
			want := Client{Addr: netip.MustParseAddrPort(test.want), Source: test.from, Problem: test.problem, Shared: test.shared}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func prefixes(list ...string) []config.Prefix {
	var out []config.Prefix
	for _, p := range list {
		out = append(out, config.Prefix{Prefix: netip.MustParsePrefix(p)})
	}
	return out
}

func TestParseEntryRefuses(t *testing.T) {
	for _, s := range []string{
		"", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:+80",
		"1.2.3.4:80:80", "[1.2.3.4]", "[1.2.3.4]:80", "[::1", "::1]", "[::1]80", "[::1]:", "[::1]:x", "[[::1]]", "[]", "[]:80",
		`"1.2.3.4"`, "1.2.3.4 5", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "for=1.2.3.4", "１.2.3.4", "1.2.3.4\x00", "http://1.2.3.4",
		"1.2.3.4/32", strings.Repeat("1", 200),
	} {
		if got, ok := parseEntry(s); ok {
			t.Errorf("parseEntry(%q) = %v, want refusal", s, got)
		}
	}
}

func TestPrivateRangesAreTrusted(t *testing.T) {
	trusted := NewTrusted(nil)
	for _, tt := range []struct {
		addr string
		want bool
	}{
		{"10.255.0.1", true},
		{"172.16.0.1", true},
		{"172.32.0.1", false},
		{"192.168.3.4", true},
		{"127.0.0.1", true},
		{"169.254.1.1", true},
		{"100.64.0.1", true},
		{"100.128.0.1", false},
		{"::1", true},
		{"fd00::1", true},
		{"fe80::1%eth0", true},
		{"::ffff:10.0.0.1", true},
		{"::ffff:8.8.8.8", false},
		{"8.8.8.8", false},
		{"2001:db8::1", false},
	} {
		if got := trusted.Contains(netip.MustParseAddr(tt.addr)); got != tt.want {
			t.Errorf("Contains(%s) = %v, want %v", tt.addr, got, tt.want)
		}
	}
	if trusted.Contains(netip.Addr{}) {
		t.Error("an invalid address is trusted")
	}
}

func TestIsHealthCheck(t *testing.T) {
	r := NewResolver(config.Listener{})
	if !r.IsHealthCheck(conn("10.0.0.1:1", ""), http.Header{}) {
		t.Error("a trusted peer without X-Forwarded-For is a health check")
	}
	if r.IsHealthCheck(conn("10.0.0.1:1", ""), http.Header{"X-Forwarded-For": {"203.0.113.9"}}) {
		t.Error("a forwarded request is no health check")
	}
	if r.IsHealthCheck(conn("203.0.113.9:1", ""), http.Header{}) {
		t.Error("an untrusted peer makes no health checks")
	}
}

// naiveEntry is entryFromRight by splitting everything.
func naiveEntry(lists []string, n int) (string, int) {
	all := strings.Split(strings.Join(lists, ","), ",")
	if len(all) < n {
		n = len(all)
	}
	return strings.Trim(all[len(all)-n], " \t"), n
}

func FuzzXForwardedFor(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "1.2.3.4, [::1]:80", ",,,", "a\n::1%z, ::ffff:1.2.3.4:80", "[", "1.2.3.4:99999"} {
		f.Add(s, "", 1)
		f.Add(s, "10.0.0.1, x", 2)
	}
	f.Fuzz(func(t *testing.T, first, second string, n int) {
		n = 1 + (n&0x7fffffff)%8
		lists := []string{first, second}
		got, found := entryFromRight(lists, n)
		want, wantFound := naiveEntry(lists, n)
		if got != want || found != wantFound {
			t.Fatalf("entryFromRight(%q, %d) = %q, %d, want %q, %d", lists, n, got, found, want, wantFound)
		}
		c := NewResolver(config.Listener{TrustedHops: &n}).Client(conn("10.0.0.1:1", ""), http.Header{"X-Forwarded-For": lists})
		if !c.Addr.IsValid() || c.Addr.Addr().Is4In6() || c.Addr.Addr().Zone() != "" {
			t.Fatalf("client %v is not in canonical form", c.Addr)
		}
		if c.Source == FromForwarded {
			if again, ok := parseEntry(c.Addr.String()); c.Addr.Port() != 0 && (!ok || again != c.Addr) {
				t.Fatalf("%v does not parse again: %v", c.Addr, again)
			}
		}
		if diff := cmp.Diff(lists, []string{first, second}); diff != "" {
			t.Fatal("the input was changed")
		}
	})
}
