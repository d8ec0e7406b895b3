package upstream

import (
	"fmt"
	"net"
	"net/netip"
)

// addressPolicy says which addresses are never upstreams, whatever DNS answers.
type addressPolicy struct {
	loopback loopback
	admin    func() []netip.AddrPort
}

type loopback int

const (
	loopbackRefused loopback = iota
	loopbackAllowed
)

var (
	metadataV6 = netip.MustParseAddr("fd00:ec2::254") // EC2 instance metadata over IPv6
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
	thisHost   = netip.MustParsePrefix("0.0.0.0/8")
	broadcast  = netip.MustParseAddr("255.255.255.255")
)

// check gives the reason why an address is refused, or nil.
func (p addressPolicy) check(a netip.AddrPort) error {
	ip := a.Addr().Unmap()
	if nat64.Contains(ip) { // an IPv4 address in IPv6 clothes (RFC 6052)
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case !ip.IsValid() || ip.IsUnspecified() || thisHost.Contains(ip):
		return fmt.Errorf("%s is refused: the unspecified address", a)
	case ip.IsLinkLocalUnicast() || ip.WithZone("") == metadataV6:
		return fmt.Errorf("%s is refused: link-local and instance metadata addresses are never upstreams", a)
	case ip.IsMulticast() || ip == broadcast:
		return fmt.Errorf("%s is refused: a multicast or broadcast address", a)
	case ip.IsLoopback() && p.loopback == loopbackRefused:
		return fmt.Errorf("%s is refused: loopback (allow_loopback: true allows it)", a)
	}
	if p.admin == nil {
		return nil
	}
	for _, admin := range p.admin() {
		if admin.Port() != a.Port() {
			continue
		}
		own := admin.Addr().Unmap()
		if own == ip || (own.IsUnspecified() && isOwn(ip)) {
			return fmt.Errorf("%s is refused: the gateway's own admin port", a)
		}
	}
	return nil
}

// isOwn reports whether ip is an address of this host. If the addresses cannot be listed it is taken for one.
func isOwn(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == ip {
			return true
		}
	}
	return false
}
