package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gatehouse/rules/policy"
)

// enum is a closed set of words.
type enum struct {
	noun   string // "a mode"
	values []string
}

// enums is the one table of closed sets: decoding, validation and the JSON Schema read it.
var enums = map[reflect.Type]enum{
	reflect.TypeFor[Mode]():              words("a mode", ModeDisabled, ModeDetect, ModeBlock),
	reflect.TypeFor[Protocol]():          words("a protocol", ProtocolHTTP, ProtocolHTTPS),
	reflect.TypeFor[PROXY]():             words("a PROXY protocol setting", PROXYNone, PROXYRequired),
	reflect.TypeFor[Balance]():           words("a balancing method", LeastConnections, RoundRobin),
	reflect.TypeFor[Match]():             words("a path match", MatchPrefix, MatchExact),
	reflect.TypeFor[Traffic]():           words("a kind of traffic", TrafficAuto, TrafficAPI, TrafficWebSocket, TrafficGRPC),
	reflect.TypeFor[EncodedSlash]():      words("a setting for encoded slashes", EncodedSlashReject, EncodedSlashAllow),
	reflect.TypeFor[Oversize]():          words("a setting for long bodies", InspectPrefix, OversizeReject),
	reflect.TypeFor[OnInspectionError](): words("a setting for inspection errors", RefuseOnError, ForwardOnError),
	reflect.TypeFor[policy.Setup]():      words("a setup", policy.SetupGatehouse, policy.SetupStock),
	reflect.TypeFor[policy.Action]():     words("an action", policy.ActionBlock, policy.ActionAllow),
	reflect.TypeFor[policy.Stage]():      words("a stage", policy.StageDetect, policy.StageEnforce),
}

func words[T ~string](noun string, values ...T) enum {
	e := enum{noun: noun}
	for _, v := range values {
		e.values = append(e.values, string(v))
	}
	return e
}

// check gives the message for a word that is not in the set, or "".
func (e enum) check(got string) string {
	if slices.Contains(e.values, got) {
		return ""
	}
	hint := DidYouMean(got, e.values)
	if hint == "" {
		return fmt.Sprintf("%q is not %s (%s)", got, e.noun, strings.Join(e.values, ", "))
	}
	return fmt.Sprintf("%q is not %s%s (%s)", got, e.noun, hint, strings.Join(e.values, ", "))
}
