// Command compare measures the gateway beside other servers that do, or do less than, what it does: what a request costs
// each of them, how many they answer, how long that takes and how much memory they hold. It runs from the module's root:
// make bench.
//
// All servers of a scenario run at once and take turns, in alternating order, with the same requests, in front of the same
// backend. Requests that should pass have to, and attacks have to be refused: otherwise the run is void, and the command
// fails.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"gatehouse/bench/peers"
	"gatehouse/bench/report"
)

// options are the flags.
type options struct {
	quick        bool
	curves       bool
	root, out    string
	only, filter string
	rounds       int
	seconds      time.Duration
	warm         time.Duration // before each turn
	settings     report.Settings
}

func main() { os.Exit(run()) }

func run() int {
	o := options{root: ".", warm: time.Second}
	flag.BoolVar(&o.quick, "quick", false, "only the scenarios that say most, and fewer rounds: under 3 minutes")
	flag.BoolVar(&o.curves, "curves", false, "instead of scenarios, how cost grows with applications, rules, bodies, connections and threads")
	flag.StringVar(&o.out, "out", "bench/recorded", "`directory` below which the run is recorded")
	flag.StringVar(&o.only, "scenarios", "", "`names` of scenarios, or of curves, with commas; empty is all")
	flag.StringVar(&o.filter, "peers", "", "`names` of servers, with commas; empty is all that are installed")
	flag.IntVar(&o.rounds, "rounds", 0, "how often each server has its turn; 0 is 5, or 3 and 2 with -quick")
	flag.DurationVar(&o.seconds, "time", 0, "how long each measurement takes, in whole seconds; 0 is 1s to 5s, by scenario")
	flag.IntVar(&o.settings.Workers, "workers", max(1, runtime.NumCPU()/2), "threads or processes of each server")
	flag.IntVar(&o.settings.Connections, "connections", 32, "connections at saturation")
	flag.IntVar(&o.settings.Rate, "rate", 200, "requests a second of the open loop")
	flag.Uint64Var(&o.settings.Seed, "seed", 1, "of the requests")
	flag.Parse()
	raiseFiles()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := o.compare(ctx, os.Stderr)
	if err == nil {
		err = o.record(result, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// raiseFiles lets the process and its servers have as many open files as thousands of connections need, if it may.
func raiseFiles() {
	const files = 65_536
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur >= files {
		return
	}
	raised := syscall.Rlimit{Cur: files, Max: max(limit.Max, files)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		fmt.Fprintf(os.Stderr, "bench: open files stay limited to %d: %v\n", limit.Cur, err)
	}
}

// compare runs the scenarios.
func (o *options) compare(ctx context.Context, progress io.Writer) (*report.Result, error) {
	begin := time.Now()
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if _, err := exec.LookPath("wrk"); err != nil {
		return nil, errors.New("wrk is not installed; it is what saturates servers: apt-get install wrk")
	}
	all, err := o.scenarios()
	if err != nil {
		return nil, err
	}
	if len(all) > 0 {
		o.settings.Rounds = all[0].rounds
	}
	c := &comparison{dir: dir, settings: o.settings, warm: o.warm, warmOnce: o.quick, progress: progress}
	r := &report.Result{Date: begin.UTC(), Machine: thisMachine(), Settings: o.settings}
	if err := o.choose(c, r); err != nil {
		return nil, err
	}
	fmt.Fprintln(progress, "build the gateway, the backend and the proxies in Go")
	if c.built, err = peers.Build(ctx, o.root, dir, c.peers); err != nil {
		return nil, err
	}
	r.Commit, r.Versions = c.built.Commit(), c.versions(ctx)
	if err := o.measure(ctx, c, r, all); err != nil {
		return nil, err
	}
	r.Void = c.void
	r.Machine.Seconds = time.Since(begin).Seconds()
	return r, nil
}

// measure runs the scenarios, or draws the curves.
func (o *options) measure(ctx context.Context, c *comparison, r *report.Result, all []scenario) error {
	if o.curves {
		all = nil
		const rounds, seconds = 3, 2 * time.Second
		r.Settings.Rounds = cmp.Or(o.rounds, rounds)
		for _, v := range curves() {
			if o.only != "" && !slices.Contains(strings.Split(o.only, ","), v.name) {
				continue
			}
			drawn, err := c.draw(ctx, v, r.Settings.Rounds, cmp.Or(o.seconds, seconds))
			if err != nil {
				return err
			}
			r.Curves = append(r.Curves, *drawn)
		}
	}
	for _, s := range all {
		measured, err := c.run(ctx, s)
		if err != nil {
			return err
		}
		r.Scenarios = append(r.Scenarios, *measured)
	}
	return nil
}

// scenarios are those that were asked for.
func (o *options) scenarios() ([]scenario, error) {
	all := scenarios(o.quick)
	if o.only != "" {
		names := strings.Split(o.only, ",")
		for _, name := range names {
			known := slices.ContainsFunc(all, func(s scenario) bool { return s.name == name })
			if o.curves {
				known = slices.ContainsFunc(curves(), func(c curve) bool { return c.name == name })
			}
			if !known {
				return nil, fmt.Errorf("-scenarios: there is no scenario %q", name)
			}
		}
		if o.curves {
			return nil, nil
		}
		all = slices.DeleteFunc(all, func(s scenario) bool { return !slices.Contains(names, s.name) })
	}
	for i := range all {
		if o.rounds > 0 {
			all[i].rounds = o.rounds
		}
		if o.seconds > 0 {
			all[i].seconds, all[i].steady = max(o.seconds, time.Second), max(o.seconds, time.Second)
		}
	}
	return all, nil
}

// choose finds the servers that can be measured, and says which cannot.
func (o *options) choose(c *comparison, r *report.Result) error {
	names := strings.Split(o.filter, ",")
	known := peers.All()
	if o.filter != "" {
		for _, name := range names {
			if !slices.ContainsFunc(known, func(p peers.Peer) bool { return p.Name == name }) {
				return fmt.Errorf("-peers: there is no server %q", name)
			}
		}
	}
	for _, p := range known {
		why := p.Missing()
		if o.filter != "" && !slices.Contains(names, p.Name) {
			why = "not asked for"
		}
		if why == "" && o.curves && !besideProxy(p) {
			continue
		}
		if why != "" {
			fmt.Fprintf(c.progress, "left out: %s: %s\n", p.Title, why)
			r.LeftOut = append(r.LeftOut, report.Version{Name: p.Name, Title: p.Title, Text: why})
			continue
		}
		c.peers = append(c.peers, p)
	}
	if len(c.peers) == 0 {
		return errors.New("there is no server to measure")
	}
	return nil
}

// record writes the result into a directory of its own, and the table to w too.
func (o *options) record(r *report.Result, w io.Writer) error {
	dir := filepath.Join(o.out, folder(r))
	if o.curves {
		dir += "-curves"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	var table strings.Builder
	if err := r.Table(&table); err != nil {
		return err
	}
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"result.json": append(text, '\n'), "table.txt": []byte(table.String()), "report.html": page.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\n%s\nwritten: %s, in %.0f seconds\n", table.String(), dir, r.Machine.Seconds)
	if len(r.Void) > 0 {
		return fmt.Errorf("the run is void: %s", strings.Join(r.Void, "; "))
	}
	return nil
}

// versions are those of the servers, and of what drives them.
func (c *comparison) versions(ctx context.Context) []report.Version {
	var out []report.Version
	for _, p := range c.peers {
		out = append(out, report.Version{Name: p.Name, Title: p.Title, Text: p.Version(ctx, c.built)})
	}
	wrk, _ := exec.CommandContext(ctx, "wrk", "-v").CombinedOutput() // it exits with 1
	first, _, _ := strings.Cut(string(wrk), " Copyright")
	return append(out,
		report.Version{Name: "wrk", Title: "wrk", Text: strings.TrimSpace(first)},
		report.Version{Name: "vegeta", Title: "vegeta", Text: c.built.ModuleVersion(ctx, "github.com/tsenart/vegeta/v12")})
}
