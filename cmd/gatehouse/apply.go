package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	objects "gatehouse/mgmt/object"
	"gatehouse/proxy/config"
	"gatehouse/rules/crs"
)

// importer is what plan and apply send.
type importer struct {
	Configuration string           `json:"configuration"`
	Certificates  []certificatePEM `json:"certificates,omitempty"`
	Owner         string           `json:"owner"`
	Prune         bool             `json:"prune,omitempty"`
	Takeover      bool             `json:"takeover,omitempty"`
	Note          string           `json:"note,omitempty"`
	Source        string           `json:"source,omitempty"`
}

type certificatePEM struct {
	Name  string `json:"name"`
	Chain string `json:"chain"`
	Key   string `json:"key"`
}

// imported is what plan and apply get.
type imported struct {
	Changes     []string             `json:"changes"`
	Differences []objects.Difference `json:"differences"`
}

// importFlags declares what plan and apply share.
func importFlags(flags *flag.FlagSet, i *importer) *string {
	path := flags.String("f", "", "`path` of the configuration: a file, or a directory of *.yaml, as for a standalone gateway")
	flags.StringVar(&i.Owner, "owner", "", "who manages these objects: git:`NAME`")
	flags.BoolVar(&i.Prune, "prune", false, "remove objects of the same owner that are not in it")
	flags.BoolVar(&i.Takeover, "takeover", false, "change objects that somebody else manages, and manage them from now on")
	return path
}

