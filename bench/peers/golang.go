package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Built are the programs that the harness makes itself.
type Built struct {
	root, dir string
	commit    string
}

// sources are the packages of what is built.
var sources = map[string]string{
	"gatehouse": "./cmd/gatehouse", "backend": "./bench/peers/backend",
	"plain": "./bench/peers/goproxy/plain", "coraza": "./bench/peers/goproxy/coraza",
}

// Build makes the backend and what some servers need, from the sources in the module's root.
func Build(ctx context.Context, root, dir string, servers []Peer) (*Built, error) {
	names := []string{"backend"}
	for _, p := range servers {
		if p.made != "" && !slices.Contains(names, p.made) {
			names = append(names, p.made)
		}
	}
	for _, name := range names {
		cmd := exec.CommandContext(ctx, "go", "build", "-pgo=auto", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), sources[name])
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", sources[name], err, out)
		}
	}
	b := &Built{root: root, dir: dir, commit: "unknown"}
	cmd := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude", "*")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil {
		b.commit = strings.TrimSpace(string(out))
	}
	return b, nil
}

// Commit is what the gateway was built from.
func (b *Built) Commit() string { return b.commit }

func builtVersion(_ context.Context, b *Built) string {
	return "commit " + b.commit + ", " + runtime.Version() + ", CRS " + CRSVersion
}

func goVersion(context.Context, *Built) string { return runtime.Version() }

// ModuleVersion is that of a module that the programs, and the harness, are made with.
func (b *Built) ModuleVersion(ctx context.Context, path string) string {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", path)
	cmd.Dir = b.root
	out, err := cmd.Output()
	if err != nil {
		return "of unknown version"
	}
	return strings.TrimSpace(string(out))
}

func corazaVersion(ctx context.Context, b *Built) string {
	return runtime.Version() + ", Coraza " + b.ModuleVersion(ctx, "github.com/corazawaf/coraza/v3") + ", CRS " + CRSVersion
}

// StartBackend runs the server that all peers forward to.
func StartBackend(ctx context.Context, b *Built, dir string) (*Process, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return run(ctx, dir, address, "http://"+address, "backend", []string{"GOMAXPROCS=1", "GOGC=400"}, filepath.Join(b.dir, "backend"), "-listen", address)
}

func (s setup) maxprocs() []string { return []string{fmt.Sprintf("GOMAXPROCS=%d", s.Workers)} }

func startGo(program string) func(context.Context, setup) (*Process, error) {
	return func(ctx context.Context, s setup) (*Process, error) {
		args := []string{"-listen", s.address, "-backend", "http://" + s.Backend}
		if s.TLS {
			args = append(args, "-cert", s.certificate.chain, "-key", s.certificate.key)
		}
		if program == "coraza" {
			rules, err := writeRules(s.dir, s.Paranoia, "SecRequestBodyInMemoryLimit 13107200\n\nSecRxPreFilter On\n\n")
			if err != nil {
				return nil, err
			}
			args = append(args, "-rules", rules)
		}
		return s.run(ctx, s.maxprocs(), filepath.Join(s.built.dir, program), args...)
	}
}

// startGatehouse runs the gateway in a mode, with access records on; they go to a file.
func startGatehouse(mode string) func(context.Context, setup) (*Process, error) {
	return func(ctx context.Context, s setup) (*Process, error) {
		admin, err := freeAddress()
		if err != nil {
			return nil, err
		}
		listener := fmt.Sprintf("{ name: bench, address: %q }", s.address)
		certificates := ""
		if s.TLS {
			listener = fmt.Sprintf("{ name: bench, address: %q, protocol: https }", s.address)
			certificates = fmt.Sprintf("certificates:\n  - { name: bench, cert_file: %q, key_file: %q }\n", s.certificate.chain, s.certificate.key)
		}
		rules := ""
		if s.Rules != "" {
			file, err := s.write("custom.conf", s.Rules)
			if err != nil {
				return nil, err
			}
			rules = fmt.Sprintf(", seclang_file: %q", file)
		}
		var applications strings.Builder
		for _, host := range s.Hosts {
			fmt.Fprintf(&applications, "  - { name: %q, hosts: [%q], mode: %s, upstream: backend }\n", host, host, mode)
		}
		config, err := s.write("gatehouse.yaml", fmt.Sprintf(`listeners:
  - %s
%sadmin: { address: %q }
logs: { access: stdout, events: stdout }
policies:
  - { name: default, crs: { version: %q, setup: stock, paranoia: %d }%s }
upstreams:
  - { name: backend, url: "http://%s", allow_loopback: true }
applications:
%s`, listener, certificates, admin, CRSVersion, s.Paranoia, rules, s.Backend, applications.String()))
		if err != nil {
			return nil, err
		}
		return s.run(ctx, s.maxprocs(), filepath.Join(s.built.dir, "gatehouse"), "gateway", "-config", config, "-drain-delay", "0s")
	}
}
