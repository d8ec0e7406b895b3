package upstream

import (
	"fmt"
	"strings"
	"testing"
)

// TestReplyChunks shows what is read of chunked bodies: whatever is cut or malformed is an error, and never a whole body.
func TestReplyChunks(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		body      string
		whole     bool
	}{
		{"one", "2\r\nok\r\n0\r\n\r\n", "ok", true},
		{"several", "1\r\no\r\n01\r\nk\r\nA\r\n0123456789\r\n0\r\n\r\n", "ok0123456789", true},
		{"none", "0\r\n\r\n", "", true},
		{"a size that is filled up with spaces", "2  \r\nok\r\n0 \r\n\r\n", "ok", true},
		{"extensions", "2;a;b=c;d=\"e\"\r\nok\r\n0\r\n\r\n", "ok", true},
		{"a longer chunk", "2\r\nokay\r\n0\r\n\r\n", "ok", false},
		{"a shorter chunk", "4\r\nok\r\n0\r\n\r\n", "ok\r\n", false},
		{"a bare LF behind a size", "2\nok\r\n0\r\n\r\n", "", false},
		{"a bare LF behind a chunk", "2\r\nok\n0\r\n\r\n", "ok", false},
		{"a bare LF behind the last size", "2\r\nok\r\n0\n\r\n", "ok", false},
		{"no size", "\r\nok\r\n0\r\n\r\n", "", false},
		{"a sign", "+2\r\nok\r\n0\r\n\r\n", "", false},
		{"a prefix", "0x2\r\nok\r\n0\r\n\r\n", "", false},
		{"a space in front", " 2\r\nok\r\n0\r\n\r\n", "", false},
		{"a size beyond 64 bits", "10000000000000002\r\nok\r\n0\r\n\r\n", "", false},
		{"a long extension", "2;" + strings.Repeat("a", 10_000) + "\r\nok\r\n0\r\n\r\n", "", false},
		{"many extensions", strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\nx\r\n", 100) + "0\r\n\r\n", strings.Repeat("x", 81), false},
		{"cut in a size", "2", "", false},
		{"cut behind a size", "2\r\n", "", false},
		{"cut in a chunk", "2\r\no", "o", false},
		{"cut behind a chunk", "2\r\nok", "ok", false},
		{"cut in front of the last one", "2\r\nok\r\n", "ok", false},
		{"cut behind the last one", "2\r\nok\r\n0\r\n", "ok", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tail := ""
			if c.whole {
				tail = nextReply
			}
			r := readOurs(chunked+c.raw+tail, "GET")
			if r.err != nil {
				t.Fatal(r.err)
			}
			if r.body != c.body || (r.bodyErr == nil) != c.whole || c.whole && r.rest != nextReply {
				t.Errorf("got %s, %v, and then %q", abridged(r.body), r.bodyErr, r.rest)
			}
		})
	}
}

func abridged(s string) string { return fmt.Sprintf("%d bytes %.40q", len(s), s) }