// read reads the files, and what they name, so that the manager needs nothing else.
func (i *importer) read(c *cli, path string) error {
	if path == "" || i.Owner == "" {
		return usagef("-f PATH and -owner NAME are required")
	}
	if !strings.Contains(i.Owner, ":") && i.Owner != "ui" {
		i.Owner = "git:" + i.Owner
	}
	loaded, err := c.reported(config.Options{CRSVersions: crs.Versions()}.Load(path))
	if err != nil {
		return err
	}
	files := []string{path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		files = loaded.Files[:0:0]
		for _, file := range loaded.Files {
			if ext := filepath.Ext(file); filepath.Dir(file) == loaded.Dirs[0] && (ext == ".yaml" || ext == ".yml") {
				files = append(files, file)
			}
		}
	}
	set := objects.Set{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		one, err := objects.Split(text)
		if err == nil {
			err = set.Join(one)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := i.embed(set, loaded); err != nil {
		return err
	}
	text, err := objects.Export(set)
	i.Configuration = string(text)
	return err
}

// embed puts what files hold in the place of their names, and takes certificates out.
func (i *importer) embed(set objects.Set, loaded *config.Loaded) error {
	for _, cert := range loaded.Config.Certificates {
		chain, key := cert.CertFile, cert.KeyFile
		if file, ok := strings.CutPrefix(cert.Secret, "file:"); ok {
			chain, key = file, file
		}
		chainText, _ := loaded.Content(chain)
		keyText, _ := loaded.Content(key)
		i.Certificates = append(i.Certificates, certificatePEM{cert.Name, string(chainText), string(keyText)})
		delete(set, objects.Key{Kind: objects.Certificates, Name: cert.Name})
	}
	for _, p := range loaded.Config.Policies {
		if body := set[objects.Key{Kind: objects.Policies, Name: p.Name}]; p.SecLangFile != "" && body != nil {
			delete(body, "seclang_file")
			body["seclang"] = p.SecLang
		}
	}
	for _, l := range loaded.Config.Lists {
		if body := set[objects.Key{Kind: objects.Lists, Name: l.Name}]; l.File != "" && body != nil {
			delete(body, "file")
			addresses := []any{}
			for _, e := range l.Addresses {
				addresses = append(addresses, e.Address.String())
			}
			body["addresses"] = addresses
		}
	}
	for _, a := range loaded.Config.Applications {
		if a.Replies.HTMLFile != "" {
			return fmt.Errorf("application %s: replies.html_file cannot be given to a manager; leave it out", a.Name)
		}
	}
	for _, u := range loaded.Config.Upstreams {
		if u.TLS.CAFile != "" {
			return fmt.Errorf("upstream %s: tls.ca_file cannot be given to a manager; leave it out", u.Name)
		}
	}
	return nil
}

// errDifferences ends plan with exit 2.
var errDifferences = errors.New("there are differences")

func planCommand() command {
	return command{
		name: "plan", synopsis: "-f PATH -owner NAME [-prune] [-takeover] -token-file FILE [-api URL] [-o text|json|markdown]",
		short: "show what apply would change",
		long: `
Reads the configuration of a standalone gateway, asks the manager what applying it would change, and changes nothing. Exit 2 says
that there are differences, exit 0 that there are none.

    gatehouse plan -f gatehouse/ -owner git:shop -prune -token-file token -o markdown`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			i := &importer{}
			path := importFlags(flags, i)
			client := clientFlags(flags)
			output := wordFlag(flags, "o", "output `format`: text, json or markdown (default text)", "text", "json", "markdown")
			return func(ctx context.Context, args []string) error {
				a, err := ready(args, client)
				if err != nil {
					return err
				}
				if err := i.read(c, *path); err != nil {
					return err
				}
				var out imported
				if _, err := a.call(ctx, http.MethodPost, "/plan", i, &out); err != nil {
					return err
				}
				if *output == "json" {
					err = c.printJSON(out)
				} else {
					printDifferences(c.stdout, out.Differences, *output == "markdown")
				}
				if err == nil && len(out.Differences) > 0 {
					err = errDifferences
				}
				return err
			}
		},
	}
}

// ready gives the client of a command that takes no arguments.
func ready(args []string, client func() (*apiClient, error)) (*apiClient, error) {
	if len(args) > 0 {
		return nil, usagef("no arguments are expected")
	}
	return client()
}

// wordFlag declares a flag that has one of a few values, the first unless it is set.
func wordFlag(flags *flag.FlagSet, name, usage string, choices ...string) *string {
	value := choices[0]
	flags.Func(name, usage, func(s string) error {
		if !slices.Contains(choices, s) {
			return fmt.Errorf("%q is not one of %s", s, strings.Join(choices, ", "))
		}
		value = s
		return nil
	})
	return &value
}

// printDifferences writes a line each.
func printDifferences(w io.Writer, list []objects.Difference, markdown bool) {
	if markdown {
		fmt.Fprintf(w, "### Gatehouse plan: %s\n\n", counted(len(list), "difference"))
	}
	for _, d := range list {
		if markdown {
			fmt.Fprintf(w, "- `%s` %s\n", mark(d), markdownText.Replace(d.Text))
			continue
		}
		fmt.Fprintf(w, "%s %s\n", mark(d), d.Text)
	}
	if !markdown {
		fmt.Fprintln(w, counted(len(list), "difference"))
	}
}

// mark is + or - for objects and their parts, such as routes, and ~ for keys and what only changed.
func mark(d objects.Difference) string {
	switch _, part := cmp.Or(d.To, d.From).(map[string]any); {
	case d.Path != "" && !part:
		return "~"
	case d.Action == objects.Added:
		return "+"
	case d.Action == objects.Removed:
		return "-"
	}
	return "~"
}

// markdownText keeps names and values from being read as markup.
var markdownText = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", ">", "&gt;", "[", `\[`, "]", `\]`, "\n", " ", "|", `\|`, "#", `\#`, "@", "&#64;")

func counted(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func applyCommand() command {
	return command{
		name: "apply", synopsis: "-f PATH -owner NAME [-prune] [-publish -group G [-wait]] [-note T] [-source TEXT] [-takeover] -token-file FILE [-api URL] [-o text|json]",
		short: "save a configuration's objects on the manager",
		long: `
Reads the configuration of a standalone gateway and saves its objects, all or none. Objects of other owners are left alone, also
by -prune. -publish makes what it changed the next revision of the groups; other people's changes stay pending. -wait follows the
rollouts, and fails if one of them does not reach all gateways.

    gatehouse apply -f gatehouse/ -owner git:shop -prune -publish -group edge -source "$COMMIT" -token-file token`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			i := &importer{}
			path := importFlags(flags, i)
			flags.StringVar(&i.Note, "note", "", "why, for people: `text`")
			flags.StringVar(&i.Source, "source", "", "where it comes from, such as a commit and a pull request: `text`")
			publish := flags.Bool("publish", false, "publish what changed to -group")
			groups := flags.String("group", "", "`groups` to publish to, with commas")
			wait := newWaitFlags(flags)
			client := clientFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				if *wait.wait && !*publish {
					return usagef("-wait belongs to -publish")
				}
				if *publish != (*groups != "") {
					return usagef("-publish and -group belong together")
				}
				a, err := ready(args, client)
				if err != nil {
					return err
				}
				if err := i.read(c, *path); err != nil {
					return err
				}
				var out struct {
					imported
					Revisions []publishedRevision `json:"revisions,omitempty"`
				}
				if _, err := a.call(ctx, http.MethodPost, "/import", i, &out.imported); err != nil {
					return err
				}
				if *publish && len(out.Changes) > 0 {
					p := publisher{Groups: splitCommas(*groups), Changes: out.Changes, Note: i.Note, Source: i.Source}
					if out.Revisions, err = p.publish(ctx, a); err != nil {
						return fmt.Errorf("the changes are saved, and not published: %w", err)
					}
				}
				if *output == "json" {
					return errors.Join(c.printJSON(out), wait.follow(ctx, io.Discard, a, out.Revisions))
				}
				printDifferences(c.stdout, out.Differences, false)
				printRevisions(c.stdout, out.Revisions)
				return wait.follow(ctx, c.stdout, a, out.Revisions)
			}
		},
	}
}

