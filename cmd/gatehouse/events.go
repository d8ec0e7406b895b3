package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/proxy/event"
)

// events is what gatehouse events was asked for.
type events struct {
	query  url.Values
	limit  int
	follow bool
	top    string
	counts string
	export bool
	output string
}

func eventsCommand() command {
	return command{
		name:     "events",
		synopsis: "[-app A] [-rule N] [-client C] [-path P] [-since T] [-limit N] [-follow | -top FIELD | -counts STEP | -export] -token-file F [-api URL] [-o text|json]",
		short:    "find the events of a fleet, follow them, or rank what is in them",
		long: `
Prints the latest events that a manager has, the newest at the end; with -follow also those that arrive from then on, about a second
after they happened. A filter that is given more than once, or with commas, takes any of its values; different ones must all fit.

    gatehouse events -since 10m -app shop -token-file token.txt
    gatehouse events -top client -since 15m -token-file token.txt
    gatehouse events -counts 5m -since 6h -token-file token.txt

-top ranks application, client, gateway, host, path, reason, rule or verdict by the events that are stored, from 15 minutes ago on
unless -since says otherwise; of a flood of one kind that is a sample. -counts are exact numbers by steps of time, verdict and
reason, from 24 hours ago on. -export writes all that fits as JSON lines, the oldest first, as gatehouse report -events and gatehouse
incident -events read them. -o json prints events as one line each.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			newClient := clientFlags(flags)
			e := &events{query: url.Values{}}
			for _, f := range []struct{ flag, field, usage string }{
				{"app", "application", "`application` of the events"},
				{"rule", "rule", "`number` of a rule that matched"},
				{"client", "client", "`address` or prefix of the client"},
				{"host", "host", "`host` of the request"},
				{"verdict", "verdict", "`verdict`: detect, block or error"},
				{"reason", "reason", "`reason`, such as crs_score"},
				{"gateway", "gateway", "`name` of the gateway"},
				{"group", "group", "`group` of the gateway"},
			} {
				flags.Func(f.flag, f.usage+"; may be given more than once", func(s string) error { e.query.Add(f.field, s); return nil })
			}
			flags.Func("path", "`path` of the request; with * at its end, what begins so", func(s string) error { e.query.Set("path", s); return nil })
			timeFlag(flags, "since", "`time` from which on: RFC 3339, or a duration such as 24h before now", e.query)
			timeFlag(flags, "until", "`time` before which, likewise", e.query)
			flags.IntVar(&e.limit, "limit", 50, "how many at most; with -follow, how many from before")
			flags.BoolVar(&e.follow, "follow", false, "go on with events as they arrive, until interrupted")
			flags.StringVar(&e.top, "top", "", "rank the values of a `field` instead")
			flags.StringVar(&e.counts, "counts", "", "count by steps of this `duration` instead, such as 5m")
			flags.BoolVar(&e.export, "export", false, "write all that fits as JSON lines")
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				client, err := clientAlone(newClient, args)
				if err != nil {
					return err
				}
				e.output = *output
				return e.run(ctx, c, client)
			}
		},
	}
}

func (e *events) run(ctx context.Context, c *cli, client *apiClient) error {
	modes := 0
	for _, given := range []bool{e.follow, e.top != "", e.counts != "", e.export} {
		if given {
			modes++
		}
	}
	switch {
	case modes > 1:
		return usagef("-follow, -top, -counts and -export are different things; give one")
	case e.limit < 0 || e.limit > 100_000:
		return usagef("-limit %d is not 0 to 100000", e.limit)
	case e.follow && e.query.Has("until"):
		return usagef("-until is of no use with -follow")
	case e.top != "":
		return e.rank(ctx, c, client)
	case e.counts != "":
		return e.count(ctx, c, client)
	case e.export:
		return e.exportAll(ctx, c, client)
	case e.follow:
		return e.followOn(ctx, c, client)
	}
	return e.latest(ctx, c, client)
}

// latest prints the latest events, in the order of time.
func (e *events) latest(ctx context.Context, c *cli, client *apiClient) error {
	if e.limit == 0 {
		return nil
	}
	const page = 500
	query := url.Values{"limit": {strconv.Itoa(min(e.limit, page))}}
	for name, values := range e.query {
		query[name] = values
	}
	var list []json.RawMessage
	enough := errors.New("enough")
	err := eachOf(ctx, client, "/events", query, func(record json.RawMessage) error {
		list = append(list, record)
		if len(list) == e.limit {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		return err
	}
	slices.Reverse(list)
	return e.print(c, list)
}

// followOn prints events as they arrive, until ctx ends. While the manager is away it asks again.
func (e *events) followOn(ctx context.Context, c *cli, client *apiClient) error {
	var page struct {
		Items []json.RawMessage `json:"items"`
		Next  string            `json:"next"`
	}
	query := url.Values{}
	for name, values := range e.query {
		query[name] = values
	}
	ask := func() error {
		page.Items = nil
		_, err := client.call(ctx, http.MethodGet, "/events/follow?"+query.Encode(), nil, &page)
		query.Set("after", page.Next)
		return err
	}
	if err := ask(); err != nil { // where to go on
		return err
	}
	if err := e.latest(ctx, c, client); err != nil {
		return err
	}
	for ctx.Err() == nil {
		err := ask()
		var problem *apiProblem
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &problem) && problem.Status < http.StatusInternalServerError && problem.Status != http.StatusTooManyRequests:
			return err
		case err != nil:
			fmt.Fprintf(c.stderr, "note: %v; asking again\n", err)
			select {
			case <-ctx.Done():
			case <-time.After(client.wait):
			}
			continue
		}
		if err := e.print(c, page.Items); err != nil {
			return err
		}
	}
	return nil
}

// print prints records, as they are or as a readable line each.
func (e *events) print(c *cli, list []json.RawMessage) error {
	color := event.NoColor
	if f, ok := c.stdout.(*os.File); ok {
		color = event.ColorFor(f)
	}
	for _, record := range list {
		if e.output == "json" {
			if _, err := fmt.Fprintf(c.stdout, "%s\n", record); err != nil {
				return err
			}
			continue
		}
		if err := printEvent(c.stdout, record, color); err != nil {
			return err
		}
	}
	return nil
}

// printEvent prints the day, what dev prints of an event, and the gateway.
func printEvent(w io.Writer, record json.RawMessage, color event.Color) error {
	var from struct {
		Gateway string `json:"gateway"`
	}
	if err := json.Unmarshal(record, &from); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	for ev, err := range event.ReadEvents(bytes.NewReader(record), nil) {
		if err != nil {
			return err
		}
		var line bytes.Buffer
		if err := event.Readable(&line, ev, color); err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s %s  on %s\n", ev.Time.UTC().Format(time.DateOnly), strings.TrimRight(line.String(), "\n"), printable(from.Gateway, 64))
		return err
	}
	return nil
}

// rank prints values and how many events have them.
func (e *events) rank(ctx context.Context, c *cli, client *apiClient) error {
	e.query.Set("by", e.top)
	e.query.Set("limit", strconv.Itoa(max(1, min(e.limit, 1000))))
	var top struct {
		Items []struct {
			Value  string    `json:"value"`
			Events int64     `json:"events"`
			Last   time.Time `json:"last"`
		} `json:"items"`
	}
	if _, err := client.call(ctx, http.MethodGet, "/events/top?"+e.query.Encode(), nil, &top); err != nil {
		return err
	}
	for _, t := range top.Items {
		if e.output == "json" {
			if err := c.printLine(t); err != nil {
				return err
			}
			continue
		}
		if t.Value == "" {
			t.Value = "(none)"
		}
		fmt.Fprintf(c.stdout, "%9d  last %s  %s\n", t.Events, t.Last.UTC().Format("2006-01-02 15:04:05"), printable(t.Value, 200))
	}
	return nil
}

// count prints exact numbers.
func (e *events) count(ctx context.Context, c *cli, client *apiClient) error {
	e.query.Set("step", e.counts)
	e.query.Set("by", "verdict,reason")
	var counts struct {
		Items []struct {
			Time    time.Time `json:"time"`
			Verdict string    `json:"verdict"`
			Reason  string    `json:"reason"`
			Events  int64     `json:"events"`
			Sampled int64     `json:"sampled"`
		} `json:"items"`
	}
	if _, err := client.call(ctx, http.MethodGet, "/events/counts?"+e.query.Encode(), nil, &counts); err != nil {
		return err
	}
	for _, n := range counts.Items {
		if e.output == "json" {
			if err := c.printLine(n); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(c.stdout, "%s  %9d  %s %s\n", n.Time.UTC().Format("2006-01-02 15:04"), n.Events, printable(n.Verdict, 20), printable(n.Reason, 40))
	}
	return nil
}

func (e *events) exportAll(ctx context.Context, c *cli, client *apiClient) error {
	body, _, err := client.stream(ctx, http.MethodGet, "/events/export?"+e.query.Encode(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(c.stdout, body); err != nil {
		return fmt.Errorf("the events were cut off: %w", err)
	}
	return nil
}
