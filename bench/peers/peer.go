package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Peer is a kind of server.
type Peer struct {
	Name  string // constant: reports are compared by it
	Title string
	// Inspects is whether it refuses attacks.
	Inspects bool
	// Records is whether it writes a record of every request to its standard output.
	Records bool
	// Ours is whether it is what all others are compared with.
	Ours bool

	program string // that has to be installed, or
	made    string // that Build makes
	missing func() string
	version func(ctx context.Context, b *Built) string
	start   func(ctx context.Context, s setup) (*Process, error)
}

// Settings are what all servers of a comparison share.
type Settings struct {
	Backend  string // HOST:PORT
	Workers  int    // threads or processes that serve; GOMAXPROCS of those in Go
	Paranoia int    // of CRS
	TLS      bool   // and HTTP/2 for those who ask
	Hosts    []string
	Rules    string // in SecLang, which only the gateway gets
}

// setup is what one server is started with.
type setup struct {
	Settings
	dir, address string
	certificate  certificate
	built        *Built
}

// All are all kinds, ours first.
func All() []Peer {
	return []Peer{
		{Name: "gatehouse", Title: "Gatehouse, CRS", Inspects: true, Ours: true, made: "gatehouse", Records: true, version: builtVersion, start: startGatehouse("block")},
		{Name: "gatehouse-off", Title: "Gatehouse, inspection off", made: "gatehouse", Records: true, version: builtVersion, start: startGatehouse("disabled")},
		{Name: "nginx", Title: "nginx", program: "nginx", version: versionOf("nginx", "-v"), start: startNginx(false)},
		{Name: "haproxy", Title: "HAProxy", program: "haproxy", version: versionOf("haproxy", "-v"), start: startHAProxy},
		{Name: "caddy", Title: "Caddy", program: "caddy", version: versionOf("caddy", "version"), start: startCaddy},
		{Name: "net-http", Title: "net/http ReverseProxy", made: "plain", version: goVersion, start: startGo("plain")},
		{
			Name: "nginx-modsecurity", Title: "nginx + ModSecurity, CRS", Inspects: true, program: "nginx", missing: modSecurityMissing,
			version: modSecurityVersion, start: startNginx(true),
		},
		{Name: "net-http-coraza", Title: "net/http ReverseProxy + Coraza, CRS", Inspects: true, made: "coraza", version: corazaVersion, start: startGo("coraza")},
	}
}

// Missing says what has to be installed before the server can be started; empty if nothing.
func (p Peer) Missing() string {
	if p.program != "" {
		if _, err := exec.LookPath(p.program); err != nil {
			return p.program + " is not installed"
		}
	}
	if p.missing != nil {
		return p.missing()
	}
	return ""
}

// Version is what the server says of itself.
func (p Peer) Version(ctx context.Context, b *Built) string { return p.version(ctx, b) }

// Start runs the server in a new directory below dir until Stop.
func (p Peer) Start(ctx context.Context, b *Built, dir string, s Settings) (*Process, error) {
	own, err := os.MkdirTemp(dir, p.Name+"-")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	with := setup{Settings: s, dir: own, address: address, built: b}
	if s.TLS {
		if with.certificate, err = newCertificate(own); err != nil {
			return nil, err
		}
	}
	process, err := p.start(ctx, with)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Title, err)
	}
	return process, nil
}

// url is that of the server.
func (s setup) url() string {
	if s.TLS {
		return "https://" + s.address
	}
	return "http://" + s.address
}

// run starts the server's command; see run.
func (s setup) run(ctx context.Context, environment []string, name string, args ...string) (*Process, error) {
	url := s.url()
	if s.TLS { // SNI
		url = "https://" + TLSHost + s.address[strings.LastIndexByte(s.address, ':'):]
	}
	return run(ctx, s.dir, s.address, url, s.Hosts[0], environment, name, args...)
}

// write puts a file into the server's directory and gives its path.
func (s setup) write(name, content string) (string, error) {
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// versionOf asks a program and gives the first line of what it answers.
func versionOf(program string, args ...string) func(context.Context, *Built) string {
	return func(ctx context.Context, _ *Built) string {
		out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
		if err != nil {
			return "unknown: " + err.Error()
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return strings.TrimPrefix(line, "nginx version: ")
	}
}
