package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// anAction is an emergency action as it is asked for.
type anAction struct {
	Kind        string   `json:"kind"`
	Application string   `json:"application,omitempty"`
	Clients     []string `json:"clients,omitempty"`
	Path        string   `json:"path,omitempty"`
	Header      string   `json:"header,omitempty"`
	Value       string   `json:"value,omitempty"`
	Rate        float64  `json:"rate,omitempty"`
	Burst       int      `json:"burst,omitempty"`
	Mode        string   `json:"mode,omitempty"`
	Rule        int      `json:"rule,omitempty"`
	Reason      string   `json:"reason"`
	For         string   `json:"for"`
	Groups      []string `json:"groups,omitempty"`
	Force       bool     `json:"force,omitempty"`
}

// actionTaken is an action as the API gives it.
type actionTaken struct {
	ID          string    `json:"id"`
	Group       string    `json:"group"`
	Kind        string    `json:"kind"`
	Application string    `json:"application,omitempty"`
	Clients     []string  `json:"clients,omitempty"`
	Path        string    `json:"path,omitempty"`
	Header      string    `json:"header,omitempty"`
	Value       string    `json:"value,omitempty"`
	Rate        float64   `json:"rate,omitempty"`
	Mode        string    `json:"mode,omitempty"`
	Rule        int       `json:"rule,omitempty"`
	Reason      string    `json:"reason"`
	Author      string    `json:"author"`
	Expires     time.Time `json:"expires"`
	Status      string    `json:"status"`
	Why         string    `json:"why,omitempty"`
	Gateways    *struct {
		Connected int `json:"connected"`
		Have      int `json:"have"`
		Refused   []struct {
			Gateway string `json:"gateway"`
			Reason  string `json:"reason"`
		} `json:"refused,omitempty"`
	} `json:"gateways,omitempty"`
}

// what says in a few words what an action does.
func (a *actionTaken) what() string {
	var parts []string
	switch a.Kind {
	case "mode":
		parts = append(parts, "mode "+a.Mode)
	case "disable":
		parts = append(parts, fmt.Sprintf("rule %d left out", a.Rule))
	case "limit":
		parts = append(parts, fmt.Sprintf("limit %g/s", a.Rate))
	default:
		parts = append(parts, a.Kind)
	}
	if len(a.Clients) > 0 {
		const most = 3
		text := strings.Join(a.Clients[:min(most, len(a.Clients))], " ")
		if more := len(a.Clients) - most; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, text)
	}
	if a.Path != "" {
		parts = append(parts, "path "+a.Path)
	}
	if a.Header != "" {
		parts = append(parts, strings.TrimSuffix("header "+a.Header+": "+a.Value, ": "))
	}
	if a.Application != "" {
		parts = append(parts, "on "+a.Application)
	}
	return strings.Join(parts, " ")
}

// actionFlags declares the flags that all emergency actions have.
func actionFlags(flags *flag.FlagSet, a *anAction) (client func() (*apiClient, error), output *string) {
	life := flags.Duration("for", time.Hour, "`duration` after which it ends by itself, at most 168h")
	flags.StringVar(&a.Reason, "reason", "", "why, for people and in the events: `text`")
	listFlag(flags, "group", "gateway `group`; may be given more than once; all unless set", &a.Groups)
	connect := clientFlags(flags)
	return func() (*apiClient, error) {
		if a.Reason == "" {
			return nil, usagef("-reason TEXT is required: it stands in the events and in the audit log")
		}
		a.For = life.String()
		return connect()
	}, outputFlag(flags)
}

// scopeFlags declares the flags of actions on requests.
func scopeFlags(flags *flag.FlagSet, a *anAction) (header *string) {
	flags.StringVar(&a.Application, "app", "", "`application`; all unless set")
	flags.StringVar(&a.Path, "path", "", "`path`: * is one segment, ** the rest")
	flags.BoolVar(&a.Force, "force", false, "also if it would have hit more than a tenth of the last 15 minutes' requests")
	return flags.String("header", "", "`NAME=VALUE` of a header, exactly")
}

// scope completes an action on requests.
func (a *anAction) scope(args []string, header string) error {
	a.Clients = args
	if header != "" {
		var ok bool
		if a.Header, a.Value, ok = strings.Cut(header, "="); !ok || a.Header == "" {
			return usagef("-header %q is not NAME=VALUE", header)
		}
	}
	if len(a.Clients) == 0 && a.Path == "" && a.Header == "" {
		return usagef("name the clients (addresses or prefixes), -path or -header: an action on every request is refused")
	}
	return nil
}

