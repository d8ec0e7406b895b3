package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/tuning"
	"gatehouse/proxy/event"
)

func reportCommand() command {
	return command{
		name: "report", synopsis: "[-events FILE] [-access FILE] [-since 48h] [-app NAME] [-o text|json]",
		short: `answer "can I switch to block?" for each application`,
		long: `
  gatehouse report -events events.jsonl -since 48h

Where rules matched, by path and target, with the number of distinct clients: what many clients ran into over some time is
probably a false positive, and gatehouse incident prints the exclusion for it; what one client ran into all over the place
is probably an attack. The conclusion is "ready", or what to settle before mode block.

Events are read from the file that logs.events names and from its rotated siblings (FILE.1 and so on). Shares need the
access records too: in the same file, or in the one that -access names.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			events := eventsFlag(flags)
			access := flags.String("access", "", "`file` of access records, if they are not among the events")
			since := flags.String("since", "", "only what is newer: a `time` ago (48h, 7d) or a moment (2026-07-01, 2026-07-01T08:00:00Z)")
			app := flags.String("app", "", "only the application of this `name`")
			clients := flags.Int("clients", 5, "`number` of distinct clients that make a false positive probable")
			output := outputFlag(flags)
			return func(_ context.Context, args []string) error {
				if *events == "" && len(args) == 1 {
					*events, args = args[0], nil
				}
				if len(args) > 0 {
					return usagef("no arguments are expected; -events FILE names the events")
				}
				from, err := parseSince(*since, time.Now())
				if err != nil {
					return err
				}
				files, err := eventFiles(*events)
				if err != nil {
					return err
				}
				b := tuning.NewBuilder(tuning.Options{Since: from, Application: *app, Clients: *clients})
				if err := c.readRecords(b, files, *access); err != nil {
					return err
				}
				r := b.Report()
				if *output == "json" {
					return c.printJSON(r)
				}
				return c.printReport(r, files, *app, *since != "")
			}
		},
	}
}

// parseSince reads a time ago or a moment. The zero time is the beginning.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 {
			return now.Add(-time.Duration(n * 24 * float64(time.Hour))), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("-since %q is neither a time ago, such as 48h or 7d, nor a moment, such as 2026-07-01", s)
}

// readRecords reads events and access records into b. With an access file, those among the events do not count: the
// same request would count twice.
func (c *cli) readRecords(b *tuning.Builder, files []string, access string) error {
	for _, f := range slices.Backward(files) {
		w := &tuning.AccessWriter{Take: b.Access}
		var tee io.Writer = w
		if access != "" {
			tee = nil
		}
		err := c.readEvents(f, tee, func(e *event.Event) bool { b.Event(e); return true })
		if err != nil {
			return err
		}
		w.Flush()
	}
	if access == "" {
		return nil
	}
	accessFiles, err := eventFiles(access)
	if err != nil {
		return err
	}
	for _, f := range slices.Backward(accessFiles) {
		w := &tuning.AccessWriter{Take: b.Access}
		if err := c.readEvents(f, w, func(*event.Event) bool { return true }); err != nil {
			return err
		}
		w.Flush()
	}
	return nil
}

// printReport writes the report for people.
func (c *cli) printReport(r *tuning.Report, files []string, app string, since bool) error {
	w := c.stdout
	if r.Events+r.AccessRecords == 0 {
		what := "no record"
		if app != "" {
			what += " of the application " + app
		}
		what += " in " + strings.Join(files, ", ")
		if since {
			what += " in that time"
		}
		return errors.New(what)
	}
	fmt.Fprintf(w, "%s UTC: %s", span(r.From, r.To), count(r.Events, "event"))
	if r.AccessRecords > 0 {
		fmt.Fprintf(w, ", %s", count(r.AccessRecords, "access record"))
	}
	fmt.Fprintln(w)
	for i := range r.Applications {
		printApplication(w, &r.Applications[i])
	}
	printUnknown(w, r.Unknown)
	return nil
}

// span writes a time from and to.
func span(from, to time.Time) string {
	switch {
	case minute(from) == minute(to):
		return minute(from)
	case from.UTC().Format(time.DateOnly) == to.UTC().Format(time.DateOnly):
		return minute(from) + " to " + to.UTC().Format("15:04")
	}
	return minute(from) + " to " + minute(to)
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// What is printed of one application; -o json has everything.
const (
	maxPlaces  = 20
	maxAttacks = 5
)

func printApplication(w io.Writer, a *tuning.Application) {
	fmt.Fprintf(w, "\n%s", printable(a.Name, 64))
	if a.Mode != "" {
		fmt.Fprintf(w, " (mode %s)", a.Mode)
	}
	fmt.Fprintf(w, ": %s\n", conclusion(a))
	if a.Requests != nil {
		fmt.Fprintf(w, "  %-18s %d\n", "requests", *a.Requests)
	}
	amount := func(name string, n int, share *float64) {
		if n > 0 || name == "would be blocked" && a.Mode != "block" {
			fmt.Fprintf(w, "  %-18s %d%s\n", name, n, percent(share))
		}
	}
	amount("would be blocked", a.WouldBlock, a.WouldBlockShare)
	amount("blocked", a.Blocked, a.BlockedShare)
	amount("errors", a.Errors, nil)
	if u := a.Uninspected; u != nil {
		var causes []string
		for _, c := range u.Causes {
			causes = append(causes, fmt.Sprintf("%s %d", printable(c.Cause, 40), c.Requests))
		}
		line := fmt.Sprintf("%d%s", u.Requests, percent(&u.Share))
		if len(causes) > 0 {
			line += "; by cause: " + strings.Join(causes, ", ")
		}
		fmt.Fprintf(w, "  %-18s %s\n", "not inspected", line)
	}
	var always []string
	for _, x := range a.Always {
		always = append(always, fmt.Sprintf("%s %d", x.Reason, x.Requests))
	}
	if len(always) > 0 {
		fmt.Fprintf(w, "  %-18s %s\n", "in every mode", strings.Join(always, ", "))
	}
	printPlaces(w, a.Places)
	if len(a.Notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range a.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
}

// printPlaces prints what is to settle in full, and the attacks in a line each.
func printPlaces(w io.Writer, places []tuning.Place) {
	var attacks []tuning.Place
	shown, hidden := 0, 0
	for i := range places {
		switch {
		case places[i].Judgement == tuning.Attack:
			attacks = append(attacks, places[i])
		case shown < maxPlaces:
			shown++
			printPlace(w, &places[i])
		default:
			hidden++
		}
	}
	if hidden > 0 {
		fmt.Fprintf(w, "\n  and %s (-o json has them all)\n", count(hidden, "more place"))
	}
	if len(attacks) == 0 {
		return
	}
	fmt.Fprintf(w, "\n  probably attacks, by clients that were refused in many ways:\n")
	for i := range attacks {
		if i == maxAttacks {
			fmt.Fprintf(w, "    and %s (-o json has them all)\n", count(len(attacks)-maxAttacks, "more place"))
			break
		}
		p := &attacks[i]
		fmt.Fprintf(w, "    %s: %s, %s, such as %s\n", printable(p.String(), 120), count(p.Clients, "client"), count(p.Requests, "request"), p.Incident)
	}
}

func conclusion(a *tuning.Application) string {
	switch {
	case a.Conclusion == tuning.Settle:
		return count(len(a.Settle), "thing") + " to settle"
	case a.Mode == "block":
		return "ready; it is in block already"
	}
	return "ready"
}

// percent writes a share, nothing if it is not known.
func percent(share *float64) string {
	if share == nil {
		return ""
	}
	p := *share * 100
	switch {
	case p == 0 || p == 100:
		return fmt.Sprintf(" (%.0f %%)", p)
	case p < 0.01:
		return " (< 0.01 %)"
	}
	return fmt.Sprintf(" (%.2f %%)", p)
}

func printPlace(w io.Writer, p *tuning.Place) {
	fmt.Fprintf(w, "\n  %s\n", printable(p.String(), 200))
	fmt.Fprintf(w, "    %s, %s, %s\n", count(p.Clients, "client"), count(p.Requests, "request"), span(p.First, p.Last))
	for i, r := range p.Rules {
		if i == 6 {
			fmt.Fprintf(w, "    and %s\n", count(len(p.Rules)-6, "more rule"))
			break
		}
		fmt.Fprintf(w, "    %d %s", r.ID, printable(r.Message, 100))
		if r.Requests != p.Requests {
			fmt.Fprintf(w, " (%s)", count(r.Requests, "request"))
		}
		fmt.Fprintln(w)
	}
	what := "look at it"
	if p.Judgement == tuning.FalsePositive {
		what = "probably a false positive"
	}
	fmt.Fprintf(w, "    %s: %s\n", what, printable(p.Hint(), 400))
}

func printUnknown(w io.Writer, hosts []tuning.UnknownHost) {
	if len(hosts) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s that no application has (421):\n", count(len(hosts), "host"))
	for i, h := range hosts {
		if i == 10 {
			fmt.Fprintf(w, "  and %d more\n", len(hosts)-10)
			break
		}
		fmt.Fprintf(w, "  %-40s %s, %s\n", printable(h.Host, 80), count(h.Requests, "request"), count(h.Clients, "client"))
	}
}
