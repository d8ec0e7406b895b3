package limit

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

var day = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

func TestAddressSet(t *testing.T) {
	entry := func(prefix string, expires time.Time) Entry {
		return Entry{netip.MustParsePrefix(prefix), expires}
	}
	set, err := NewAddressSet([]Entry{
		entry("198.51.100.0/24", time.Time{}),
		entry("203.0.113.0/24", day),
		entry("203.0.113.64/26", day.Add(time.Hour)), // within, for longer
		entry("203.0.113.64/32", day.Add(-time.Hour)),
		entry("255.255.255.255/32", time.Time{}),
		entry("0.0.0.0/32", time.Time{}),
		entry("2001:db8::/32", time.Time{}),
		entry("2001:db8:1::/48", day),
		entry("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00/120", time.Time{}),
		entry("::ffff:192.0.2.0/120", time.Time{}), // IPv4
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, addr string
		now        time.Time
		want       bool
	}{
		{"first", "198.51.100.0", day, true},
		{"last", "198.51.100.255", day, true},
		{"before", "198.51.99.255", day, false},
		{"behind", "198.51.101.0", day, false},
		{"mapped into IPv6", "::ffff:198.51.100.7", day, true},
		{"just before the end", "203.0.113.1", day.Add(-time.Microsecond), true},
		{"at the end", "203.0.113.1", day, false},
		{"inner entry holds longer", "203.0.113.70", day, true},
		{"inner entry over", "203.0.113.70", day.Add(time.Hour), false},
		{"innermost ends first", "203.0.113.64", day, true},
		{"behind the inner entry", "203.0.113.128", day, false},
		{"top of IPv4", "255.255.255.255", day, true},
		{"bottom of IPv4", "0.0.0.0", day, true},
		{"next to it", "0.0.0.1", day, false},
		{"IPv6", "2001:db8:ffff::1", day, true},
		{"inner ends, outer holds", "2001:db8:1::1", day, true},
		{"with a zone", "2001:db8::1%eth0", day, true},
		{"outside", "2001:db9::", day, false},
		{"top of IPv6", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", day, true},
		{"IPv4 written as IPv6", "192.0.2.1", day, true},
		{"IPv6 with the number of IPv4", "::198.51.100.7", day, false},
		{"long ago", "198.51.101.0", time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := set.Contains(netip.MustParseAddr(tt.addr), tt.now); got != tt.want {
				t.Errorf("Contains(%s, %s) = %v", tt.addr, tt.now, got)
			}
		})
	}
	if set.Contains(netip.Addr{}, day) || (*AddressSet)(nil).Contains(netip.MustParseAddr("192.0.2.1"), day) {
		t.Error("no address, or no set, matches")
	}
	if _, err := NewAddressSet([]Entry{{}}); err == nil {
		t.Error("an entry without a network is taken")
	}
	all, err := NewAddressSet([]Entry{entry("0.0.0.0/0", time.Time{})})
	if err != nil || !all.Contains(netip.MustParseAddr("255.255.255.255"), day) || all.Contains(netip.MustParseAddr("::1"), day) {
		t.Errorf("all of IPv4: %v", err)
	}
}

// TestLists shows that an entry of a list holds until its day is over.
func TestLists(t *testing.T) {
	prefix := func(s string) config.Prefix { return config.Prefix{Prefix: netip.MustParsePrefix(s)} }
	sets, err := NewLists([]config.List{
		{Name: "office", Addresses: []config.ListEntry{{Address: prefix("198.51.100.0/24")}, {Address: prefix("192.0.2.1/32"), Expires: "2026-06-30"}}},
		{Name: "empty"},
	})
	if err != nil {
		t.Fatal(err)
	}
	guest := netip.MustParseAddr("192.0.2.1")
	if !sets["office"].Contains(guest, day.Add(-time.Microsecond)) || sets["office"].Contains(guest, day) {
		t.Error("the entry does not end with its day")
	}
	if !sets["office"].Contains(netip.MustParseAddr("198.51.100.1"), day) || sets["empty"].Contains(guest, day) {
		t.Error("wrong sets")
	}
	if _, err := NewLists([]config.List{{Name: "x", Addresses: []config.ListEntry{{Address: prefix("192.0.2.1/32"), Expires: "soon"}}}}); err == nil {
		t.Error("a date that is none is taken")
	}
}

// naive is what an AddressSet must agree with.
func naive(entries []Entry, addr netip.Addr, now time.Time) bool {
	return slices.ContainsFunc(entries, func(e Entry) bool {
		p := e.Prefix
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Contains(addr.Unmap().WithZone("")) && (e.Expires.IsZero() || now.Before(e.Expires))
	})
}

// FuzzAddressSet compares a set with a search through its entries. Each entry takes 6 bytes: a length, an end, 4 bytes of
// the address; addresses are asked for at the edges of all entries.
func FuzzAddressSet(f *testing.F) {
	f.Add([]byte("\x18\x00\xc6\x33\x64\x00\x1a\x02\xc6\x33\x64\x40"))
	f.Add([]byte("\xa0\x01\x20\x01\x0d\xb8\xff\x05\x20\x01\x0d\xb8\x80\x09\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x20\x03\xff\xff\xff\xff\x21\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var entries []Entry
		var asked []netip.Addr
		for ; len(data) >= 6 && len(entries) < 16; data = data[6:] {
			var e Entry
			if data[0] < 0x80 {
				e.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte(data[2:6])), int(data[0])%33)
			} else { // the bytes are both the top and the bottom of an IPv6 address
				var a [16]byte
				copy(a[:], data[2:6])
				copy(a[12:], data[2:6])
				if data[1]&0x40 != 0 {
					a = netip.AddrFrom4([4]byte(data[2:6])).As16()
				}
				e.Prefix = netip.PrefixFrom(netip.AddrFrom16(a), (int(data[0])-0x80)*129/128)
			}
			if n := data[1] & 0x3f; n > 0 {
				e.Expires = day.Add(time.Duration(n) * time.Hour)
			}
			entries = append(entries, e)
			last := lastOf(e.Prefix)
			asked = append(asked, e.Prefix.Addr(), e.Prefix.Masked().Addr(), e.Prefix.Masked().Addr().Prev(), last, last.Next())
		}
		set, err := NewAddressSet(entries)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range asked {
			for _, hours := range []int{0, 1, 5, 30, 62, 63} {
				now := day.Add(time.Duration(hours) * time.Hour)
				if got, want := set.Contains(a, now), naive(entries, a, now); got != want {
					t.Fatalf("Contains(%s, %s) = %v, entries %v", a, now, got, entries)
				}
			}
		}
	})
}

