package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/bench/mix"
	"gatehouse/cmd/gatehouse/sizing"
	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/rules/engine"
	"gatehouse/rules/policy"
	"gatehouse/rules/program"
)

func benchCommand() command {
	return command{
		name: "bench", synopsis: "-config PATH [-requests PATH] [-rate N] [-vcpu N] [-zones N] [-load SHARE] [-for DURATION] [-cpuprofile FILE] [-o text|json]",
		short: "measure what a request costs with this configuration, and how many instances a rate takes",
		long: `
  gatehouse bench -config gatehouse.yaml
  gatehouse bench -config gatehouse.yaml -requests recorded/ -rate 5000 -vcpu 2

A gateway with the configuration runs on loopback, in this process: in front of an upstream that answers at once, without
TLS, and without rate limits, as all requests come from one client. What client and upstream take is measured alone and taken
off. The machine should do nothing else meanwhile.

-requests names a file with one raw HTTP/1.1 request, or a directory of *.http files, as for gatehouse inspect: the more
distinct requests, the better the figure. Without it, requests of a shop's visitors are sent to the first host of each
application.

The dearest rules are those that took most time of their own. Looking for the patterns of all rules is one pass, and shown
as such.

-rate asks how many instances carry that many requests a second, if each has -vcpu processors of this kind, may use -load of
them, and one of -zones may be lost.

Exit code 0 if the requests could be measured.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			b := &benchmark{cli: c}
			path := configFlag(flags)
			flags.StringVar(&b.requests, "requests", "", "`path` of raw requests: a file, or a directory of *.http")
			flags.DurationVar(&b.time, "for", 5*time.Second, "how long to measure")
			flags.IntVar(&b.reply, "reply", 1024, "`bytes` of the body of the upstream's replies")
			flags.IntVar(&b.top, "top", 10, "`number` of the dearest rules to show")
			flags.Float64Var(&b.need.Rate, "rate", 1000, "requests a second that the fleet has to carry")
			flags.IntVar(&b.need.VCPU, "vcpu", 2, "`number` of processors of one instance")
			flags.Float64Var(&b.need.Load, "load", 0.6, "`share` of its processors that an instance may use")
			flags.IntVar(&b.need.Zones, "zones", 3, "`number` of zones, of which one may be lost; 1 to lose none")
			flags.StringVar(&b.profileTo, "cpuprofile", "", "`file` to write a CPU profile of the measurement to, for go tool pprof")
			b.output = outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				switch {
				case *path == "":
					return usagef("-config PATH is required")
				case len(args) > 0:
					return usagef("%q is not a flag; requests are named by -requests", args[0])
				case b.time < 100*time.Millisecond:
					return usagef("-for %v is too short to measure anything; take a few seconds", b.time)
				case b.reply < 0 || b.top < 0:
					return usagef("-reply and -top cannot be negative")
				}
				if err := b.need.Check(); err != nil {
					return usageError{err.Error()}
				}
				loaded, err := c.loadFor(*path)
				if err != nil {
					return err
				}
				return b.run(ctx, loaded)
			}
		},
	}
}

// benchmark is one run of gatehouse bench.
type benchmark struct {
	cli        *cli
	requests   string
	profileTo  string
	time       time.Duration
	reply, top int
	need       sizing.Need
	output     *string
}

// benchReport is what is printed.
type benchReport struct {
	Requests    int         `json:"requests"`            // that were sent
	Distinct    int         `json:"distinct"`            // of them
	CPU         float64     `json:"cpu_us_per_request"`  // microseconds of processor time
	Inspection  float64     `json:"inspection_us"`       // of it, in the rules
	PerVCPU     float64     `json:"requests_per_vcpu_s"` // that one processor carries
	Statuses    map[int]int `json:"statuses"`
	Patterns    float64     `json:"patterns_us"` // of inspection, looking for the patterns of all rules
	Dearest     []benchRule `json:"dearest_rules"`
	PerInstance float64     `json:"requests_per_instance_s"`
	Instances   int         `json:"instances"`
	Needed      int         `json:"instances_needed"` // when a zone is lost
	Rate        float64     `json:"rate"`
	VCPU        int         `json:"vcpu"`
	Load        float64     `json:"load"`
	Zones       int         `json:"zones"`
}

// benchRule is one of the dearest rules.
type benchRule struct {
	Rule    int     `json:"rule"`
	CPU     float64 `json:"us_per_request"`
	Runs    float64 `json:"runs_per_request"`
	Matches float64 `json:"matches_per_request"`
	Place   string  `json:"place"`
}

func (b *benchmark) run(ctx context.Context, loaded *config.Loaded) error {
	raw, err := b.load(loaded.Config)
	if err != nil {
		return err
	}
	options := sizing.Options{Config: loaded, Requests: raw, Time: b.time, Reply: b.reply, Progress: b.say}
	if b.profileTo != "" {
		f, err := os.Create(b.profileTo)
		if err != nil {
			return err
		}
		defer f.Close()
		options.Profile = f
	}
	judges := b.cli.newOfflineEngine(engineProgram)
	options.Engine = judges
	measured, err := sizing.Measure(ctx, options)
	if err != nil {
		return errors.Join(err, judges.Close())
	}
	if err := ctx.Err(); err != nil {
		return errors.Join(err, judges.Close())
	}
	b.say("looking for the dearest rules")
	report := b.report(measured, len(raw))
	if err := errors.Join(b.profile(ctx, loaded, judges.Engine, raw, report), judges.Close()); err != nil {
		return err
	}
	b.clear()
	if *b.output == "json" {
		return json.NewEncoder(b.cli.stdout).Encode(report)
	}
	return b.print(report)
}

// say shows on a terminal what is done.
func (b *benchmark) say(what string) {
	if p := newProgress(b.cli.stderr, 1<<20); p.w != nil {
		fmt.Fprintf(p.w, "\r\x1b[K%s ...", what)
	}
}

func (b *benchmark) clear() {
	if p := newProgress(b.cli.stderr, 1<<20); p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// load reads the requests, or makes them.
func (b *benchmark) load(c *config.Config) ([][]byte, error) {
	if b.requests == "" {
		return visitors(c)
	}
	files, err := b.cli.requestSources("", []string{b.requests})
	if err != nil {
		return nil, err
	}
	var raw [][]byte
	for _, f := range files {
		text, err := f.read()
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return nil, fmt.Errorf("%s: there is no request in it", f.name)
		}
		raw = append(raw, onWire(prepare(text, "")))
	}
	return raw, nil
}

// onWire is a prepared request with the line ends of HTTP.
func onWire(raw []byte) []byte {
	head, body, _ := splitHead(raw)
	head = strings.ReplaceAll(strings.ReplaceAll(head, "\r\n", "\n"), "\n", "\r\n")
	return append([]byte(head+"\r\n\r\n"), body...)
}

// visitors are requests to the first host of each application, one after the other.
func visitors(c *config.Config) ([][]byte, error) {
	var hosts []string
	for _, a := range c.Applications {
		if len(a.Hosts) > 0 {
			hosts = append(hosts, hostFor(a.Hosts[0]))
		}
	}
	if len(hosts) == 0 {
		return nil, errors.New("the configuration has no application to send requests to")
	}
	shop, err := mix.Find("shop")
	if err != nil {
		return nil, err
	}
	requests := shop.Requests(1)
	raw := make([][]byte, len(requests))
	for i := range requests {
		requests[i].SetHost(hosts[i%len(hosts)])
		raw[i] = requests[i].Wire()
	}
	return raw, nil
}

// hostFor is a name that a host of an application takes.
func hostFor(pattern string) string {
	switch {
	case pattern == "*":
		return mix.Host
	case strings.HasPrefix(pattern, "*."):
		return "www" + pattern[1:]
	}
	return pattern
}

// report fills in what was measured.
func (b *benchmark) report(m sizing.Measured, distinct int) *benchReport {
	fleet := b.need.Size(m.CPU)
	return &benchReport{
		Requests: m.Requests, Distinct: distinct, CPU: microseconds(m.CPU, 1), PerVCPU: fleet.PerVCPU, Statuses: m.Statuses,
		PerInstance: fleet.PerInstance, Instances: fleet.Instances, Needed: fleet.Needed,
		Rate: b.need.Rate, VCPU: b.need.VCPU, Load: b.need.Load, Zones: b.need.Zones,
	}
}

// profiled is how long rules are profiled at most.
const profiled = 5 * time.Second

// profile judges each request once without counting, to warm up, and once with.
func (b *benchmark) profile(ctx context.Context, loaded *config.Loaded, shared *engine.Engine, raw [][]byte, report *benchReport) error {
	profile := new(program.Profile)
	var inspection time.Duration
	n := 0
	for _, o := range []engine.Options{{Target: policy.TargetOf}, {Target: policy.TargetOf, Profile: profile}} {
		inspector, err := proxy.NewInspector(sizing.Isolated(loaded, "192.0.2.1"), zap.NewNop(), shared.With(o))
		if err != nil {
			return err
		}
		profile.Reset() // what was loaded was also tried
		until := time.Now().Add(profiled / 2)
		client, err := parseClient("192.0.2.1")
		if err != nil {
			return err
		}
		for _, r := range raw {
			if ctx.Err() != nil || time.Now().After(until) {
				break
			}
			judged, err := inspector.Inspect(r, client)
			switch {
			case err != nil: // a gateway refuses it before the rules
			case o.Profile == nil:
				inspection += judged.Access.Inspection
				report.Inspection++
			default:
				n++
			}
		}
		if err := inspector.Close(); err != nil {
			return err
		}
	}
	report.Inspection = microseconds(inspection, int(report.Inspection))
	report.Patterns = microseconds(profile.Patterns(), n)
	for _, r := range profile.Rules() {
		if len(report.Dearest) == b.top {
			break
		}
		report.Dearest = append(report.Dearest, benchRule{
			Rule: r.Rule, CPU: microseconds(r.Time, n), Runs: float64(r.Runs) / float64(n), Matches: float64(r.Matches) / float64(n),
			Place: fmt.Sprintf("%s:%d", r.Source, r.Line),
		})
	}
	return ctx.Err()
}

// microseconds is a time for each of n.
func microseconds(d time.Duration, n int) float64 {
	if n == 0 {
		return 0
	}
	return float64(d.Nanoseconds()) / 1000 / float64(n)
}

// print shows the report as text.
func (b *benchmark) print(r *benchReport) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%d requests, %d of them distinct\n\n", r.Requests, r.Distinct)
	fmt.Fprintf(&out, "processor time     %8.1f us a request\n", r.CPU)
	fmt.Fprintf(&out, "  in the rules     %8.1f us, %.1f us of it looking for the patterns of all rules at once\n", r.Inspection, r.Patterns)
	fmt.Fprintf(&out, "one vCPU carries   %8.0f requests a second\n", r.PerVCPU)
	fmt.Fprintf(&out, "\nreplies:")
	for _, status := range slices.Sorted(maps.Keys(r.Statuses)) {
		fmt.Fprintf(&out, " %d: %.1f %%", status, 100*float64(r.Statuses[status])/float64(r.Requests))
	}
	fmt.Fprintln(&out)
	if refused := r.Statuses[404] + r.Statuses[421]; refused*10 > r.Requests {
		fmt.Fprintln(&out, "many requests have no route or host here, and cost little: name your own with -requests")
	}
	if len(r.Dearest) > 0 {
		fmt.Fprintf(&out, "\n%9s %11s %10s %10s  %s\n", "rule", "us/request", "runs", "matches", "at")
		for _, d := range r.Dearest {
			fmt.Fprintf(&out, "%9d %11.2f %10.2f %10.2f  %s\n", d.Rule, d.CPU, d.Runs, d.Matches, d.Place)
		}
	}
	fmt.Fprintf(&out, "\n%.0f requests a second: %d instances of %d vCPU at %.0f %% load", r.Rate, r.Instances, r.VCPU, 100*r.Load)
	if r.Zones > 1 {
		fmt.Fprintf(&out, ", %d in each of %d zones; %d carry it when a zone is lost", r.Instances/r.Zones, r.Zones, r.Needed)
	}
	fmt.Fprintln(&out)
	_, err := io.Copy(b.cli.stdout, &out)
	return err
}
