package limit

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"gatehouse/proxy/config"
)

// Entry is a network in an AddressSet.
type Entry struct {
	Prefix netip.Prefix
	// Expires is when the entry ends to have effect, with a precision of a microsecond. The zero time means never.
	Expires time.Time
}

// AddressSet is a set of networks. It is not changed after NewAddressSet, so it may be used concurrently. A nil set is
// empty.
//
// Networks either lie apart or one within the other. So the addresses are cut into ranges that do not overlap, each with
// the latest end of the entries that cover it; to look up is a binary search for one range: of 100,000 entries at
// most 18 steps.
type AddressSet struct {
	v4, v6 []span
}

// span begins at an address and goes on until the next one begins.
type span struct {
	start   address
	expires int64 // Unix microseconds, never or uncovered
}

// address is an address as a number; an IPv4 address has only low bits.
type address struct{ high, low uint64 }

func (a address) compare(b address) int {
	return cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.low, b.low))
}

// The ends that are no moments.
const (
	never     = math.MaxInt64
	uncovered = math.MinInt64 // no entry holds the addresses
)

// NewAddressSet makes a set. IPv4 networks inside IPv6 (::ffff:0:0/96) are IPv4 networks; any other IPv6 network holds
// no IPv4 address. An entry without a valid network is an error.
func NewAddressSet(entries []Entry) (*AddressSet, error) {
	var v4, v6 []network
	for i, e := range entries {
		p := e.Prefix
		if !p.IsValid() {
			return nil, fmt.Errorf("entry %d: %v is not a network", i, p)
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		p = p.Masked()
		n := network{first: number(p.Addr()), host: p.Addr().BitLen() - p.Bits(), expires: never}
		if !e.Expires.IsZero() {
			n.expires = e.Expires.UnixMicro()
		}
		if p.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	return &AddressSet{v4: spans(v4), v6: spans(v6)}, nil
}

// NewLists makes a set of each list, by its name. An entry holds until its day is over.
func NewLists(lists []config.List) (map[string]*AddressSet, error) {
	sets := make(map[string]*AddressSet, len(lists))
	for _, x := range lists {
		entries := make([]Entry, len(x.Addresses))
		for i, e := range x.Addresses {
			end, err := e.Expires.End()
			if err != nil {
				return nil, fmt.Errorf("list %q, %s: %w", x.Name, e.Address, err)
			}
			entries[i] = Entry{Prefix: e.Address.Prefix, Expires: end}
		}
		set, err := NewAddressSet(entries)
		if err != nil {
			return nil, fmt.Errorf("list %q: %w", x.Name, err)
		}
		sets[x.Name] = set
	}
	return sets, nil
}

// Contains reports whether an entry that has not expired at now holds addr. An IPv4 address inside IPv6 is an IPv4
// address, zones are not looked at.
func (s *AddressSet) Contains(addr netip.Addr, now time.Time) bool {
	if s == nil || !addr.IsValid() {
		return false
	}
	addr = addr.Unmap()
	in := s.v6
	if addr.Is4() {
		in = s.v4
	}
	i, found := slices.BinarySearchFunc(in, number(addr), func(x span, a address) int { return x.start.compare(a) })
	if !found {
		i--
	}
	return i >= 0 && in[i].expires > now.UnixMicro()
}

// number gives the number of an address.
func number(a netip.Addr) address {
	if a.Is4() {
		b := a.As4()
		return address{low: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return address{high: binary.BigEndian.Uint64(b[:8]), low: binary.BigEndian.Uint64(b[8:])}
}

// network is an entry as numbers.
type network struct {
	first   address
	host    int // bits that differ among its addresses
	expires int64
}

// after gives the first address behind n; ok is false if n reaches the end of all addresses.
func (n network) after() (a address, ok bool) {
	switch {
	case n.host < 64:
		a = address{high: n.first.high, low: n.first.low + 1<<n.host}
		if a.low == 0 {
			a.high++
		}
	case n.host < 128:
		a = address{high: n.first.high + 1<<(n.host-64)}
	}
	return a, a != address{}
}

// spans cuts networks into ranges.
func spans(networks []network) []span {
	// A network comes before those within it.
	slices.SortFunc(networks, func(a, b network) int {
		return cmp.Or(a.first.compare(b.first), cmp.Compare(b.host, a.host))
	})
	var out []span
	var open []network // each lies within the one before it, and expires no earlier
	begin := func(at address, expires int64) {
		if n := len(out); n > 0 && out[n-1].start == at {
			out = out[:n-1]
		}
		if n := len(out); n > 0 && out[n-1].expires == expires || n == 0 && expires == uncovered {
			return
		}
		out = append(out, span{at, expires})
	}
	// end closes the open networks that end at or before at, or all.
	end := func(at address, all bool) {
		for len(open) > 0 {
			after, ok := open[len(open)-1].after()
			if !all && (!ok || after.compare(at) > 0) {
				return
			}
			open = open[:len(open)-1]
			if !ok {
				continue
			}
			outer := int64(uncovered)
			if len(open) > 0 {
				outer = open[len(open)-1].expires
			}
			begin(after, outer)
		}
	}
	for _, n := range networks {
		end(n.first, false)
		if len(open) > 0 {
			n.expires = max(n.expires, open[len(open)-1].expires)
		}
		open = append(open, n)
		begin(n.first, n.expires)
	}
	end(address{}, true)
	return slices.Clip(out)
}