// lastOf gives the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// manyEntries makes n different entries of many lengths, a third of them IPv6.
func manyEntries(n int) []Entry {
	random := rand.New(rand.NewPCG(1, 2))
	entries := make([]Entry, n)
	for i := range entries {
		if i%3 == 0 {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], 0x2000_0000_0000_0000|random.Uint64()>>3)
			entries[i].Prefix = netip.PrefixFrom(netip.AddrFrom16(b), 32+random.IntN(33)).Masked()
			continue
		}
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], random.Uint32())
		entries[i].Prefix = netip.PrefixFrom(netip.AddrFrom4(b), 20+random.IntN(13)).Masked()
	}
	return entries
}

// asked gives addresses to look up: half of them in the entries.
func asked(entries []Entry) []netip.Addr {
	random := rand.New(rand.NewPCG(3, 4))
	addrs := make([]netip.Addr, 4096)
	for i := range addrs {
		if i%2 == 0 {
			addrs[i] = entries[random.IntN(len(entries))].Prefix.Addr()
			continue
		}
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], random.Uint32())
		addrs[i] = netip.AddrFrom4(b)
	}
	return addrs
}

// TestAddressSetCost shows that 1,000 times the entries cost about the same: a few more steps of a binary search. A
// search through the entries would cost about 1,000 times as much; the bound leaves room for caches and for other
// work on the machine.
func TestAddressSetCost(t *testing.T) {
	cost := func(n int) time.Duration {
		entries := manyEntries(n)
		set, err := NewAddressSet(entries)
		if err != nil {
			t.Fatal(err)
		}
		addrs := asked(entries)
		best := time.Duration(1 << 62)
		for range 20 {
			start := time.Now()
			hits := 0
			for _, a := range addrs {
				if set.Contains(a, day) {
					hits++
				}
			}
			best = min(best, time.Since(start))
			if hits < len(addrs)/2 {
				t.Fatalf("%d entries: %d of %d addresses found", n, hits, len(addrs))
			}
		}
		return best / time.Duration(len(addrs))
	}
	small, large := cost(100), cost(100_000)
	t.Logf("a look-up takes %v among 100 entries, %v among 100,000", small, large)
	if large > 20*small {
		t.Errorf("a look-up takes %v among 100 entries but %v among 100,000", small, large)
	}
}

func BenchmarkAddressSet(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run("entries="+map[int]string{100: "100", 100_000: "100000"}[n], func(b *testing.B) {
			entries := manyEntries(n)
			set, err := NewAddressSet(entries)
			if err != nil {
				b.Fatal(err)
			}
			addrs := asked(entries)
			for i := 0; b.Loop(); i++ {
				if a := addrs[i%len(addrs)&^1]; !set.Contains(a, day) {
					b.Fatalf("%s is not found", a)
				}
			}
		})
	}
}
