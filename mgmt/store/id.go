package store

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"strings"
	"time"
)

// Crockford's alphabet: no letter looks like a digit.
var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID is a name for something of a kind, such as chg_06h9...: later ones sort behind earlier ones, to the millisecond, and 80
// bits of it are random.
func NewID(kind string, at time.Time) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(at.UnixMilli())<<16) //nolint:gosec // a time after 1970
	_, _ = rand.Read(b[6:])                                       // it never fails
	var s strings.Builder
	s.WriteString(kind)
	s.WriteByte('_')
	s.WriteString(idEncoding.EncodeToString(b[:]))
	return s.String()
}
