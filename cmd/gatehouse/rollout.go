package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// aRollout is a rollout as the API gives it.
type aRollout struct {
	ID        string     `json:"id"`
	Group     string     `json:"group"`
	Revision  string     `json:"revision"`
	Base      string     `json:"base,omitempty"`
	Author    string     `json:"author"`
	Stages    []string   `json:"stages"`
	Soak      string     `json:"soak"`
	Began     time.Time  `json:"began"`
	Ended     *time.Time `json:"ended,omitempty"`
	State     string     `json:"state"`
	Stage     int        `json:"stage"`
	Reason    string     `json:"reason,omitempty"`
	Back      string     `json:"back,omitempty"`
	Judgement struct {
		Outcome      string `json:"outcome"`
		Cause        string `json:"cause,omitempty"`
		Reason       string `json:"reason,omitempty"`
		Gateway      string `json:"gateway,omitempty"`
		Application  string `json:"application,omitempty"`
		Gateways     int    `json:"gateways"`
		Acknowledged int    `json:"acknowledged"`
		Requests     int64  `json:"requests"`
		Compared     int64  `json:"compared"`
		OwnPast      bool   `json:"own_past,omitempty"`
	} `json:"judgement"`
}

// line says how it is with a rollout.
func (r *aRollout) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Revision, r.State)
	if r.Ended == nil && r.Stage >= 0 && r.Stage < len(r.Stages) {
		j := &r.Judgement
		fmt.Fprintf(&b, ", stage %d of %d (%s): %d of %s serve it, %s", r.Stage+1, len(r.Stages), r.Stages[r.Stage], j.Acknowledged, counted(j.Gateways, "gateway"),
			counted(int(j.Requests), "request"))
	}
	if reason := r.why(); reason != "" {
		b.WriteString("; " + reason)
	}
	if r.Back != "" {
		fmt.Fprintf(&b, "; %s brings back what was there before", r.Back)
	}
	return b.String()
}

// why is the reason for the state, or else what the judge says.
func (r *aRollout) why() string {
	if r.Reason != "" || r.Ended != nil {
		return r.Reason
	}
	return r.Judgement.Reason
}

// step tells one moment of a rollout from the next for whoever follows it.
func (r *aRollout) step() string {
	return fmt.Sprint(r.State, r.Stage, r.Judgement.Cause, r.Judgement.Acknowledged, r.Judgement.Gateways)
}

// findRollout finds a rollout by its ID, or the latest of a group or revision.
func findRollout(ctx context.Context, a *apiClient, name string) (*aRollout, error) {
	if strings.HasPrefix(name, "rol_") {
		r := &aRollout{}
		_, err := a.call(ctx, http.MethodGet, "/rollouts/"+url.PathEscape(name), nil, r)
		return r, err
	}
	group, _, ofRevision := strings.Cut(name, "/")
	var page struct {
		Items []aRollout `json:"items"`
	}
	if _, err := a.call(ctx, http.MethodGet, "/rollouts?limit=100&group="+url.QueryEscape(group), nil, &page); err != nil {
		return nil, err
	}
	for i := range page.Items {
		if !ofRevision || page.Items[i].Revision == name {
			return findRollout(ctx, a, page.Items[i].ID)
		}
	}
	return nil, fmt.Errorf("there is no rollout of %s", name)
}

// waitFlags declares -wait and -timeout.
type waitFlags struct {
	wait    *bool
	timeout *time.Duration
}

func newWaitFlags(flags *flag.FlagSet) waitFlags {
	const longest = 2 * time.Hour
	return waitFlags{
		flags.Bool("wait", false, "follow the rollouts to their end; exit 1 if one does not reach all gateways"),
		flags.Duration("timeout", longest, "give up following after this `time`; the rollout goes on"),
	}
}

// follow follows the rollouts of revisions, if that was asked for, and else says where they can be seen.
func (f waitFlags) follow(ctx context.Context, w io.Writer, a *apiClient, list []publishedRevision) error {
	if !*f.wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, *f.timeout)
	defer cancel()
	var errs []error
	for _, r := range list {
		errs = append(errs, followRollout(ctx, w, a, r.Name))
	}
	return errors.Join(errs...)
}

