package config

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

func (l *loader) validateUpstreams(certificates map[string]bool) {
	for i := range l.cfg.Upstreams {
		u, path := &l.cfg.Upstreams[i], item("upstreams", i)
		if l.written(key(path, "url")) && l.written(key(path, "urls")) {
			l.problem(key(path, "url"), "is the short form of urls; write one of them")
		}
		if len(u.URLs) == 0 {
			l.problem(key(path, "urls"), "is missing; write url: http://shop.internal:8080")
		}
		scheme := ""
		for j, raw := range u.URLs {
			at := item(key(path, "urls"), j)
			canonical, parsed, message := parseURL(raw)
			if message != "" {
				l.problem(at, "%s", message)
				continue
			}
			if slices.Contains(u.URLs[:j], canonical) {
				l.problem(at, "%q stands in the list twice", raw)
			}
			if scheme == "" {
				scheme = parsed.Scheme
			} else if scheme != parsed.Scheme {
				l.problem(at, "%q mixes %s with %s; an upstream is all http or all https", raw, parsed.Scheme, scheme)
			}
			if message := refusedHost(parsed.Hostname(), u.AllowLoopback); message != "" {
				l.problem(at, "%s", message)
				continue
			}
			port := parsed.Port()
			if port == "" {
				port = defaultPorts[parsed.Scheme]
			}
			if own := l.ownSocket(parsed.Hostname(), port); own != "" {
				l.problem(at, "%q is this gateway's own %s", raw, own)
			}
		}
		l.validateUpstreamTLS(u, key(path, "tls"), scheme, certificates)
		l.validateHealth(u, key(path, "health"))
	}
}

// ownSocket names the key of the gateway's own listener at an address, if it is one.
func (l *loader) ownSocket(host, port string) string {
	own := func(address string) bool {
		h, p, err := net.SplitHostPort(address)
		if err != nil || p != port {
			return false
		}
		return isThisHost(host) && (isWildcard(h) || isThisHost(h) || h == "localhost") || host == h
	}
	if own(l.cfg.Admin.Address) {
		return "admin.address"
	}
	for i, x := range l.cfg.Listeners {
		if own(x.Address) {
			return key(item("listeners", i), "address")
		}
	}
	return ""
}

func (l *loader) validateUpstreamTLS(u *Upstream, path, scheme string, certificates map[string]bool) {
	t := &u.TLS
	if scheme == "http" {
		for _, k := range []struct {
			name string
			used bool
		}{{"verify_name", t.VerifyName != "url_host"}, {"ca_file", t.CAFile != ""}, {"client_certificate", t.ClientCertificate != ""}} {
			if k.used {
				l.problem(key(path, k.name), "has no effect, since the URLs are http; write https")
			}
		}
	}
	if t.VerifyName != "url_host" && t.VerifyName != "request_host" {
		if _, err := netip.ParseAddr(t.VerifyName); err != nil {
			if name, message := canonicalDNS(t.VerifyName); message != "" {
				l.problem(key(path, "verify_name"), "%s; write url_host, request_host or a DNS name", message)
			} else if !strings.Contains(name, ".") {
				if hint := DidYouMean(name, []string{"url_host", "request_host"}); hint != "" {
					l.problem(key(path, "verify_name"), "%q is not url_host, request_host or a DNS name%s", t.VerifyName, hint)
				}
			}
		}
	}
	if t.CAFile != "" {
		l.checkAuthorities(key(path, "ca_file"), t.CAFile)
	}
	if t.ClientCertificate != "" {
		l.checkName(key(path, "client_certificate"), "certificate", t.ClientCertificate, certificates)
	}
}

func (l *loader) validateHealth(u *Upstream, path string) {
	if u.Health.Path != "" {
		if !strings.HasPrefix(u.Health.Path, "/") || strings.ContainsAny(u.Health.Path, " #") || !isASCII(u.Health.Path) {
			l.problem(key(path, "path"), `%q is not a path; write it as it is sent, such as "/healthz"`, u.Health.Path)
		}
		return
	}
	for _, k := range []string{"interval", "healthy", "unhealthy"} {
		if l.written(key(path, k)) {
			l.problem(key(path, k), "has no effect without health.path")
		}
	}
}
