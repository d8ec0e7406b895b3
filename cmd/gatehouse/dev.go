package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/shop"
	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/listener"
)

// The files that gatehouse dev leaves in its directory.
const (
	devConfig = "gatehouse.yaml"
	devEvents = "gatehouse-events.jsonl"
)

func devCommand() command {
	return command{
		name: "dev", synopsis: "[-upstream URL] [-data DIR] [flags]", short: "try it out: a gateway, a demo shop behind it, and events as they happen",
		long: `
Starts a gateway on 127.0.0.1:8080 in front of a demo shop, in mode block. With -upstream it stands in front of your own
application instead, in mode detect: nothing is refused, and every event says what would have been.

The configuration is left as gatehouse.yaml in the working directory, or in that of -data, which is made if need be. If the
file exists already it is used as it is, and a flag that says otherwise is refused; changes to it are taken up while the
gateway runs. Events are also written to gatehouse-events.jsonl beside it, where gatehouse incident and gatehouse report find
them.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			d := &dev{cli: c}
			flags.StringVar(&d.upstream, "upstream", "", "`URL` of your own application, instead of the demo shop")
			flags.StringVar(&d.data, "data", ".", "`directory` of the configuration and the events")
			flags.StringVar(&d.listen, "listen", "127.0.0.1:8080", "`address` of the gateway")
			flags.StringVar(&d.admin, "admin", "127.0.0.1:9081", "`address` of the admin listener")
			flags.StringVar(&d.shop, "shop", "127.0.0.1:9082", "`address` of the demo shop")
			log := logFlags(flags, "warn", "console")
			return func(ctx context.Context, args []string) error {
				if len(args) > 0 {
					return usagef("no arguments are expected; -upstream URL names your application")
				}
				d.log, d.given = log, map[string]bool{}
				flags.Visit(func(f *flag.Flag) { d.given[f.Name] = true })
				return d.run(ctx)
			}
		},
	}
}

// dev is one run of gatehouse dev.
type dev struct {
	cli                                 *cli
	upstream, data, listen, admin, shop string
	log                                 *logSettings

	given map[string]bool // the flags that were set
	// target is the URL of the application behind the gateway: -upstream, or the demo shop's.
	target *url.URL
}

// config and events are the paths of the files.
func (d *dev) config() string { return filepath.Join(d.data, devConfig) }

func (d *dev) events() string { return filepath.Join(d.data, devEvents) }

func (d *dev) run(ctx context.Context) (err error) {
	logger, err := d.log.build(d.cli.stderr)
	if err != nil {
		return err
	}
	if err := d.parseFlags(); err != nil {
		return err
	}
	if err := os.MkdirAll(d.data, 0o755); err != nil {
		return fmt.Errorf("make the directory of -data: %w", err)
	}
	found, err := exists(d.config())
	if err != nil {
		return err
	}
	hadEvents, err := exists(d.events())
	if err != nil {
		return err
	}
	served := false
	defer func() {
		if err != nil && !served {
			err = d.giveUp(err, found, hadEvents)
		}
	}()
	if !found {
		if err := os.WriteFile(d.config(), []byte(d.newConfig()), 0o644); err != nil {
			return err
		}
	}
	loaded, err := d.cli.loadFor(d.config())
	if err != nil {
		return err
	}
	if err := d.agrees(loaded.Config); err != nil {
		return err
	}
	demo := shop.New(shop.Options{Logger: logger})
	usesShop := d.upstream == "" && hasUpstream(loaded.Config, d.target)
	if usesShop {
		if err := demo.Start(d.shop); err != nil {
			return fmt.Errorf("%w%s", err, map[bool]string{true: " and the same address in " + d.config()}[found])
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			_ = demo.Stop(ctx) // the process ends anyway
		}()
	}
	colour := event.NoColor
	if f, ok := d.cli.stdout.(*os.File); ok {
		colour = event.ColorFor(f)
	}
	return d.cli.serve(ctx, proxy.Options{
		Load:   func() (*config.Loaded, error) { return loadConfig(d.config()) },
		Logger: logger, Stdout: d.cli.stdout, DrainTimeout: 3 * time.Second, Version: version(),
		Console: d.cli.stdout, Color: colour, Sample: defaultSampleShare,
	}, func(s *proxy.Server) error {
		served = true
		d.banner(s, found, usesShop)
		return nil
	})
}

// giveUp removes what a start that failed has written, so that the next start does not take it for the user's own, and
// names the flags in place of the keys of a configuration that is gone.
func (d *dev) giveUp(err error, found, hadEvents bool) error {
	if info, statErr := os.Stat(d.events()); statErr == nil && !hadEvents && info.Size() == 0 {
		err = errors.Join(err, os.Remove(d.events()))
	}
	if found {
		return err
	}
	var bind *listener.BindError
	if errors.As(err, &bind) {
		switch bind.Address {
		case d.listen:
			bind.Key = "-listen"
		case d.admin:
			bind.Key = "-admin"
		}
	}
	if removeErr := os.Remove(d.config()); !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	return err
}

// exists says whether there is a file.
func exists(name string) (bool, error) {
	_, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// parseFlags checks the addresses and reads the URL of the application.
func (d *dev) parseFlags() (err error) {
	for _, f := range [][2]string{{"-listen", d.listen}, {"-admin", d.admin}} {
		if err := config.CheckListenAddress(f[1]); err != nil {
			return usagef("%s: %v", f[0], err)
		}
	}
	switch {
	case d.upstream == "":
		if d.target, err = config.ParseUpstreamURL("http://" + d.shop); err != nil {
			return usagef("-shop: %v", strings.ReplaceAll(err.Error(), "http://"+d.shop, d.shop))
		}
	case !strings.Contains(d.upstream, "://") && !strings.Contains(d.upstream, "@"):
		return usagef("-upstream %q is not a URL such as http://127.0.0.1:3000", d.upstream)
	default:
		if d.target, err = config.ParseUpstreamURL(d.upstream); err != nil {
			return usagef("-upstream: %v", err)
		}
	}
	return nil
}

// agrees refuses flags that were given and that the configuration in the working directory does not follow.
func (d *dev) agrees(c *config.Config) error {
	listens := slices.ContainsFunc(c.Listeners, func(l config.Listener) bool { return l.Address == d.listen })
	for _, f := range []struct {
		name, value, key string
		follows          bool
	}{
		{"upstream", d.upstream, "the upstream", hasUpstream(c, d.target)},
		{"listen", d.listen, "the address of the listener", listens},
		{"admin", d.admin, "admin.address", c.Admin.Address == d.admin},
		{"shop", d.shop, "the upstream", d.upstream != "" || hasUpstream(c, d.target)},
	} {
		if d.given[f.name] && !f.follows {
			return fmt.Errorf("%s exists already and would be used instead of -%s %s: change %s in it, or move it away", d.config(), f.name, f.value, f.key)
		}
	}
	return nil
}

// hasUpstream says whether a configuration has an upstream at the URL.
func hasUpstream(c *config.Config, target *url.URL) bool {
	return slices.ContainsFunc(c.Upstreams, func(u config.Upstream) bool { return slices.Contains(u.URLs, target.String()) })
}

// newConfig is the configuration that is left in the working directory.
func (d *dev) newConfig() string {
	if d.upstream != "" {
		return d.ownConfig()
	}
	return d.shopConfig()
}

const devHeader = `# Written by gatehouse dev, yours to keep. Changes are taken up while the gateway runs;
# "gatehouse check gatehouse.yaml -print" shows every default.
listeners:
  - name: http
    address: %q
    h2c: true
    trusted_hops: 0            # nothing stands in front of this gateway
admin: { address: %q }
logs: { access: none, events: %s }
`

func (d *dev) shopConfig() string {
	return fmt.Sprintf(devHeader, d.listen, d.admin, devEvents) + fmt.Sprintf(`upstreams:
  - { name: shop, url: %q, allow_loopback: true }
applications:
  - name: shop
    hosts: ["*"]
    mode: block
    upstream: shop
    routes:
      - { path: /, traffic: [auto, grpc] }
      - { path: /ws, traffic: [websocket] }
`, d.target.String())
}

func (d *dev) ownConfig() string {
	host := d.target.Hostname()
	loopback := host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
	return fmt.Sprintf(devHeader, d.listen, d.admin, devEvents) + fmt.Sprintf(`upstreams:
  - { name: application, url: %q, allow_loopback: %v }
applications:
  - name: application
    hosts: ["*"]
    mode: detect               # nothing is refused; block when "gatehouse report" says ready
    upstream: application
    routes:
      - { path: /, traffic: [auto, websocket] }
`, d.target.String(), loopback)
}

// mode says in which mode the applications are, if they are all in one.
func (d *dev) mode() string {
	loaded, err := loadConfig(d.config())
	if err != nil {
		return ""
	}
	mode := loaded.Config.Applications[0].Mode
	for _, a := range loaded.Config.Applications {
		if a.Mode != mode {
			return ""
		}
	}
	return ", in mode " + string(mode)
}

// banner says what runs where and what to try.
func (d *dev) banner(s *proxy.Server, found, usesShop bool) {
	w := d.cli.stdout
	gateway := "http://" + s.Addr("").String()
	line := func(name, where, what string) { fmt.Fprintf(w, "  %-10s %-24s %s\n", name, where, what) }
	fmt.Fprintf(w, "Gatehouse is running.\n\n")
	if usesShop {
		line("gateway", gateway, "in front of the demo shop"+d.mode())
		line("demo shop", "http://"+d.shop, "the same without protection, to compare")
	} else {
		what := "in front of your application"
		if d.upstream != "" {
			what = "in front of " + d.upstream + d.mode()
			if strings.HasSuffix(what, "detect") {
				what += ": nothing is refused"
			}
		}
		line("gateway", gateway, what)
	}
	line("admin", "http://"+s.AdminAddr().String(), "/metrics /readyz /status")
	kept := "yours to keep; changes are taken up at once"
	if found {
		kept = "was there already and is used as it is"
	}
	line("config", d.config(), kept)
	line("events", d.events(), "one JSON line an event")
	name, with := os.Args[0], ""
	if d.config() != devConfig {
		with = " -events " + d.events()
	}
	if usesShop {
		fmt.Fprintf(w, `
Try, in another terminal:
  curl -i '%[1]s/search?q=teapot'
      a clean request: 200
  curl -i '%[1]s/search?q=%%3Cscript%%3Ealert(1)%%3C/script%%3E'
      an attack: 403 with an incident ID
  %[2]s incident GH-....-....-....%[3]s
      why it was refused, and the smallest exclusion that would let it pass
  %[2]s report%[3]s
      what was refused so far, by rule, path and target
`, gateway, name, with)
	} else {
		fmt.Fprintf(w, `
Use your application through the gateway, then:
  %[1]s report%[2]s
      what mode block would have refused, and what to settle before you switch
  %[1]s incident GH-....-....-....%[2]s
      why one request would have been refused, and the smallest exclusion for it
`, name, with)
	}
	fmt.Fprintf(w, "\nEvents follow, one line each. Ctrl-C ends.\n\n")
}
