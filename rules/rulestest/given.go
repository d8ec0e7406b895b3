package rulestest

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Given is what is known of a case beside its request. The zero value of a field means that the file does not say.
type Given struct {
	Client      netip.Addr
	Time        time.Time
	Traffic     string
	Application string
	// HeadersOnly says that the reply's body is not inspected: phase 4 does not run.
	HeadersOnly bool
}

// complete fills in what the file does not say.
func (g Given) complete() Given {
	if !g.Client.IsValid() {
		g.Client = netip.MustParseAddr("198.51.100.7") // for documentation (RFC 5737)
	}
	if g.Time.IsZero() {
		g.Time = time.Date(2027, time.January, 15, 12, 0, 0, 0, time.UTC)
	}
	g.Traffic = cmp.Or(g.Traffic, "auto")
	g.Application = cmp.Or(g.Application, "test")
	return g
}

// given parses a given section: of the current case, or of the file if there is none yet.
func (p *parser) given(s section) error {
	g := &p.file.given
	if p.current != nil {
		g = &p.current.Given
	}
	for i, line := range s.trimmed() {
		word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "" || word[0] == '#' {
			continue
		}
		if err := g.set(word, strings.TrimSpace(value)); err != nil {
			return p.fail(s.line+1+i, "%v", err)
		}
	}
	return nil
}

func (g *Given) set(word, value string) (err error) {
	switch word {
	case "client":
		if g.Client, err = netip.ParseAddr(value); err != nil {
			return fmt.Errorf("client %q is not an address", value)
		}
	case "time":
		if g.Time, err = time.Parse(time.RFC3339, value); err != nil {
			return fmt.Errorf("time %q is not a time; write 2027-06-30T23:59:59Z", value)
		}
	case "traffic":
		switch value {
		case "auto", "api", "websocket", "grpc":
		default:
			return fmt.Errorf("traffic %q is none; write auto, api, websocket or grpc", value)
		}
		g.Traffic = value
	case "application":
		if value == "" {
			return errors.New("application needs a name")
		}
		g.Application = value
	case "response":
		if value != "headers" {
			return fmt.Errorf("response %q is none; write headers", value)
		}
		g.HeadersOnly = true
	default:
		return fmt.Errorf("%q cannot be given; write client, time, traffic, application or response", word)
	}
	return nil
}