// followRollout writes a line whenever something has changed, until the rollout is over.
func followRollout(ctx context.Context, w io.Writer, a *apiClient, revision string) error {
	const every = time.Second
	said := ""
	r, err := findRollout(ctx, a, revision)
	for ; err == nil; r, err = findRollout(ctx, a, r.ID) {
		if step := r.step(); step != said {
			said = step
			fmt.Fprintln(w, r.line())
		}
		switch {
		case r.State == "done":
			return nil
		case r.Ended != nil:
			return fmt.Errorf("the rollout of %s was %s: %s", r.Revision, r.State, r.Reason)
		}
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
		if ctx.Err() != nil {
			break
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the rollout of %s is not over yet; it goes on: gatehouse rollout status %s", revision, revision)
	}
	return err
}

func rolloutListCommand() command {
	return command{
		name: "rollout list", synopsis: "[-group G] [-open] -token-file FILE [-api URL] [-o text|json]",
		short: "list rollouts, the latest first",
		long:  "\nOne rollout a line: when it began, its ID, who published the revision, and how it is.",
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			group := flags.String("group", "", "only those of this `group`")
			open := flags.Bool("open", false, "only those that go on")
			client := clientFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				a, err := ready(args, client)
				if err != nil {
					return err
				}
				query := url.Values{"open": {fmt.Sprint(*open)}}
				if *group != "" {
					query.Set("group", *group)
				}
				return eachOf(ctx, a, "/rollouts", query, func(r aRollout) error {
					if *output == "json" {
						return c.printLine(r)
					}
					_, err := fmt.Fprintf(c.stdout, "%s  %s  %s  %s\n", r.Began.UTC().Format(time.RFC3339), r.ID, r.Author, r.line())
					return err
				})
			}
		},
	}
}

func rolloutStatusCommand() command {
	return command{
		name: "rollout status", synopsis: "[-wait] [-timeout D] -token-file FILE [-api URL] [-o text|json] GROUP|REVISION|ID",
		short: "show how a revision reaches its gateways",
		long: `
The latest rollout of a group, or that of a revision, with what the judge says of its stage now. -wait follows it to its end.

    gatehouse rollout status -token-file token edge`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			wait := newWaitFlags(flags)
			client := clientFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				a, err := aboutOne(args, client)
				if err != nil {
					return err
				}
				if *wait.wait && *output == "text" {
					return wait.follow(ctx, c.stdout, a, []publishedRevision{{Name: args[0]}})
				}
				r, err := findRollout(ctx, a, args[0])
				if err != nil {
					return err
				}
				if *wait.wait {
					err = wait.follow(ctx, io.Discard, a, []publishedRevision{{Name: r.ID}})
					if last, e := findRollout(ctx, a, r.ID); e == nil {
						r = last
					}
				}
				return errors.Join(c.printRollout(r, *output), err)
			}
		},
	}
}

// aboutOne gives the client of a command about one rollout.
func aboutOne(args []string, client func() (*apiClient, error)) (*apiClient, error) {
	if len(args) != 1 {
		return nil, usagef("name one group, revision (edge/42) or rollout (rol_...)")
	}
	return client()
}

func (c *cli) printRollout(r *aRollout, output string) error {
	if output == "json" {
		return c.printJSON(r)
	}
	_, err := fmt.Fprintln(c.stdout, r.line())
	return err
}

// rolloutOrder is a command that tells a rollout what to do.
func rolloutOrder(name, short, long string) command {
	return command{
		name: "rollout " + name, synopsis: "-token-file FILE [-api URL] [-o text|json] GROUP|REVISION|ID", short: short, long: "\n" + long,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			client := clientFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				a, err := aboutOne(args, client)
				if err != nil {
					return err
				}
				r, err := findRollout(ctx, a, args[0])
				if err == nil {
					_, err = a.call(ctx, http.MethodPost, "/rollouts/"+url.PathEscape(r.ID)+"/"+name, nil, r)
				}
				if err != nil {
					return err
				}
				return c.printRollout(r, *output)
			}
		},
	}
}

func rolloutPauseCommand() command {
	return rolloutOrder("pause", "keep a rollout's next stage from beginning", "What fails is halted and taken back all the same.")
}

func rolloutResumeCommand() command {
	return rolloutOrder("resume", "let a paused rollout go on", "Its stage goes on where it was; the time that it was paused counts.")
}

func rolloutAdvanceCommand() command {
	return rolloutOrder("advance", "end a rollout's stage without waiting for its time or for requests",
		"The next stage begins, or the last one ends, once the gateways of the stage serve the revision. It is what to\nsay when a stage waits because there are too few requests to judge it.")
}

