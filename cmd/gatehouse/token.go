package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// newToken is what a token is to be.
type newToken struct {
	Name      string      `json:"name"`
	Grants    tokenGrants `json:"grants"`
	ExpiresIn string      `json:"expires_in"`
}

type tokenGrants struct {
	Roles      map[string]string `json:"roles"`
	Protection []string          `json:"protection,omitempty"`
	Groups     []string          `json:"groups,omitempty"`
}

func tokenCreateCommand() command {
	return command{
		name:     "token create",
		synopsis: "(NAME -role ROLE [-app A] [-group G] [-protection] | -join -group G [-uses N] [-note T]) [-for 720h] (-token-file F | -user NAME -password-file F [-code C]) [-api URL] [-o text|json]",
		short:    "make an API token for scripts and commands, or a join token for gateways",
		long: `
Prints the token, which nobody can read again. It may at most what whoever makes it may: with -app only for these applications,
with -group only on these gateway groups. The roles are viewer, analyst, editor, publisher and admin; turning protection off or
down (modes, thresholds) needs -protection as well. The first token is made with a name and a password:

    gatehouse token create laptop -role publisher -user ann -password-file password.txt > token.txt

A token that is made with a token ends when that one does.

With -join it makes a join token instead, with which -uses gateways may join the group, by default one within an hour. Whoever has it
becomes a gateway and knows what gateways of the group know: keep it as a secret.

    gatehouse token create -join -group edge -uses 3 -token-file admin.txt > join.txt
    gatehouse gateway -manager https://manager.example.com:9443 -join token -join-token-file join.txt -state-dir /var/lib/gatehouse`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			t := newToken{Grants: tokenGrants{Roles: map[string]string{}}}
			role := flags.String("role", "", "`role` of the token")
			var apps []string
			listFlag(flags, "app", "`application` that the role is for; may be given more than once; all unless set", &apps)
			listFlag(flags, "group", "gateway `group` that the token is limited to; may be given more than once", &t.Grants.Groups)
			protection := flags.Bool("protection", false, "allow turning protection off or down")
			join := flags.Bool("join", false, "make a join token for gateways")
			j := joinToken{}
			flags.Int64Var(&j.Uses, "uses", 1, "how many gateways may join with it: `number`, with -join")
			flags.StringVar(&j.Note, "note", "", "what it is for: `text`, with -join")
			life := flags.Duration("for", 0, "`duration` until the token ends, at most 8784h (default 2160h, with -join 1h)")
			connect := signInFlags(flags)
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				if *join {
					if len(args) > 0 || *role != "" || len(apps) > 0 || *protection || len(t.Grants.Groups) != 1 {
						return usagef("with -join, one -group G is expected, and neither a NAME nor -role, -app and -protection")
					}
					j.Group = t.Grants.Groups[0]
					return c.createTokenAt(ctx, connect, "/join-tokens", j.with(*life), *output)
				}
				if len(args) != 1 || *role == "" {
					return usagef("the NAME of the token and -role ROLE are expected, or -join -group G")
				}
				if len(apps) == 0 {
					apps = []string{"*"}
				}
				for _, app := range apps {
					t.Grants.Roles[app] = *role
				}
				if *protection {
					t.Grants.Protection = apps
				}
				if *life == 0 {
					*life = 90 * 24 * time.Hour
				}
				t.Name, t.ExpiresIn = args[0], life.String()
				return c.createTokenAt(ctx, connect, "/tokens", t, *output)
			}
		},
	}
}

// joinToken is what a join token is to be.
type joinToken struct {
	Group     string `json:"group"`
	Note      string `json:"note,omitempty"`
	Uses      int64  `json:"uses"`
	ExpiresIn string `json:"expires_in"`
}

func (j joinToken) with(life time.Duration) joinToken {
	if life == 0 {
		life = time.Hour
	}
	j.ExpiresIn = life.String()
	return j
}

// createTokenAt makes what is asked for, and prints its text.
func (c *cli) createTokenAt(ctx context.Context, connect func(context.Context) (*apiClient, func(), error), path string, want any, output string) error {
	client, leave, err := connect(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var made map[string]any
	header, err := client.call(ctx, http.MethodPost, path, want, &made)
	if err != nil {
		return err
	}
	text, _ := made["text"].(string)
	if text == "" { // the first answer was lost on the way
		return fmt.Errorf("the token was made, and its text was lost (Idempotency-Replayed: %s): revoke it, and make another", header.Get("Idempotency-Replayed"))
	}
	if output == "json" {
		return c.printJSON(made)
	}
	_, err = fmt.Fprintln(c.stdout, text)
	return err
}

// listFlag is a flag that may be given more than once, or with commas.
func listFlag(flags *flag.FlagSet, name, usage string, list *[]string) {
	flags.Func(name, usage, func(s string) error {
		for one := range strings.SplitSeq(s, ",") {
			if one == "" {
				return fmt.Errorf("%q has an empty name", s)
			}
			*list = append(*list, one)
		}
		return nil
	})
}

// signInFlags declares -api, -token-file, -user, -password-file and -code, and gives the function that makes a client of them, and one
// to call at the end.
func signInFlags(flags *flag.FlagSet) func(context.Context) (*apiClient, func(), error) {
	api := apiFlag(flags)
	tokenFile := flags.String("token-file", "", "`file` with an API token (ght_...)")
	user := flags.String("user", "", "`name` of an account, instead of a token")
	passwordFile := flags.String("password-file", "", "`file` with its password")
	code := flags.String("code", "", "`code` of its second factor, if it has one")
	return func(ctx context.Context) (*apiClient, func(), error) {
		switch {
		case (*tokenFile == "") == (*user == ""):
			return nil, nil, usagef("either -token-file FILE or -user NAME -password-file FILE is required")
		case *tokenFile != "":
			client, err := newAPIClient(*api, *tokenFile)
			return client, func() {}, err
		case *passwordFile == "":
			return nil, nil, usagef("-password-file FILE is required with -user")
		}
		password, err := os.ReadFile(*passwordFile)
		if err != nil {
			return nil, nil, fmt.Errorf("-password-file: %w", err)
		}
		client, err := openAPI(*api)
		if err != nil {
			return nil, nil, err
		}
		leave, err := client.signIn(ctx, *user, strings.TrimRight(string(password), "\r\n"), *code)
		return client, leave, err
	}
}

// signIn begins a session, and gives the function that ends it.
func (a *apiClient) signIn(ctx context.Context, user, password, code string) (leave func(), err error) {
	header, err := a.call(ctx, http.MethodPost, "/session", map[string]string{"name": user, "password": password, "code": code}, nil)
	if err != nil {
		return nil, err
	}
	cookie, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	if err != nil {
		return nil, fmt.Errorf("the manager gives no session: %w", err)
	}
	a.auth.Set("Cookie", cookie.Name+"="+cookie.Value)
	a.auth.Set("Origin", a.base.String())
	return func() {
		_, _ = a.call(context.WithoutCancel(ctx), http.MethodDelete, "/session", nil, nil) // it ends by itself, too
	}, nil
}