// splitCommas gives those between commas.
func splitCommas(list string) []string {
	var out []string
	for word := range strings.SplitSeq(list, ",") {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
	}
	return out
}

// publisher is what publish sends.
type publisher struct {
	Groups  []string `json:"groups"`
	Changes []string `json:"changes,omitempty"`
	Note    string   `json:"note,omitempty"`
	Source  string   `json:"source,omitempty"`
}

type publishedRevision struct {
	Name    string   `json:"name"`
	Hash    string   `json:"hash"`
	Changes []string `json:"changes"`
}

func (p publisher) publish(ctx context.Context, a *apiClient) ([]publishedRevision, error) {
	var out struct {
		Revisions []publishedRevision `json:"revisions"`
	}
	_, err := a.call(ctx, http.MethodPost, "/publish", p, &out)
	return out.Revisions, err
}

func printRevisions(w io.Writer, list []publishedRevision) {
	for _, r := range list {
		fmt.Fprintf(w, "revision %s published with %s\n", r.Name, counted(len(r.Changes), "change"))
	}
}

func publishCommand() command {
	return command{
		name: "publish", synopsis: "-group G [-wait] [-timeout D] [-note T] [-source TEXT] -token-file FILE [-api URL] [-o text|json] [CHANGE ...]",
		short: "make the next revision of groups",
		long: `
Publishes the changes that are named, and without any all that are pending. A change that needs another one is refused, and that one
is named. -wait follows the rollouts, and fails if one of them does not reach all gateways.

    gatehouse publish -group edge -note "new checkout" -token-file token chg_06h9...`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			p := publisher{}
			groups := flags.String("group", "", "`groups` to publish to, with commas")
			flags.StringVar(&p.Note, "note", "", "why, for people: `text`")
			flags.StringVar(&p.Source, "source", "", "where it comes from: `text`")
			wait := newWaitFlags(flags)
			client := clientFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				if p.Groups = splitCommas(*groups); len(p.Groups) == 0 {
					return usagef("-group G is required")
				}
				a, err := client()
				if err != nil {
					return err
				}
				p.Changes = args
				list, err := p.publish(ctx, a)
				if err != nil {
					return err
				}
				if *output == "json" {
					return errors.Join(c.printJSON(list), wait.follow(ctx, io.Discard, a, list))
				}
				printRevisions(c.stdout, list)
				return wait.follow(ctx, c.stdout, a, list)
			}
		},
	}
}

func exportCommand() command {
	return command{
		name: "export", synopsis: "[-of draft|GROUP/NUMBER] -token-file FILE [-api URL]",
		short: "print the manager's objects as a configuration",
		long: `
Prints the draft, or what a revision was made of, as YAML that a standalone gateway and apply read. Private keys are never in it:
certificates name the files that they would be in.

    gatehouse export -of edge/42 -token-file token >gatehouse.yaml`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			of := flags.String("of", "draft", "draft, or a `revision` such as edge/42")
			client := clientFlags(flags)
			return func(ctx context.Context, args []string) error {
				a, err := ready(args, client)
				if err != nil {
					return err
				}
				body, _, err := a.stream(ctx, http.MethodGet, "/export?of="+url.QueryEscape(*of), nil)
				if err != nil {
					return err
				}
				_, err = io.Copy(c.stdout, body)
				return errors.Join(err, body.Close())
			}
		},
	}
}