const actionNote = `
It waits for no rollout: it is signed, tried on one gateway, and reaches all that are connected within seconds. The answer says which
share of the last 15 minutes' requests it would have hit; above 10 % it is refused without -force, on trusted proxies always. It ends by
itself; gatehouse actions undo ID ends it at once.
`

func blockCommand() command {
	return command{
		name: "block", synopsis: "[CIDR ...] [-path P] [-header NAME=VALUE] [-app A] [-for 1h] -reason T [-group G] [-force] -token-file FILE [-api URL] [-o text|json]",
		short: "refuse clients, a path or a header everywhere, now and for a while",
		long: actionNote + `
    gatehouse block 203.0.113.0/24 -app shop -for 2h -reason "credential stuffing" -token-file token`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			a := anAction{Kind: "block"}
			header := scopeFlags(flags, &a)
			client, output := actionFlags(flags, &a)
			return func(ctx context.Context, args []string) error {
				if err := a.scope(args, *header); err != nil {
					return err
				}
				return c.act(ctx, client, &a, *output)
			}
		},
	}
}

func limitCommand() command {
	return command{
		name: "limit", synopsis: "[CIDR ...] -rate N [-burst N] [-path P] [-header NAME=VALUE] [-app A] [-for 1h] -reason T [-group G] [-force] -token-file FILE [-api URL] [-o text|json]",
		short: "throttle clients, a path or a header everywhere, now and for a while",
		long: actionNote + `
Each client may send -rate requests a second of what it names; what is beyond that gets 429.

    gatehouse limit -path /login -rate 0.2 -burst 5 -app shop -reason "credential stuffing" -token-file token`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			a := anAction{Kind: "limit"}
			header := scopeFlags(flags, &a)
			flags.Float64Var(&a.Rate, "rate", 0, "requests a second and client: `number`")
			flags.IntVar(&a.Burst, "burst", 0, "how many may come at once: `number`")
			client, output := actionFlags(flags, &a)
			return func(ctx context.Context, args []string) error {
				if a.Rate == 0 {
					return usagef("-rate N is required: requests a second and client")
				}
				if err := a.scope(args, *header); err != nil {
					return err
				}
				return c.act(ctx, client, &a, *output)
			}
		},
	}
}

func modeCommand() command {
	return command{
		name: "mode", synopsis: "APP detect|block [-for 1h] -reason T [-group G] [-force] -token-file FILE [-api URL] [-o text|json]",
		short: "switch an application's mode everywhere, now and for a while",
		long: actionNote + `
    gatehouse mode shop detect -for 30m -reason "the new checkout is refused" -token-file token`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			a := anAction{Kind: "mode"}
			flags.BoolVar(&a.Force, "force", false, "also if it would have hit more than a tenth of the last 15 minutes' requests")
			client, output := actionFlags(flags, &a)
			return func(ctx context.Context, args []string) error {
				const want = 2
				if len(args) != want || args[1] != "detect" && args[1] != "block" {
					return usagef("the application and its mode are expected: gatehouse mode APP detect|block")
				}
				a.Application, a.Mode = args[0], args[1]
				return c.act(ctx, client, &a, *output)
			}
		},
	}
}

func ruleDisableCommand() command {
	return command{
		name: "rule", synopsis: "ID disable -app A [-for 1h] -reason T [-group G] -token-file FILE [-api URL] [-o text|json]",
		short: "leave a rule out for an application everywhere, now and for a while",
		long: actionNote + `
What shall stay belongs into an exclusion: gatehouse incident ID suggests one.

    gatehouse rule 942100 disable -app shop -for 8h -reason "refuses order notes" -token-file token`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			a := anAction{Kind: "disable"}
			flags.StringVar(&a.Application, "app", "", "`application`")
			client, output := actionFlags(flags, &a)
			return func(ctx context.Context, args []string) error {
				const want = 2
				if len(args) != want || args[1] != "disable" {
					return usagef("the rule and what to do are expected: gatehouse rule ID disable -app A")
				}
				var err error
				if a.Rule, err = strconv.Atoi(args[0]); err != nil || a.Rule <= 0 {
					return usagef("%q is not the ID of a rule", args[0])
				}
				if a.Application == "" {
					return usagef("-app A is required")
				}
				return c.act(ctx, client, &a, *output)
			}
		},
	}
}

