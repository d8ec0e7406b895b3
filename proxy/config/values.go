package config

import (
	"net/netip"
	"time"
)

// Mode says what happens to a request that would be refused.
type Mode string

// The modes.
const (
	ModeDisabled Mode = "disabled"
	ModeDetect   Mode = "detect"
	ModeBlock    Mode = "block"
)

// Protocol is what a listener speaks.
type Protocol string

// The protocols.
const (
	ProtocolHTTP  Protocol = "http"
	ProtocolHTTPS Protocol = "https"
)

// PROXY says whether connections begin with a PROXY protocol header (v1 or v2).
type PROXY string

// The PROXY protocol settings.
const (
	PROXYNone     PROXY = "none"
	PROXYRequired PROXY = "required"
)

// Balance picks one of an upstream's addresses.
type Balance string

// The balancing methods.
const (
	LeastConnections Balance = "least_connections"
	RoundRobin       Balance = "round_robin"
)

// Match says how a route's path is compared.
type Match string

// The path matches.
const (
	MatchPrefix Match = "prefix" // by whole segments
	MatchExact  Match = "exact"
)

// Traffic is what a route carries.
type Traffic string

// The kinds of traffic.
const (
	TrafficAuto      Traffic = "auto"
	TrafficAPI       Traffic = "api"
	TrafficWebSocket Traffic = "websocket"
	TrafficGRPC      Traffic = "grpc"
)

// EncodedSlash says what happens to %2F in a path.
type EncodedSlash string

// The settings for encoded slashes.
const (
	EncodedSlashReject EncodedSlash = "reject"
	EncodedSlashAllow  EncodedSlash = "allow"
)

// Oversize says what happens to a body longer than inspect_bytes.
type Oversize string

// The oversize settings.
const (
	InspectPrefix  Oversize = "inspect_prefix"
	OversizeReject Oversize = "reject"
)

// OnInspectionError says what happens when inspection itself fails in mode block.
type OnInspectionError string

// The settings for inspection errors.
const (
	RefuseOnError  OnInspectionError = "refuse"
	ForwardOnError OnInspectionError = "forward"
)

// Size is a number of bytes, written with a unit: 10MiB, 64KiB, 512B.
type Size int64

// Duration is a time span, written with a unit: 500ms, 30s, 5m, 48h.
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Prefix is an address or a network: 198.51.100.7, 198.51.100.0/24, 2001:db8::/32.
type Prefix struct{ netip.Prefix }

// Rate is a count per time span, written 10/1m.
type Rate struct {
	Count int
	Per   time.Duration
}

// Stage is a step of a rollout: a count, a percentage or "all".
type Stage string
