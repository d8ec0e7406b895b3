// Package incident makes and reads incident IDs: what a client sees of a request that was refused, and what its event is found by.
package incident

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// An incident ID is 60 bits, written as GH- and 12 Crockford base32 characters in groups of four. From the most
// significant bit: 32 bits of seconds since 2025-01-01 UTC (IDs sort by time, until 2161), 10 bits of a hash of the
// gateway's name, 18 bits of a sequence. The sequence is a counter with a random start, multiplied by an odd constant:
// neighbours look unlike each other and a client cannot count the incidents of others.
const (
	epoch          = 1735689600 // 2025-01-01T00:00:00Z
	gatewayBits    = 10
	sequenceBits   = 18
	sequenceMask   = 1<<sequenceBits - 1
	sequenceSpread = 0x2_9E37 // odd: a bijection modulo 1<<sequenceBits
	crockford      = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	letters        = 12
	template       = "GH-XXXX-XXXX-XXXX"
)

// Source makes the incident IDs of one gateway. It is safe for concurrent use. Two IDs of a Source differ unless more
// than 262,144 are made within one second; those of different gateways differ unless hash, second and sequence are
// all equal.
type Source struct {
	gateway uint16
	next    atomic.Uint32
}

// NewSource makes a Source for the gateway of that name.
func NewSource(gateway string) *Source {
	s := &Source{gateway: GatewayHash(gateway)}
	var b [4]byte
	rand.Read(b[:]) // never fails
	s.next.Store(binary.LittleEndian.Uint32(b[:]))
	return s
}

// Next gives a new ID for an incident at t.
func (s *Source) Next(t time.Time) string {
	seq := s.next.Add(1) * sequenceSpread & sequenceMask
	return ID{Time: t, Gateway: s.gateway, Sequence: seq}.String()
}

// GatewayHash is what an incident ID carries of the gateway's name: 10 bits of its SHA-256.
func GatewayHash(gateway string) uint16 {
	sum := sha256.Sum256([]byte(gateway))
	return binary.BigEndian.Uint16(sum[:2]) >> (16 - gatewayBits)
}

// ID is what an incident ID says.
type ID struct {
	Time     time.Time // to the second, UTC
	Gateway  uint16    // GatewayHash of the gateway's name
	Sequence uint32    // 18 bits
}

// String gives the canonical form of the ID: GH-XXXX-XXXX-XXXX. A time outside of what an ID can carry is clamped.
func (i ID) String() string {
	seconds := min(max(i.Time.Unix()-epoch, 0), 1<<32-1)
	v := uint64(seconds)<<(gatewayBits+sequenceBits) |
		uint64(i.Gateway&(1<<gatewayBits-1))<<sequenceBits |
		uint64(i.Sequence&sequenceMask)
	b := []byte(template)
	for at := len(b) - 1; at > 2; at-- {
		if b[at] == '-' {
			continue
		}
		b[at] = crockford[v&31]
		v >>= 5
	}
	return string(b)
}

// Parse reads an ID as people write it: in any case, with or without GH and hyphens, with O for 0, I or L for 1.
// The canonical form is ID.String.
func Parse(s string) (ID, error) {
	if len(s) > 64 {
		return ID{}, fmt.Errorf("an incident ID has the form %s, not %d characters", template, len(s))
	}
	text := strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(strings.TrimSpace(s)))
	if len(text) == letters+2 {
		text = strings.TrimPrefix(text, "GH")
	}
	if len(text) != letters {
		return ID{}, fmt.Errorf("%q is not an incident ID: want %d characters after GH, as in %s", s, letters, template)
	}
	var v uint64
	for _, c := range []byte(text) {
		switch c {
		case 'O':
			c = '0'
		case 'I', 'L':
			c = '1'
		}
		d := strings.IndexByte(crockford, c)
		if d < 0 {
			return ID{}, fmt.Errorf("%q is not an incident ID: %q is not among %s", s, c, crockford)
		}
		v = v<<5 | uint64(d)
	}
	return ID{
		Time:     time.Unix(epoch+int64(v>>(gatewayBits+sequenceBits)), 0).UTC(),
		Gateway:  uint16(v >> sequenceBits & (1<<gatewayBits - 1)),
		Sequence: uint32(v & sequenceMask),
	}, nil
}
