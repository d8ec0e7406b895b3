package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
)

func inspectCommand() command {
	return command{
		name: "inspect", synopsis: "-config PATH [-engine program|reference|both] [-curl '...'] [-client IP] [-host NAME] [-o text|json] [PATH ...]",
		short: "judge raw requests offline and say why",
		long: `
  gatehouse inspect -config gatehouse.yaml attack.http
  gatehouse inspect -config gatehouse.yaml -curl "curl 'https://shop.example.com/search?q=1%27+or+1=1--'"
  printf 'GET /?q=<script> HTTP/1.1\nHost: shop.example.com\n' | gatehouse inspect -config gatehouse.yaml

A PATH is a file with one raw HTTP/1.1 request, or a directory, whose *.http files are taken with those of its
subdirectories; "-", or no PATH at all, is stdin. Requests are judged by the code that serves them; nothing is sent
anywhere. Lines may end in LF, a Content-Length that is missing or wrong is corrected, and a newline at the end of a file
is no part of the body. Values are masked as in events. -o json prints one object a request, each in a line.

-engine reference judges by the reference engine instead of the compiled program. -engine both shows what the program says,
and in what the reference differs.

Exit code 0 if every request could be read, whatever the verdicts are; 1 also if -engine both finds a difference.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			path := configFlag(flags)
			run := &inspection{cli: c}
			flags.StringVar(&run.curl, "curl", "", "judge the request of a curl `command` line")
			flags.StringVar(&run.host, "host", "", "`name` to put in place of each request's Host")
			client := clientFlag(flags)
			run.output, run.engine = outputFlag(flags), engineFlag(flags)
			return func(ctx context.Context, args []string) error {
				if *path == "" {
					return usagef("-config PATH is required")
				}
				var err error
				if run.client, err = parseClient(*client); err != nil {
					return err
				}
				if run.sources, err = c.requestSources(run.curl, args); err != nil {
					return err
				}
				loaded, err := c.loadFor(*path)
				if err != nil {
					return err
				}
				run.config, run.masker = loaded.Config, event.NewMasker()
				run.judges = c.newOfflineEngine(*run.engine)
				if run.inspector, err = proxy.NewInspector(loaded, zap.NewNop(), run.judges); err != nil {
					return errors.Join(err, run.judges.Close())
				}
				return errors.Join(run.all(ctx), run.inspector.Close(), run.judges.Close())
			}
		},
	}
}

// clientFlag declares -client.
func clientFlag(flags *flag.FlagSet) *string {
	return flags.String("client", "192.0.2.1", "`address` of the client that the requests are judged as")
}

func parseClient(s string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.AddrPort{}, usagef("-client %q is not an IP address", s)
	}
	return netip.AddrPortFrom(a, 40000), nil
}

// inspection is one run of gatehouse inspect.
type inspection struct {
	cli        *cli
	curl, host string
	client     netip.AddrPort
	output     *string
	engine     *string
	sources    []requestSource
	config     *config.Config
	masker     *event.Masker
	judges     *offlineEngine
	inspector  *proxy.Inspector
}

// judged is what became of one request: an event as a gateway would write it, also for one that passes.
type judged struct {
	file  string
	event *event.Event // masked
	notes []string
	// forwarded says that the upstream would have been asked.
	forwarded bool
	// engine judged it, EngineProgram or EngineReference; differences say in what the reference differs, with -engine both.
	engine      string
	differences []string
	// problem says that the request could not be read. event then says what a gateway answers, nil if it would not
	// even see a request.
	problem error
}

// all judges every request, several at a time, and prints the results in the order of the sources.
func (n *inspection) all(ctx context.Context) error {
	type place struct {
		source requestSource
		done   chan judged
	}
	workers := runtime.GOMAXPROCS(0)
	queue := make(chan place, 4*workers) // bounds what is judged ahead of what was printed
	work := make(chan place)
	var running sync.WaitGroup
	defer running.Wait()
	for range workers {
		running.Go(func() {
			for p := range work {
				p.done <- n.judge(p.source)
			}
		})
	}
	running.Go(func() {
		defer close(queue)
		defer close(work)
		for _, s := range n.sources {
			p := place{s, make(chan judged, 1)}
			queue <- p
			work <- p
			if ctx.Err() != nil {
				return
			}
		}
	})
	report := &inspectReport{inspection: n}
	progress := newProgress(n.cli.stderr, len(n.sources))
	var err error
	for p := range queue { // to its end also after an error: the goroutines above wait for it
		j := <-p.done
		if err == nil {
			progress.clear()
			err = report.add(j)
			progress.step()
		}
	}
	progress.clear()
	return errors.Join(err, ctx.Err(), report.end())
}

// judge reads and judges one request.
func (n *inspection) judge(s requestSource) judged {
	j := judged{file: s.name}
	raw, err := s.read()
	if err == nil && strings.TrimSpace(string(raw)) == "" {
		err = errors.New("there is no request in it")
	}
	if err != nil {
		j.problem = err
		return j
	}
	raw = prepare(raw, n.host)
	report, err := n.inspector.Inspect(raw, n.client)
	if err != nil {
		j.problem = fmt.Errorf("%w; a gateway answers 400", err)
		j.event = n.masker.Event(unreadable(raw, err, n.client))
		return j
	}
	j.notes = append(j.notes, report.Notes...)
	j.forwarded, j.engine, j.differences = report.Forwarded, report.Engine, n.judges.take(report)
	e := eventOf(report, headerOf(raw, "Content-Type"))
	if e.Mode == "" {
		e.Mode, e.Policy = settingsOf(n.config, e)
	}
	j.event = n.masker.Event(e)
	return j
}

// eventOf gives the event of a report, also of a request that makes none.
func eventOf(r *proxy.Report, contentType string) *event.Event {
	e := r.Event
	if e == nil {
		e = passed(r)
		e.ContentType = contentType
	}
	return e
}

// passed is the event of a request that makes none.
func passed(r *proxy.Report) *event.Event {
	a := &r.Access
	path, query, _ := strings.Cut(a.Path, "?")
	e := &event.Event{
		Time: a.Time, Verdict: a.Verdict, Reason: a.Reason, RequestID: a.RequestID, Client: a.Client, ClientPort: a.ClientPort,
		Listener: a.Listener, Application: a.Application, Route: a.Route, Method: a.Method, Host: a.Host, Path: path, Query: query,
		Protocol: a.Protocol, UserAgent: a.UserAgent, Status: a.Status, AnsweredBy: a.AnsweredBy,
		UpstreamStatus: a.UpstreamStatus, Revision: a.Revision,
	}
	if r.Result != nil {
		e.Scores, e.Rules, e.XML = r.Result.Scores, r.Result.Matches, r.XML
	}
	return e
}

// settingsOf gives the mode and the policy under which a request was judged, which an event tells and a request that
// passes does not.
func settingsOf(cfg *config.Config, e *event.Event) (mode, policy string) {
	for _, a := range cfg.Applications {
		if a.Name != e.Application {
			continue
		}
		mode, policy = string(a.Mode), a.Policy
		for _, r := range a.Routes {
			if r.Mode != "" && r.Path == e.Route {
				mode = string(r.Mode)
			}
		}
	}
	return mode, policy
}

// unreadable is the event of text that is not an HTTP request: a gateway refuses it in every mode.
func unreadable(raw []byte, err error, client netip.AddrPort) *event.Event {
	first, _, _ := strings.Cut(string(raw), "\n")
	e := &event.Event{
		Time: time.Now().UTC(), Verdict: event.Block, Reason: event.BadRequest, Detail: err.Error(), Client: client.Addr().String(),
		Status: http.StatusBadRequest, AnsweredBy: "gateway",
	}
	if fields := strings.Fields(first); len(fields) > 1 {
		e.Method = fields[0]
		e.Path, e.Query, _ = strings.Cut(fields[1], "?")
	}
	return e
}

// hostHelp says what it means that no application has the host of a request.
func hostHelp(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return fmt.Sprintf("no application has the host %q: a gateway answers 421", host)
}

// isTerminal says whether f is a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
