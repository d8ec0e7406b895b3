package clientip

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/config"
)

// TestConnectionCost builds the header for requests of 64 KiB whose Connection lists as much as it can: that costs about
// what it costs without any. The work is done before a request is admitted.
func TestConnectionCost(t *testing.T) {
	r := NewResolver(config.Listener{})
	header := func(tokens int) http.Header {
		h := http.Header{}
		for i := range 5000 {
			h[fmt.Sprintf("A%04d", i)] = []string{""}
		}
		names := make([]string, tokens)
		for i := range names {
			names[i] = fmt.Sprintf("b%04d", i)
		}
		if tokens > 0 {
			h["Connection"] = []string{strings.Join(names, ",")}
		}
		return h
	}
	measure := func(h http.Header) time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			r.Outgoing(Inbound{Header: h, Scheme: "http", Conn: conn("203.0.113.9:1", "")})
			best = min(best, time.Since(start))
		}
		return best
	}
	none := measure(header(0))
	for _, tokens := range []int{1, maxConnection, 5000} {
		took := measure(header(tokens))
		t.Logf("%d tokens and 5,000 fields: %v, without tokens %v", tokens, took, none)
		if took > 5*none {
			t.Errorf("%d tokens take %v, none %v", tokens, took, none)
		}
	}
}

func TestConnectionMalformed(t *testing.T) {
	tests := []struct {
		in []string
		ok bool
	}{
		{[]string{strings.Repeat("a,", maxConnection-1) + "a"}, true},
		{[]string{strings.Repeat("a,", maxConnection) + "a"}, false},
		{[]string{strings.Repeat(",", maxConnection-1)}, true},
		{[]string{strings.Repeat(",", maxConnection)}, false},
		{[]string{strings.Repeat("close,", 49) + "close", strings.Repeat("cookie,", 49) + "cookie"}, true},
		{[]string{strings.Repeat("close,", 49) + "close", strings.Repeat("cookie,", 50) + "cookie"}, false},
		{nil, true},
	}
	for _, tt := range tests {
		out := NewResolver(config.Listener{}).Outgoing(Inbound{Header: http.Header{"Connection": tt.in}, Scheme: "http", Conn: conn("203.0.113.9:1", "")})
		if (out.Malformed == "") != tt.ok {
			t.Errorf("%.40q in %d fields: malformed %q, want malformed: %v", tt.in, len(tt.in), out.Malformed, !tt.ok)
		}
	}
}