// act puts an action in force, and says how far it has come.
func (c *cli) act(ctx context.Context, client func() (*apiClient, error), a *anAction, output string) error {
	api, err := client()
	if err != nil {
		return err
	}
	start := time.Now()
	var out struct {
		Items []actionTaken `json:"items"`
		Share struct {
			Requests int64   `json:"requests"`
			Hit      int64   `json:"hit"`
			Share    float64 `json:"share"`
			Gateways int     `json:"gateways"`
			Answered int     `json:"answered"`
		} `json:"share"`
	}
	if _, err := api.call(ctx, http.MethodPost, "/actions", a, &out); err != nil {
		return err
	}
	for i := range out.Items {
		if err := api.everywhere(ctx, &out.Items[i]); err != nil {
			return err
		}
	}
	if output == "json" {
		return c.printJSON(out)
	}
	s := out.Share
	switch {
	case s.Gateways == 0:
		fmt.Fprintln(c.stdout, "no gateway is connected: which share of the requests it hits is not known")
	case s.Answered < s.Gateways:
		fmt.Fprintf(c.stdout, "%d of %s answered in time: ", s.Answered, counted(s.Gateways, "gateway"))
		fallthrough
	default:
		fmt.Fprintf(c.stdout, "it would have hit %.2g %% of the last 15 minutes' requests (%d of %d)\n", 100*s.Share, s.Hit, s.Requests)
	}
	for _, x := range out.Items {
		fmt.Fprintf(c.stdout, "%s: %s, on %d of %s of group %s after %s; until %s\n", x.ID, x.what(), x.Gateways.Have, counted(x.Gateways.Connected, "gateway"), x.Group,
			time.Since(start).Round(10*time.Millisecond), x.Expires.Local().Format("15:04 on 2006-01-02"))
		for _, r := range x.Gateways.Refused {
			fmt.Fprintf(c.stdout, "  gateway %s refuses it: %s\n", r.Gateway, r.Reason)
		}
		fmt.Fprintf(c.stdout, "  undo it: gatehouse actions undo %s\n", x.ID)
	}
	return nil
}

// everywhereIn is how long the command waits for all gateways.
const everywhereIn = 10 * time.Second

// everywhere waits until all gateways that are connected have an action, and reads how it is with it.
func (a *apiClient) everywhere(ctx context.Context, x *actionTaken) error {
	for end := time.Now().Add(everywhereIn); ; {
		if _, err := a.call(ctx, http.MethodGet, "/actions/"+url.PathEscape(x.ID), nil, x); err != nil {
			return err
		}
		if x.Gateways == nil {
			return errors.New("the manager does not say which gateways have the action")
		}
		if x.Gateways.Have+len(x.Gateways.Refused) >= x.Gateways.Connected || time.Now().After(end) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func actionsCommand() command {
	return command{
		name: "actions", synopsis: "[-all] [-group G] [-app A] -token-file FILE [-api URL] [-o text|json]",
		short: "list the emergency actions that are in force",
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			all := flags.Bool("all", false, "also those that have ended")
			group := flags.String("group", "", "only those of this `group`")
			app := flags.String("app", "", "only those of this `application`")
			client := clientFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				a, err := ready(args, client)
				if err != nil {
					return err
				}
				list := []actionTaken{}
				query := url.Values{"all": {strconv.FormatBool(*all)}, "group": {*group}, "application": {*app}}
				if err := eachOf(ctx, a, "/actions", query, func(x actionTaken) error { list = append(list, x); return nil }); err != nil {
					return err
				}
				if *output == "json" {
					return c.printJSON(list)
				}
				printActions(c.stdout, list)
				return nil
			}
		},
	}
}

func printActions(w io.Writer, list []actionTaken) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no action is in force")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) //nolint:mnd // columns two apart
	fmt.Fprintln(t, "ID\tGROUP\tSTATUS\tUNTIL\tBY\tWHAT\tWHY")
	for _, x := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, x.Group, strings.ReplaceAll(x.Status, "_", " "), x.Expires.Local().Format("2006-01-02 15:04"), x.Author, x.what(), x.Reason)
	}
	_ = t.Flush() // it writes to what main writes to
}

func actionsUndoCommand() command {
	return command{
		name: "actions undo", synopsis: "ID ... -token-file FILE [-api URL] [-o text|json]",
		short: "end emergency actions now",
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			client := clientFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				if len(args) == 0 {
					return usagef("the ID of an action is expected; gatehouse actions lists those that are in force")
				}
				a, err := client()
				if err != nil {
					return err
				}
				list := []actionTaken{}
				for _, id := range args {
					var x actionTaken
					if _, err := a.call(ctx, http.MethodDelete, "/actions/"+url.PathEscape(id), nil, &x); err != nil {
						return err
					}
					if err := a.everywhere(ctx, &x); err != nil {
						return err
					}
					if *output != "json" {
						fmt.Fprintf(c.stdout, "%s: %s: %s, %d of %s know\n", x.ID, x.what(), x.Status, x.Gateways.Have, counted(x.Gateways.Connected, "gateway"))
					}
					list = append(list, x)
				}
				if *output == "json" {
					return c.printJSON(list)
				}
				return nil
			}
		},
	}
}
