package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/managed"
	"gatehouse/rules/crs"
	"gatehouse/rules/revision/s3depot"
)

// fleetSettings are the flags of gateways that do not read a file of their own.
type fleetSettings struct {
	managers, join, token, certificate, key, authority, keys string
	stateDir, stack, group, revisions, secretKey, admin      string
	listen                                                   map[string]string
}

func fleetFlags(flags *flag.FlagSet) *fleetSettings {
	s := &fleetSettings{listen: map[string]string{}}
	flags.StringVar(&s.managers, "manager", "", "`URL`s of the manager's listener for gateways, comma-separated and tried in turn: https://HOST:PORT")
	flags.StringVar(&s.join, "join", "", "`way` to join for a gateway without a certificate: token or certificate")
	flags.StringVar(&s.token, "join-token-file", "", "`file` with the join token")
	flags.StringVar(&s.certificate, "join-certificate-file", "", "PEM `file` of the certificate that the manager issued beforehand")
	flags.StringVar(&s.key, "join-key-file", "", "PEM `file` of its private key")
	flags.StringVar(&s.authority, "manager-ca", "", "whom to trust without a token: a PEM `file` of the manager's authority, or sha256:HEX, the hash of its trust bundle")
	flags.StringVar(&s.keys, "revision-key", "", "`file` of the public keys that revisions are signed with, one a line; a token or sha256:HEX brings them too")
	flags.StringVar(&s.stateDir, "state-dir", "", "private `directory` (mode 0700) for the gateway's certificate and the last good revision; empty is $STATE_DIRECTORY")
	flags.StringVar(&s.stack, "stack", "", "`name` of the installation; without a manager, empty is \"default\"")
	flags.StringVar(&s.group, "group", "", "`group` of gateways that this one is of, where no manager has told it")
	flags.StringVar(&s.revisions, "revisions", "", "`place` of revisions beside the manager, or without one: s3://BUCKET/PREFIX or a directory")
	flags.StringVar(&s.secretKey, "secret-key-file", "", "`file` (mode 0600) of the group's key, which opens sealed certificates; empty is the credential gatehouse-group-key")
	flags.StringVar(&s.admin, "admin-address", "", "`address` of the admin listener on this machine, instead of the configuration's")
	flags.Func("listener", "`NAME=ADDRESS` of a listener on this machine, instead of the configuration's; may be given again", func(text string) error {
		for _, entry := range strings.Split(text, ",") {
			name, address, ok := strings.Cut(entry, "=")
			if !ok || name == "" || address == "" {
				return fmt.Errorf("%q is not NAME=ADDRESS, such as http=127.0.0.1:8081", entry)
			}
			s.listen[name] = address
		}
		return nil
	})
	return s
}

// given says whether revisions are served.
func (s *fleetSettings) given() bool { return s.managers != "" || s.revisions != "" }

// config says how configurations are loaded on this machine.
func (s *fleetSettings) config() config.Options {
	return config.Options{CRSVersions: crs.Versions(), Addresses: s.listen, Admin: s.admin}
}

// state is the state directory: systemd makes one for StateDirectory= and names it in the environment.
func (s *fleetSettings) state(getenv func(string) string) string {
	if s.stateDir != "" {
		return s.stateDir
	}
	first, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":")
	return first
}

// secretKeyFile is the file of the group's key: systemd puts LoadCredential=gatehouse-group-key into a directory of the process's own.
func (s *fleetSettings) secretKeyFile(getenv func(string) string) string {
	if s.secretKey != "" {
		return s.secretKey
	}
	if dir := getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		file := filepath.Join(dir, "gatehouse-group-key")
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// options are those of a managed gateway.
func (s *fleetSettings) options(ctx context.Context, getenv func(string) string, o proxy.Options) (managed.Options, error) {
	out := managed.Options{
		StateDir: s.state(getenv), Logger: o.Logger, Version: o.Version, Join: managed.Join(s.join), TokenFile: s.token,
		CertificateFile: s.certificate, KeyFile: s.key, ManagerCA: s.authority, RevisionKeys: s.keys, Stack: s.stack, Group: s.group,
		SecretKeyFile: s.secretKeyFile(getenv), Proxy: o, Config: s.config(),
	}
	if s.managers != "" {
		out.Managers = strings.Split(s.managers, ",")
	}
	if s.revisions != "" {
		var err error
		if out.Bucket, err = openDepot(ctx, s.revisions); err != nil {
			return out, fmt.Errorf("-revisions: %w", err)
		}
		out.BucketName = s.revisions
	}
	return out, nil
}

// serveManaged runs a managed gateway until ctx ends or the process is told to stop.
func (c *cli) serveManaged(ctx context.Context, s *fleetSettings, o proxy.Options) error {
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	limitMemory(o.Logger)
	options, err := s.options(ctx, c.getenv, o)
	if err != nil {
		return err
	}
	g, err := managed.New(options)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-ctx.Done():
				cancel() // a second signal ends the process at once
				return
			case <-hangup:
				g.Hangup()
			case <-done:
				return
			}
		}
	}()
	return g.Run(ctx)
}

// isRemote says whether a configuration is not a file of this machine.
func isRemote(path string) bool {
	return strings.Contains(path, "://") || strings.HasPrefix(path, "ssm:")
}

// servePolled runs a gateway by a configuration in a bucket.
func (c *cli) servePolled(ctx context.Context, url string, s *fleetSettings, o proxy.Options) error {
	switch {
	case strings.HasPrefix(url, "ssm:"):
		return usagef("-config %s: parameters of SSM are not available in this version; write s3://BUCKET/FILE.yaml, or a file", url)
	case !strings.HasPrefix(url, s3depot.Scheme):
		return usagef("-config %s is no place for a configuration: a file, a directory of *.yaml, or s3://BUCKET/FILE.yaml", url)
	case path.Ext(url) != ".yaml" && path.Ext(url) != ".yml":
		return usagef("-config %s is not a *.yaml object; for revisions that gatehouse revision build wrote, give -revisions %s -group NAME -revision-key FILE", url, url)
	}
	dir, name := path.Split(strings.TrimPrefix(url, s3depot.Scheme))
	depot, err := s3depot.Open(ctx, s3depot.Scheme+dir)
	if err != nil {
		return err
	}
	p, err := managed.NewPolled(ctx, managed.PolledOptions{
		Depot: depot, Name: name, URL: url, Config: s.config(), Logger: o.Logger.Named("polled"), StateDir: s.state(c.getenv),
	})
	if err != nil {
		return err
	}
	o.Load = p.Load
	watch, stop := context.WithCancel(ctx)
	defer stop()
	var watching sync.WaitGroup
	for {
		began, watchErr := false, error(nil)
		err := c.serve(ctx, o, func(server *proxy.Server) error {
			began = true
			watching.Go(func() { watchErr = p.Watch(watch, server.Reload) })
			return nil
		})
		if !began && p.Fallback(err) {
			continue
		}
		stop()
		watching.Wait()
		if !began {
			watchErr = p.Close()
		}
		return errors.Join(err, watchErr)
	}
}
