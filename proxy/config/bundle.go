package config

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// BundleMain is the name of the configuration in a bundle.
const BundleMain = "gatehouse.yaml"

// Bundle gives what a group of gateways needs of a configuration as files that refer to nothing outside: the complete
// configuration, of the group's listeners and applications alone, and the files that it names. An empty group, in a
// configuration that has none, is all of it.
//
// A policy that names no release of the core rule set gets the newest: a bundle means the same wherever it is loaded.
//
// Certificates stay where they are: their files are named as they were, and read on the gateway. No private key is in a
// bundle.
func (l *Loaded) Bundle(group string) (files map[string][]byte, err error) {
	c := clone(reflect.ValueOf(l.Config)).Interface().(*Config)
	if err := c.narrow(group); err != nil {
		return nil, err
	}
	for i := range c.Policies {
		if crs := &c.Policies[i].CRS; crs.Version == "" {
			crs.Version = l.newest
		}
	}
	files = make(map[string][]byte)
	certificates := c.Certificates
	c.Certificates = nil
	replaceFiles(reflect.ValueOf(c).Elem(), func(file string) string {
		data := l.contents[file]
		name := bundleName(file, data)
		files[name] = data
		return name
	})
	c.Certificates = certificates
	files[BundleMain] = Print(c)
	return files, nil
}

// Releases are the releases of the core rule set that policies name, sorted.
func (c *Config) Releases() []string {
	var out []string
	for i := range c.Policies {
		if v := c.Policies[i].CRS.Version; v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// bundleName is the name of a file in a bundle: its own one, and in front of it what tells it from others of that name.
func bundleName(file string, data []byte) string {
	const digits = 12
	base := strings.Map(func(r rune) rune {
		if r < ' ' || r == '\\' || r == 0x7f {
			return '_'
		}
		return r
	}, filepath.Base(file))
	sum := contentHash(data)
	return "files/" + hex.EncodeToString(sum[:])[:digits] + "-" + base
}

// narrow leaves in a configuration what a group needs.
func (c *Config) narrow(group string) error {
	if group == "" && len(c.Groups) == 0 {
		return nil
	}
	i := slices.IndexFunc(c.Groups, func(g Group) bool { return g.Name == group })
	if i < 0 {
		var names []string
		for _, g := range c.Groups {
			names = append(names, g.Name)
		}
		if len(names) == 0 {
			return nil // every group is served all of it
		}
		return fmt.Errorf("groups: there is no group %q (%s)", group, join(names))
	}
	g := c.Groups[i]
	c.Groups = nil
	c.Listeners = slices.DeleteFunc(c.Listeners, func(l Listener) bool { return !slices.Contains(g.Listeners, l.Name) })
	if !slices.Contains(g.Applications, "*") {
		c.Applications = slices.DeleteFunc(c.Applications, func(a Application) bool { return !slices.Contains(g.Applications, a.Name) })
	}
	c.dropUnused()
	return nil
}

// dropUnused leaves out policies and upstreams that no application has.
func (c *Config) dropUnused() {
	policies, upstreams := map[string]bool{}, map[string]bool{}
	for i := range c.Applications {
		a := &c.Applications[i]
		for p := c.policyNamed(a.Policy); p != nil && !policies[p.Name]; p = c.policyNamed(p.Extends) {
			policies[p.Name] = true
		}
		upstreams[a.Upstream] = true
		for j := range a.Routes {
			upstreams[a.Routes[j].Upstream] = true
		}
	}
	c.Policies = slices.DeleteFunc(c.Policies, func(p Policy) bool { return !policies[p.Name] })
	c.Upstreams = slices.DeleteFunc(c.Upstreams, func(u Upstream) bool { return !upstreams[u.Name] })
}
