package clientip

import (
	"net/netip"

	"gatehouse/proxy/config"
)

// privateRanges are the trusted proxies of a listener that names none: RFC 1918, RFC 4193, RFC 6598, loopback and
// link-local.
func privateRanges() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("fc00::/7"),
		netip.MustParsePrefix("fe80::/10"),
		netip.MustParsePrefix("::1/128"),
	}
}

// Trusted is the set of TCP peers whose PROXY or forwarding headers count. It is not changed after NewTrusted.
type Trusted struct {
	prefixes []netip.Prefix
}

// NewTrusted makes the set from a listener's trusted_proxies; an empty list means the private ranges.
func NewTrusted(prefixes []config.Prefix) Trusted {
	if len(prefixes) == 0 {
		return Trusted{prefixes: privateRanges()}
	}
	t := Trusted{prefixes: make([]netip.Prefix, 0, len(prefixes))}
	for _, p := range prefixes {
		t.prefixes = append(t.prefixes, unmapPrefix(p.Prefix))
	}
	return t
}

// Contains reports whether addr is a trusted proxy. IPv4-mapped IPv6 addresses are compared as IPv4, zones are not
// looked at.
func (t Trusted) Contains(addr netip.Addr) bool {
	addr = clean(addr)
	for _, p := range t.prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// clean returns addr in the one form in which addresses are compared and written.
func clean(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// unmapPrefix turns ::ffff:10.0.0.0/104 into 10.0.0.0/8.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// Overlaps gives a network of trusted proxies that has addresses of p.
func (r *Resolver) Overlaps(p netip.Prefix) (netip.Prefix, bool) {
	p = unmapPrefix(p)
	for _, t := range r.trusted.prefixes {
		if t.Overlaps(p) {
			return t, true
		}
	}
	return netip.Prefix{}, false
}
