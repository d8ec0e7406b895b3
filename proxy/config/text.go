package config

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The texts of sizes, durations, rates, prefixes and stages. They are also what JSON carries. An error is a whole
// message: it quotes the value and says what would be right.

// units are the units of sizes, the largest first.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// The patterns are shared with the JSON Schema.
const (
	sizePattern     = `^[0-9]+(B|KiB|MiB|GiB|TiB)$`
	durationPattern = `^([0-9]+(ms|s|m|h))+$`
	ratePattern     = `^[0-9]+/([0-9]+(ms|s|m|h))+$`
	stagePattern    = `^([0-9]+|[0-9]+%|all)$`
	datePattern     = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
)

var durationRE = regexp.MustCompile(durationPattern)

// String gives the size with the largest unit that divides it.
func (s Size) String() string {
	for _, u := range units {
		if int64(s)%u.bytes == 0 && s != 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "0B"
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a whole number with a unit of 1024: 10MiB.
func (s *Size) UnmarshalText(text []byte) error {
	t := string(text)
	for _, u := range units {
		digits, ok := strings.CutSuffix(t, u.name)
		if !ok || !isDigits(digits) {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > math.MaxInt64/u.bytes {
			return fmt.Errorf("%q is too large", t)
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size; write a whole number with a unit, such as 10MiB (B, KiB, MiB, GiB, TiB)", t)
}

// String gives the duration with the largest unit that divides it; under two minutes in seconds.
func (d Duration) String() string {
	switch t := d.D(); {
	case t != 0 && t%time.Hour == 0:
		return fmt.Sprintf("%dh", t/time.Hour)
	case t >= 2*time.Minute && t%time.Minute == 0:
		return fmt.Sprintf("%dm", t/time.Minute)
	case t%time.Second == 0:
		return fmt.Sprintf("%ds", t/time.Second)
	default:
		return fmt.Sprintf("%dms", t/time.Millisecond)
	}
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads whole numbers with units: 30s, 1m30s.
func (d *Duration) UnmarshalText(text []byte) error {
	t := string(text)
	if !durationRE.MatchString(t) {
		return fmt.Errorf("%q is not a duration; write a whole number with a unit, such as 30s (ms, s, m, h)", t)
	}
	v, err := time.ParseDuration(t)
	if err != nil {
		return fmt.Errorf("%q is too long", t)
	}
	*d = Duration(v)
	return nil
}

// String gives the rate as it is written: 10/1m.
func (r Rate) String() string {
	if r == (Rate{}) {
		return ""
	}
	per := Duration(r.Per).String()
	if r.Per == time.Minute {
		per = "1m"
	}
	return strconv.Itoa(r.Count) + "/" + per
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a count and the time span in which it is allowed: 10/1m.
func (r *Rate) UnmarshalText(text []byte) error {
	t := string(text)
	count, per, ok := strings.Cut(t, "/")
	var span Duration
	if !ok || !isDigits(count) || span.UnmarshalText([]byte(per)) != nil {
		return fmt.Errorf("%q is not a rate; write a count and a time span, such as 10/1m", t)
	}
	n, err := strconv.Atoi(count)
	if err != nil || n == 0 || n > math.MaxInt32 || span == 0 {
		return fmt.Errorf("%q is not a rate; count and time span must be more than 0", t)
	}
	*r = Rate{Count: n, Per: span.D()}
	return nil
}

// String gives a single address without a length.
func (p Prefix) String() string {
	if !p.IsValid() {
		return ""
	}
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.Prefix.String()
}

// MarshalText implements encoding.TextMarshaler.
func (p Prefix) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads an address or a network. An IPv4 address inside IPv6 becomes IPv4.
func (p *Prefix) UnmarshalText(text []byte) error {
	t := string(text)
	if a, err := netip.ParseAddr(t); err == nil {
		if a.Zone() != "" {
			return fmt.Errorf("%q has a zone; write it without", t)
		}
		a = a.Unmap()
		p.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	n, err := netip.ParsePrefix(t)
	if err != nil {
		return fmt.Errorf("%q is not an address or a network; write 198.51.100.7, 198.51.100.0/24 or 2001:db8::/32", t)
	}
	if n.Addr().Is4In6() {
		if n.Bits() < 96 {
			return fmt.Errorf("%q mixes IPv4 and IPv6; write the IPv4 network", t)
		}
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	if n.Masked() != n {
		return fmt.Errorf("%q has bits set beyond its length; did you mean %s or %s?", t, n.Masked(), n.Addr())
	}
	p.Prefix = n
	return nil
}

// parseStage reads a step of a rollout.
func parseStage(t string) (Stage, error) {
	digits, percent := strings.CutSuffix(t, "%")
	n, err := strconv.Atoi(digits)
	switch {
	case t == "all":
	case !isDigits(digits) || err != nil:
		return "", fmt.Errorf(`%q is not a stage; write a number of gateways, a share such as "10%%", or all`, t)
	case n == 0:
		return "", fmt.Errorf("%q is not a stage; it must be more than 0", t)
	case percent && n > 100:
		return "", fmt.Errorf("%q is more than all; write at most 100%%", t)
	}
	return Stage(t), nil
}

// parseDate checks a calendar day.
func parseDate(t string) error {
	if _, err := time.Parse(time.DateOnly, t); err != nil {
		if regexp.MustCompile(datePattern).MatchString(t) {
			return fmt.Errorf("%q is not a day of the calendar", t)
		}
		return fmt.Errorf("%q is not a date; write year, month and day, such as 2027-06-30", t)
	}
	return nil
}

// parseInt reads a whole number without any decoration.
func parseInt(t string) (int, error) {
	digits := strings.TrimPrefix(t, "-")
	if !isDigits(digits) || len(digits) > 1 && digits[0] == '0' {
		return 0, fmt.Errorf("expected a whole number in decimal digits, found %s", t)
	}
	n, err := strconv.ParseInt(t, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s is too large", t)
	}
	return int(n), nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
