package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/signal"
	"syscall"

	"gatehouse/mgmt"
	"gatehouse/proxy"
)

func managerCommand() command {
	return command{
		name:     "manager",
		synopsis: "-config FILE [flags]",
		short:    "hold what a fleet of gateways serves, and let people and scripts change it",
		long: `
The manager serves the API on one address and gateways on another, and keeps what it knows in SQLite in its data directory, or in
PostgreSQL, which several managers may share. Traffic never passes through it and never waits for it. The least file:

    data: /var/lib/gatehouse
    gateways: { names: [manager.example.com] }

The API is then on 127.0.0.1:9080; any other address needs cert_file and key_file. The first start makes the master key in
the data directory: keep a copy of it, apart from the backups of the database. The manager's log goes to stderr.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			settings := managerFlags(flags)
			log := logFlags(flags, "info", "json")
			return func(ctx context.Context, args []string) error {
				if len(args) > 0 {
					return usagef("no arguments are expected")
				}
				s, err := settings()
				if err != nil {
					return err
				}
				logger, err := log.build(c.stderr)
				if err != nil {
					return err
				}
				return manage(ctx, mgmt.Options{Settings: s, Logger: logger, Version: version(), Prove: proxy.NewProver().Prove})
			}
		},
	}
}

// managerFlags declares -config of the manager's commands, and gives the function that reads the file.
func managerFlags(flags *flag.FlagSet) func() (mgmt.Settings, error) {
	file := flags.String("config", "", "`file` of the manager's settings")
	return func() (mgmt.Settings, error) {
		if *file == "" {
			return mgmt.Settings{}, usagef("-config FILE is required: the manager's settings")
		}
		return mgmt.LoadSettings(*file)
	}
}

// manage runs a manager until ctx ends or the process is told to stop.
func manage(ctx context.Context, opts mgmt.Options) error {
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	server, err := mgmt.New(ctx, opts)
	if err != nil {
		return err
	}
	server.Start()
	select {
	case <-ctx.Done():
		cancel() // a second signal ends the process at once
		return server.Stop(context.Background())
	case err := <-server.Failed():
		return errors.Join(err, server.Stop(context.Background()))
	}
}
