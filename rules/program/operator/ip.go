package operator

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ipMatch has the networks as ranges that do not overlap, in order.
type ipMatch struct{ ranges []ipRange }

type ipRange struct{ first, last netip.Addr }

func splitList(list string) []string { return strings.Split(list, ",") }

// splitAll: a line of a file or a dataset may be a list itself.
func splitAll(lines []string) []string {
	var all []string
	for _, line := range lines {
		all = append(all, splitList(line)...)
	}
	return all
}

// newIPMatch leaves out entries that are no address or network, as the reference does.
func newIPMatch(entries []string) Operator {
	var ranges []ipRange
	for _, entry := range entries {
		if prefix, ok := parseNetwork(strings.TrimSpace(entry)); ok {
			ranges = append(ranges, ipRange{prefix.Addr(), lastAddress(prefix)})
		}
	}
	slices.SortFunc(ranges, func(a, b ipRange) int { return a.first.Compare(b.first) })
	var merged []ipRange
	for _, r := range ranges {
		if n := len(merged); n > 0 && r.first.BitLen() == merged[n-1].last.BitLen() && r.first.Compare(merged[n-1].last) <= 0 {
			if merged[n-1].last.Less(r.last) {
				merged[n-1].last = r.last
			}
			continue
		}
		merged = append(merged, r)
	}
	return ipMatch{merged}
}

// parseNetwork reads an address or a network. IPv4 networks in IPv6 notation are IPv4 networks.
func parseNetwork(entry string) (netip.Prefix, bool) {
	if !strings.Contains(entry, "/") {
		switch {
		case strings.Contains(entry, ":"):
			entry += "/128"
		case strings.Contains(entry, "."):
			entry += "/32"
		}
	}
	_, network, err := net.ParseCIDR(entry)
	if err != nil {
		return netip.Prefix{}, false
	}
	ones, bits := network.Mask.Size()
	addr, ok := netip.AddrFromSlice(network.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	if addr = addr.Unmap(); addr.Is4() && bits == 128 {
		ones -= 96
	}
	return netip.PrefixFrom(addr, ones).Masked(), ones >= 0
}

// lastAddress is the last address of a network.
func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// Match implements Operator.
func (m ipMatch) Match(value string, _ *Captures) bool {
	// Most of what is no address is refused here at no cost, without the parser's error.
	if len(value) > 45 {
		return false
	}
	marks := 0
	for i := range len(value) {
		if c := value[i]; c == '.' || c == ':' {
			marks++
		} else if !isHex(c) {
			return false
		}
	}
	if marks < 2 {
		return false
	}
	addr, err := netip.ParseAddr(value)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	i, found := slices.BinarySearchFunc(m.ranges, addr, func(r ipRange, a netip.Addr) int { return r.first.Compare(a) })
	if found {
		return true
	}
	return i > 0 && m.ranges[i-1].last.BitLen() == addr.BitLen() && addr.Compare(m.ranges[i-1].last) <= 0
}