func rolloutAbortCommand() command {
	return rolloutOrder("abort", "take a rollout's revision back", "What all gateways had before is published as a new revision, to all of them at once.")
}

func rolloutRollbackCommand() command {
	return command{
		name: "rollout rollback", synopsis: "[-note T] [-wait] [-timeout D] -token-file FILE [-api URL] [-o text|json] REVISION",
		short: "publish the content of an older revision again",
		long: `
Makes a new revision with all that an older one had. The changes that go with it are listed; they are pending again.

    gatehouse rollout rollback -note "checkout fails" -token-file token edge/41`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			note := flags.String("note", "", "why, for people: `text`")
			wait := newWaitFlags(flags)
			client := clientFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				if len(args) != 1 || !strings.Contains(args[0], "/") {
					return usagef("name one revision, such as edge/41")
				}
				a, err := client()
				if err != nil {
					return err
				}
				var out struct {
					Revisions []publishedRevision `json:"revisions"`
					Taken     []struct {
						ID     string `json:"id"`
						Author string `json:"author"`
						Object string `json:"object"`
					} `json:"taken,omitempty"`
				}
				if _, err := a.call(ctx, http.MethodPost, "/rollback", map[string]string{"revision": args[0], "note": *note}, &out); err != nil {
					return err
				}
				if *output == "json" {
					return errors.Join(c.printJSON(out), wait.follow(ctx, io.Discard, a, out.Revisions))
				}
				for _, r := range out.Revisions {
					fmt.Fprintf(c.stdout, "revision %s published with the content of %s\n", r.Name, args[0])
				}
				for _, x := range out.Taken {
					fmt.Fprintf(c.stdout, "pending again: %s of %s by %s\n", x.ID, x.Object, x.Author)
				}
				return wait.follow(ctx, c.stdout, a, out.Revisions)
			}
		},
	}
}

// fleetStatus is the fleet at a glance as the API gives it.
type fleetStatus struct {
	Groups []struct {
		Group          string         `json:"group"`
		Revision       string         `json:"revision,omitempty"`
		All            string         `json:"all,omitempty"`
		Gateways       map[string]int `json:"gateways"`
		Serving        map[string]int `json:"serving"`
		Rollout        *aRollout      `json:"rollout,omitempty"`
		NotRestartable int            `json:"not_restartable"`
	} `json:"groups"`
}

func statusCommand() command {
	return command{
		name: "status", synopsis: "-token-file FILE [-api URL] [-o text|json]",
		short: "show a manager's fleet at a glance",
		long:  "\nFor each group: its gateways by how they are, the revisions that they serve, and the latest rollout.",
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			client := clientFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				a, err := ready(args, client)
				if err != nil {
					return err
				}
				var s fleetStatus
				if _, err := a.call(ctx, http.MethodGet, "/status", nil, &s); err != nil {
					return err
				}
				if *output == "json" {
					return c.printJSON(s)
				}
				s.print(c.stdout)
				return nil
			}
		},
	}
}

func (s *fleetStatus) print(w io.Writer) {
	if len(s.Groups) == 0 {
		fmt.Fprintln(w, "nothing was published, and no gateway has joined")
	}
	for _, g := range s.Groups {
		n := 0
		for _, k := range g.Gateways {
			n += k
		}
		fmt.Fprintf(w, "%s: %s%s\n", g.Group, counted(n, "gateway"), tally(g.Gateways, ": ", ""))
		if len(g.Serving) > 0 {
			fmt.Fprintf(w, "  serve%s\n", tally(g.Serving, " ", " on"))
		}
		if g.NotRestartable > 0 {
			fmt.Fprintf(w, "  %s could not start again with the manager away\n", counted(g.NotRestartable, "gateway"))
		}
		if g.All != "" {
			fmt.Fprintf(w, "  for all: %s; published last: %s\n", g.All, g.Revision)
		}
		if g.Rollout != nil {
			fmt.Fprintf(w, "  rollout: %s\n", g.Rollout.line())
		}
	}
}

// tally writes counts by name.
func tally(by map[string]int, before, between string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if between == "" {
			parts = append(parts, fmt.Sprintf("%d %s", by[name], name))
		} else {
			parts = append(parts, fmt.Sprintf("%s%s %d", name, between, by[name]))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return before + strings.Join(parts, ", ")
}
