package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
	"gatehouse/rules/revision/s3depot"
)

func auditListCommand() command {
	return command{
		name:     "audit list",
		synopsis: "[-actor A] [-action X] [-object O] [-since T] [-until T] -token-file F [-api URL] [-o text|json]",
		short:    "list who did what on a manager",
		long: `
Oldest first, one entry a line. -actor is user:NAME, token:NAME, gateway:NAME or manager; -action such as revision.publish, or
revision.* for all of that subject; -object such as applications/shop. Each may be given more than once.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			newClient := clientFlags(flags)
			query := url.Values{}
			for _, name := range []string{"actor", "action", "object"} {
				flags.Func(name, "`"+name+"` of the entries; may be given more than once", func(s string) error { query.Add(name, s); return nil })
			}
			timeFlag(flags, "since", "`time` from which on: RFC 3339, or a duration such as 24h before now", query)
			timeFlag(flags, "until", "`time` before which, likewise", query)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				client, err := clientAlone(newClient, args)
				if err != nil {
					return err
				}
				query.Set("limit", "1000")
				return eachOf(ctx, client, "/audit", query, func(e store.Entry) error {
					if *output == "json" {
						return c.printLine(e)
					}
					_, err := fmt.Fprintf(c.stdout, "%d  %s  %-24s %-20s %s  %s\n", e.Seq, e.At.UTC().Format(time.RFC3339), e.Actor, e.Action, e.Object, e.Detail)
					return err
				})
			}
		},
	}
}

// timeFlag is a time as it is, or as a duration before now.
func timeFlag(flags *flag.FlagSet, name, usage string, query url.Values) {
	flags.Func(name, usage, func(s string) error {
		if d, err := time.ParseDuration(s); err == nil {
			query.Set(name, time.Now().Add(-d).UTC().Format(time.RFC3339))
			return nil
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return fmt.Errorf("%q is neither a time such as 2027-01-31T12:00:00Z nor a duration such as 24h", s)
		}
		query.Set(name, t.UTC().Format(time.RFC3339Nano))
		return nil
	})
}

// clientAlone is the client of a command without arguments.
func clientAlone(newClient func() (*apiClient, error), args []string) (*apiClient, error) {
	if len(args) > 0 {
		return nil, usagef("no arguments are expected")
	}
	return newClient()
}

func auditExportCommand() command {
	return command{
		name: "audit export", synopsis: "-token-file F [-api URL] [-o text|json]",
		short: "write the whole audit log of a manager as JSON lines",
		long: `
Each line is an entry with its hash, which covers the entry and the hash of the one before. gatehouse audit verify -log FILE holds such
a file against its hashes. The output is the same with -o text and -o json.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			newClient := clientFlags(flags)
			_ = outputFlag(flags) // every command has it
			return func(ctx context.Context, args []string) error {
				client, err := clientAlone(newClient, args)
				if err != nil {
					return err
				}
				body, _, err := client.stream(ctx, http.MethodGet, "/audit/export", nil)
				if err != nil {
					return err
				}
				defer body.Close()
				if _, err := io.Copy(c.stdout, body); err != nil {
					return fmt.Errorf("the log was cut off: %w", err)
				}
				return nil
			}
		},
	}
}

func auditVerifyCommand() command {
	return command{
		name:     "audit verify",
		synopsis: "(-token-file F [-api URL] | -log FILE) [-anchor FILE|s3://BUCKET/PREFIX -revision-key FILE [-stack S]] [-o text|json]",
		short:    "hold the audit log of a manager against its hashes and its anchor",
		long: `
Reads the whole log, from the manager or from a file of audit export, and reckons each hash here. That finds an entry that was
edited, taken out or put in. Whoever can write the database can write all hashes anew, or cut the log: that is found with the
anchor, where the manager keeps signed heads of the log (audit.anchor in its settings), and the public keys that they were signed
with. What came after the last head is verified against itself only; the output says where that begins.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			api := apiFlag(flags)
			token := flags.String("token-file", "", "`file` with an API token (ght_...)")
			file := flags.String("log", "", "`file` of gatehouse audit export, instead of a manager")
			anchor := flags.String("anchor", "", "`place` of the signed heads: a file, or s3://BUCKET/PREFIX")
			keys := flags.String("revision-key", "", "`file` of the public keys of the manager")
			stack := flags.String("stack", "default", "`name` of the installation")
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				switch {
				case len(args) > 0:
					return usagef("no arguments are expected")
				case (*token == "") == (*file == ""):
					return usagef("either -token-file FILE or -log FILE is required")
				case (*anchor == "") != (*keys == ""):
					return usagef("-anchor and -revision-key go together")
				}
				heads, public, err := readAnchor(ctx, *anchor, *keys)
				if err != nil {
					return err
				}
				log, err := openLog(ctx, *file, *api, *token)
				if err != nil {
					return err
				}
				defer log.Close()
				result, err := store.VerifyAudit(entriesOf(log), heads, *stack, public)
				if err != nil {
					return err
				}
				return c.printVerified(result, *anchor != "", *output)
			}
		},
	}
}

// openLog opens the lines of a log.
func openLog(ctx context.Context, file, api, token string) (io.ReadCloser, error) {
	if file != "" {
		return os.Open(file)
	}
	client, err := newAPIClient(api, token)
	if err != nil {
		return nil, err
	}
	body, _, err := client.stream(ctx, http.MethodGet, "/audit/export", nil)
	return body, err
}

// entriesOf reads JSON lines.
func entriesOf(r io.Reader) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for d := json.NewDecoder(r); ; {
			var e store.Entry
			err := d.Decode(&e)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("read the log: %w", err)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// readAnchor gives the signed heads and the keys to verify them with. An anchor without a head is not one.
func readAnchor(ctx context.Context, place, keyFile string) ([][]byte, []revision.PublicKey, error) {
	if place == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("-revision-key: %w", err)
	}
	keys, err := revision.ParsePublicKeys(string(text))
	if err != nil {
		return nil, nil, fmt.Errorf("-revision-key: %s: %w", keyFile, err)
	}
	var anchor store.Anchor = store.FileAnchor(place)
	if strings.HasPrefix(place, s3depot.Scheme) {
		bucket, err := s3depot.Open(ctx, place)
		if err != nil {
			return nil, nil, fmt.Errorf("-anchor: %w", err)
		}
		anchor = store.BucketAnchor{Bucket: bucket}
	}
	heads, err := anchor.Heads(ctx)
	if err == nil && len(heads) == 0 {
		err = errors.New("there is no head; is this the anchor?")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("-anchor %s: %w", place, err)
	}
	return heads, keys, nil
}

func (c *cli) printVerified(r store.AuditResult, anchored bool, output string) error {
	if output == "json" {
		return c.printJSON(r)
	}
	text := fmt.Sprintf("%d entries, as their hashes say", r.Entries)
	switch {
	case !anchored:
		text += "; without an anchor, a log that was cut or written anew looks the same"
	case r.Anchored == r.Entries:
		text += fmt.Sprintf(", and as %d signed heads say", r.Heads)
	default:
		text += fmt.Sprintf("; up to entry %d also as %d signed heads say", r.Anchored, r.Heads)
	}
	_, err := fmt.Fprintln(c.stdout, text+".")
	return err
}
