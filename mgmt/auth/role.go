package auth

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what somebody may do. Each may do all that those before it may.
type Role int

// The roles.
const (
	NoRole    Role = iota
	Viewer         // reads
	Analyst        // works on events, and takes emergency actions
	Editor         // saves changes
	Publisher      // publishes them
	Admin          // users, tokens, groups, gateways, settings
)

var roleNames = []string{"none", "viewer", "analyst", "editor", "publisher", "admin"}

// RoleNames are those that can be given.
func RoleNames() []string { return slices.Clone(roleNames[1:]) }

func (r Role) String() string {
	if r < 0 || int(r) >= len(roleNames) {
		return fmt.Sprintf("role %d", int(r))
	}
	return roleNames[r]
}

// ParseRole reads the name of a role that can be given.
func ParseRole(name string) (Role, error) {
	if i := slices.Index(roleNames, name); i > 0 {
		return Role(i), nil
	}
	return NoRole, fmt.Errorf("%q is not a role (%s)", name, strings.Join(roleNames[1:], ", "))
}

// MarshalText implements encoding.TextMarshaler.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}
