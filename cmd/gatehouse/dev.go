package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/shop"
	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/proxy/listener"
)

// devFiles are what gatehouse dev leaves in the working directory.
const (
	devConfig = "gatehouse.yaml"
	devEvents = "gatehouse-events.jsonl"
)

func devCommand() command {
	return command{
		name: "dev", synopsis: "[-upstream URL] [flags]", short: "try it out: a gateway, a demo shop behind it, and events as they happen",
		long: `
Starts a gateway on 127.0.0.1:8080 in front of a demo shop, in mode block. With -upstream it stands in front of your own
application instead, in mode detect: nothing is refused, and every event says what would have been.

The configuration is left as gatehouse.yaml in the working directory. If the file exists already it is used as it is;
changes to it are taken up while the gateway runs. Events are also written to gatehouse-events.jsonl, where
gatehouse incident and gatehouse report find them.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			d := &dev{cli: c}
			flags.StringVar(&d.upstream, "upstream", "", "`URL` of your own application, instead of the demo shop")
			flags.StringVar(&d.listen, "listen", "127.0.0.1:8080", "`address` of the gateway")
			flags.StringVar(&d.admin, "admin", "127.0.0.1:9081", "`address` of the admin listener")
			flags.StringVar(&d.shop, "shop", "127.0.0.1:9082", "`address` of the demo shop")
			log := logFlags(flags, "warn", "console")
			return func(ctx context.Context, args []string) error {
				if len(args) > 0 {
					return usagef("no arguments are expected; -upstream URL names your application")
				}
				d.log = log
				return d.run(ctx)
			}
		},
	}
}

// dev is one run of gatehouse dev.
type dev struct {
	cli                           *cli
	upstream, listen, admin, shop string
	log                           *logSettings
}

func (d *dev) run(ctx context.Context) (err error) {
	logger, err := d.log.build(d.cli.stderr)
	if err != nil {
		return err
	}
	found, err := d.writeConfig()
	if err != nil {
		return err
	}
	served := false
	defer func() {
		if err != nil && !found && !served {
			err = d.giveUp(err)
		}
	}()
	demo := shop.New(shop.Options{Logger: logger})
	usesShop, err := d.usesShop()
	if err != nil {
		return err
	}
	if usesShop {
		if err := demo.Start(d.shop); err != nil {
			return fmt.Errorf("%w; -shop ADDRESS takes another one%s", err, map[bool]string{true: ", with the same address in " + devConfig}[found])
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
		Load:   func() (*config.Loaded, error) { return loadConfig(devConfig) },
		Logger: logger, Stdout: d.cli.stdout, DrainTimeout: 3 * time.Second, Version: version(),
		Console: d.cli.stdout, Color: colour, Sample: defaultSampleShare,
	}, func(s *proxy.Server) error {
		served = true
		d.banner(s, found, usesShop)
		return nil
	})
}

// giveUp removes the configuration that was written for a start that failed, so that the next start does not take it for
// the user's own, and names the flags in place of its keys.
func (d *dev) giveUp(err error) error {
	var bind *listener.BindError
	if errors.As(err, &bind) {
		bind.Key = "-listen"
		if bind.Address == d.admin {
			bind.Key = "-admin"
		}
	}
	return errors.Join(err, os.Remove(devConfig))
}

// writeConfig writes gatehouse.yaml unless there is one. It says whether there was.
func (d *dev) writeConfig() (found bool, err error) {
	if _, err := os.Stat(devConfig); err == nil {
		if d.upstream != "" {
			return true, fmt.Errorf("%s exists already and would be used instead of -upstream %s: change the upstream in it, or move it away", devConfig, d.upstream)
		}
		return true, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if d.upstream != "" {
		u, err := url.Parse(d.upstream)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return false, usagef("-upstream %q is not a URL such as http://127.0.0.1:3000", d.upstream)
		}
		return false, os.WriteFile(devConfig, []byte(d.ownConfig(u)), 0o644)
	}
	return false, os.WriteFile(devConfig, []byte(d.shopConfig()), 0o644)
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
  - { name: shop, url: "http://%s", allow_loopback: true }
applications:
  - name: shop
    hosts: ["*"]
    mode: block
    upstream: shop
    routes:
      - { path: /, traffic: [auto, grpc] }
      - { path: /ws, traffic: [websocket] }
`, d.shop)
}

func (d *dev) ownConfig(u *url.URL) string {
	loopback := u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "::1"
	return fmt.Sprintf(devHeader, d.listen, d.admin, devEvents) + fmt.Sprintf(`upstreams:
  - { name: application, url: %q, allow_loopback: %v }
applications:
  - name: application
    hosts: ["*"]
    mode: detect               # nothing is refused; block when "gatehouse report" says ready
    upstream: application
    routes:
      - { path: /, traffic: [auto, websocket] }
`, strings.TrimSuffix(u.Scheme+"://"+u.Host, "/"), loopback)
}

// usesShop says whether the configuration has the demo shop as an upstream.
func (d *dev) usesShop() (bool, error) {
	loaded, err := d.cli.loadFor(devConfig)
	if err != nil {
		return false, err
	}
	for _, u := range loaded.Config.Upstreams {
		for _, address := range u.URLs {
			if parsed, err := url.Parse(address); err == nil && parsed.Host == d.shop {
				return true, nil
			}
		}
	}
	return false, nil
}

// mode says in which mode the applications are, if they are all in one.
func (d *dev) mode() string {
	loaded, err := loadConfig(devConfig)
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
			what = "in front of " + d.upstream + ", in mode detect: nothing is refused"
		}
		line("gateway", gateway, what)
	}
	line("admin", "http://"+s.AdminAddr().String(), "/metrics /readyz /status")
	kept := "yours to keep; changes are taken up at once"
	if found {
		kept = "was there already and is used as it is"
	}
	line("config", devConfig, kept)
	line("events", devEvents, "one JSON line an event")
	name := os.Args[0]
	if usesShop {
		fmt.Fprintf(w, `
Try, in another terminal:
  curl -i '%[1]s/search?q=teapot'
      a clean request: 200
  curl -i '%[1]s/search?q=%%3Cscript%%3Ealert(1)%%3C/script%%3E'
      an attack: 403 with an incident ID
  %[2]s incident GH-....-....-....
      why it was refused, and the smallest exclusion that would let it pass
  %[2]s report
      what was refused so far, by rule, path and target
`, gateway, name)
	} else {
		fmt.Fprintf(w, `
Use your application through the gateway, then:
  %[1]s report
      what mode block would have refused, and what to settle before you switch
  %[1]s incident GH-....-....-....
      why one request would have been refused, and the smallest exclusion for it
`, name)
	}
	fmt.Fprintf(w, "\nEvents follow, one line each. Ctrl-C ends.\n\n")
}
