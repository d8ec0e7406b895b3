package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

func (l *loader) validateListeners() {
	c := &l.cfg
	type socket struct{ path, address string }
	sockets := []socket{}
	listen := func(path, address string) {
		if message := checkListenAddress(address); message != "" {
			l.problem(path, "%s", message)
			return
		}
		for _, s := range sockets {
			if sameSocket(s.address, address) {
				l.problem(path, "%q is taken already by %s at %s", address, s.path, l.places.find(s.path))
				return
			}
		}
		sockets = append(sockets, socket{path, address})
	}
	for i := range c.Listeners {
		x, path := &c.Listeners[i], item("listeners", i)
		listen(key(path, "address"), x.Address)
		if x.H2C && x.Protocol == ProtocolHTTPS {
			l.problem(key(path, "h2c"), "is for protocol http only; https offers HTTP/2 by itself")
		}
		if x.Protocol == ProtocolHTTPS && len(c.Certificates) == 0 {
			l.problem(key(path, "protocol"), "https needs at least one entry in certificates")
		}
		if message := checkPath(x.HealthPath); message != "" {
			l.problem(key(path, "health_path"), "%s", message)
		} else if x.HealthPath == "/" {
			l.problem(key(path, "health_path"), `"/" would hide the start page; write a path of its own`)
		}
	}
	listen("admin.address", c.Admin.Address)
}

// CheckListenAddress says what is wrong with an address to listen on.
func CheckListenAddress(address string) error {
	if message := checkListenAddress(address); message != "" {
		return errors.New(message)
	}
	return nil
}

// checkListenAddress gives the message for what is no address to listen on, or "".
func checkListenAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		if isDigits(address) {
			return fmt.Sprintf(`%q has no colon; did you mean ":%s"?`, address, address)
		}
		return fmt.Sprintf(`%q is not an address to listen on; write ":8080" or "127.0.0.1:8080"`, address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Sprintf("%q has no valid port; write 0 to 65535", address)
	}
	if host == "" || host == "localhost" {
		return ""
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Sprintf("%q: %q is not an address of this host; write an IP address or leave it out", address, host)
	}
	return ""
}

// sameSocket says that two valid addresses cannot both be listened on.
func sameSocket(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && portA != "0" && (hostA == hostB || isWildcard(hostA) || isWildcard(hostB))
}

func isWildcard(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

func (l *loader) validateLogs() {
	c := &l.cfg
	sink := func(path string, s Sink) {
		if s.To != "stdout" && s.To != "none" {
			return
		}
		for _, k := range []string{"max_size", "keep"} {
			if l.written(key(path, k)) {
				l.problem(key(path, k), "is for files; %s is not rotated", s.To)
			}
		}
	}
	sink("logs.access", c.Logs.Access)
	sink("logs.events", c.Logs.Events)
	if to := c.Logs.Access.To; to == c.Logs.Events.To && to != "stdout" && to != "none" {
		l.problem(l.firstWritten("logs.events.to", "logs.events"), "is the file of logs.access too; write two files, or both to stdout")
	}
}

func (l *loader) validateGroups(listeners, applications map[string]bool) {
	for i, g := range l.cfg.Groups {
		path := item("groups", i)
		if len(g.Listeners) == 0 {
			l.problem(key(path, "listeners"), "is missing; name at least one listener")
		}
		for j, name := range g.Listeners {
			l.checkName(item(key(path, "listeners"), j), "listener", name, listeners)
		}
		if len(g.Applications) == 0 {
			l.problem(key(path, "applications"), `is missing; name applications, or write ["*"] for all`)
		}
		for j, name := range g.Applications {
			if name != "*" {
				l.checkName(item(key(path, "applications"), j), "application", name, applications)
			}
		}
		for j, stage := range g.Rollout.Stages {
			if last := len(g.Rollout.Stages) - 1; (stage == "all") != (j == last) {
				l.problem(item(key(path, "rollout.stages"), j), "all is the last stage, and only the last")
				break
			}
		}
	}
}
