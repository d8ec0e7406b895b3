package fleetapi

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"gatehouse/rules/policy"
)

// Bounds of emergency actions.
const (
	MaxActions       = 200 // in force at once in one group
	MaxActionClients = 1000
	MaxActionLife    = 7 * 24 * time.Hour // an action is short-lived: what shall stay belongs into a revision
	MaxActionRate    = 1e6                // requests a second
	WidestIPv4       = 8                  // bits of the widest prefix
	WidestIPv6       = 19
	// GuardShare is the share of the last 15 minutes' requests beyond which an action needs Force.
	GuardShare = 0.1
)

// FieldError names the field of an action that is wrong.
type FieldError struct {
	Field   string // as in JSON, such as clients[2]
	Message string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Message }

func wrong(field, format string, args ...any) error {
	return &FieldError{Field: field, Message: fmt.Sprintf(format, args...)}
}

// ParseClients reads addresses and prefixes, in the one form in which clients are compared: IPv4-mapped ones as IPv4.
func ParseClients(list []string) ([]netip.Prefix, error) {
	if len(list) > MaxActionClients {
		return nil, wrong("clients", "%d are more than %d", len(list), MaxActionClients)
	}
	out := make([]netip.Prefix, 0, len(list))
	for i, text := range list {
		p, err := parseClient(text)
		if err != nil {
			return nil, wrong(fmt.Sprintf("clients[%d]", i), "%s", err)
		}
		out = append(out, p)
	}
	return out, nil
}

func parseClient(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%.60q is no address and no prefix such as 203.0.113.0/24", text)
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	const mapped = 96 // bits in front of an IPv4 address in an IPv6 one
	if p.Addr().Is4In6() {
		if p.Bits() < mapped {
			return netip.Prefix{}, fmt.Errorf("%s is wider than all of IPv4", text)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	widest := WidestIPv6
	if p.Addr().Is4() {
		widest = WidestIPv4
	}
	if p.Bits() < widest {
		return netip.Prefix{}, fmt.Errorf("%s is wider than /%d, which is refused always", text, widest)
	}
	return p.Masked(), nil
}

// Check says what is wrong with an action, whoever looks at it: the manager before it signs, and the gateway before it acts. The error is
// a FieldError.
func (a *Action) Check() error {
	if a.ID == "" || len(a.ID) > 63 || strings.ContainsFunc(a.ID, notName) {
		return wrong("id", "%.80q is no name of letters, digits, dashes and underscores", a.ID)
	}
	if strings.TrimSpace(a.Reason) == "" || len(a.Reason) > 500 {
		return wrong("reason", "say why, in at most 500 bytes")
	}
	if a.Created.IsZero() || !a.Expires.After(a.Created) || a.Expires.Sub(a.Created) > MaxActionLife {
		return wrong("expires", "must be after created, by at most %v; what shall stay longer belongs into the configuration", MaxActionLife)
	}
	if err := a.checkScope(); err != nil {
		return err
	}
	switch a.Kind {
	case ActionBlock:
		return nil
	case ActionLimit:
		if !(a.Rate >= 1e-3 && a.Rate <= MaxActionRate) { // not a number is neither
			return wrong("rate", "must be requests a second and client, 0.001 to %g", float64(MaxActionRate))
		}
		if a.Burst < 0 || a.Burst > math.MaxInt32 {
			return wrong("burst", "must be 0 to %d", math.MaxInt32)
		}
		return nil
	case ActionMode:
		if a.Mode != "detect" && a.Mode != "block" {
			return wrong("mode", "must be detect or block; an emergency action does not switch protection off")
		}
		return nil
	case ActionDisable:
		return a.checkRule()
	}
	return wrong("kind", "%.40q is none of block, limit, mode and disable", string(a.Kind))
}

func notName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// checkScope checks what the action concerns.
func (a *Action) checkScope() error {
	if a.Kind == ActionMode || a.Kind == ActionDisable {
		switch {
		case a.Application == "":
			return wrong("application", "is missing: name the application")
		case len(a.Clients) > 0 || a.Path != "" || a.Header != "" || a.Value != "":
			return wrong("kind", "%s is of a whole application: leave out clients, path and header", a.Kind)
		}
		return nil
	}
	if _, err := ParseClients(a.Clients); err != nil {
		return err
	}
	if len(a.Clients) == 0 && a.Path == "" && a.Header == "" {
		return wrong("clients", "name clients, a path or a header: an action for every request is refused")
	}
	if a.Path != "" {
		if _, err := policy.CompilePath(a.Path); err != nil {
			return wrong("path", "%s", err)
		}
	}
	switch {
	case a.Header == "" && a.Value != "":
		return wrong("header", "is missing beside value")
	case a.Header != "" && (!httpguts.ValidHeaderFieldName(a.Header) || len(a.Header) > 256):
		return wrong("header", "%.80q is no name of a header", a.Header)
	case !httpguts.ValidHeaderFieldValue(a.Value) || len(a.Value) > 4096:
		return wrong("value", "is no value of a header")
	}
	return nil
}

// checkRule checks that the rule may be left out, as an exclusion of it would be.
func (a *Action) checkRule() error {
	if p := policy.CheckExclusion(a.Exclusion(), false); len(p) > 0 {
		return wrong("rule", "%s", p[0].Message)
	}
	return nil
}

// Exclusion is what a disable action means to the rules.
func (a *Action) Exclusion() policy.Exclusion {
	name := strings.ToLower(strings.ReplaceAll("action-"+a.ID, "_", "-"))
	return policy.Exclusion{Name: name, Rules: []int{a.Rule}, WholeRequest: true, Reason: a.Reason}
}

// HeaderName is the header as net/http names it.
func (a *Action) HeaderName() string { return http.CanonicalHeaderKey(a.Header) }

// Check says what is wrong with a set of actions.
func (s *Actions) Check() error {
	switch {
	case s.Format != 1:
		return fmt.Errorf("emergency actions of format %d, and this version knows 1", s.Format)
	case len(s.Actions) > MaxActions:
		return fmt.Errorf("%d emergency actions at once, more than %d", len(s.Actions), MaxActions)
	}
	for i := range s.Actions {
		a := &s.Actions[i]
		if err := a.Check(); err != nil {
			return fmt.Errorf("action %.63s: %w", a.ID, err)
		}
		if slices.ContainsFunc(s.Actions[:i], func(b Action) bool { return b.ID == a.ID }) {
			return errors.New("there are two actions " + a.ID)
		}
	}
	return nil
}
