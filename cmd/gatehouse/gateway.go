package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/rules/crs"
)

func gatewayCommand() command {
	return command{
		name:     "gateway",
		synopsis: "-config PATH | -manager URL | -revisions PLACE [flags]",
		short:    "serve traffic by a configuration file, or by a manager's revisions",
		long: `
With -config the gateway reads the configuration, binds its listeners and serves. It reads the configuration again on SIGHUP and
when one of its files changes: everything is built and self-tested beside the old, then swapped in one step; a bad
file changes nothing and says why. s3://BUCKET/FILE.yaml is looked at once a minute, and with -state-dir the last good one is
kept on disk. On SIGTERM readiness fails first, traffic is served for the drain delay, then connections are closed as they
become idle.

With -manager it joins a manager and serves the signed revisions of its group:

    gatehouse gateway -manager https://manager.example.com:9443 -join token -join-token-file token -state-dir /var/lib/gatehouse

The token says which manager is trusted; without one, -manager-ca and -revision-key do. The certificate that it gets, the last good
revision and what is on trial are kept in -state-dir, from which it starts while the manager is away; so does a new one from
-revisions, a bucket or directory, with -group and -revision-key. -revisions alone serves what gatehouse revision build wrote. Nothing
is served that no trusted key has signed, that is older than what was served, or that this gateway has not proven itself; what
is refused is reported, and what was served stays.

Sealed certificates are opened with the key of the group, which the manager gives; to start an HTTPS listener while it is
away, the gateway needs its own copy: -secret-key-file, or the systemd credential gatehouse-group-key.

Access records and events go where logs: says; the gateway's own log goes to stderr.

A share of the requests is judged a second time, by the reference engine, after the answer: -sample-share says how many.
Where it disagrees, gatehouse_program_disagreements_total counts it, and with -spool-dir the request is kept there, as it was
received: a directory that nobody else may read.

What all requests together, and those of one client, may take is bounded: -max-inflight, -max-requests,
-max-client-requests, -max-client-connections. Beyond a bound a request is answered with 503 and Retry-After, in every mode,
and gatehouse_shed_total counts it.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			path := configFlag(flags)
			delay := flags.Duration("drain-delay", 5*time.Second, "how long to go on serving after readiness failed")
			timeout := flags.Duration("drain-timeout", 30*time.Second, "how long requests may take to end after that")
			samples := sampleFlags(flags)
			admission := admissionFlags(flags)
			fleet := fleetFlags(flags)
			log := logFlags(flags, "info", "json")
			return func(ctx context.Context, args []string) error {
				if len(args) == 1 && (*path == "" || c.fromEnv["config"]) {
					*path, args = args[0], nil
				}
				if len(args) > 0 || *path == "" && !fleet.given() {
					return usagef("one of -config PATH, -manager URL and -revisions PLACE is required, and no arguments")
				}
				if fleet.given() && *path != "" {
					return usagef("-config and -manager or -revisions say two different things to serve; give one")
				}
				logger, err := log.build(c.stderr)
				if err != nil {
					return err
				}
				o := proxy.Options{
					Logger: logger, Stdout: c.stdout, DrainDelay: *delay, DrainTimeout: *timeout, Version: version(),
					Sample: samples.share, Spool: samples.spool, Admission: *admission,
				}
				switch {
				case fleet.given():
					return c.serveManaged(ctx, fleet, o)
				case isRemote(*path):
					return c.servePolled(ctx, *path, fleet, o)
				}
				o.Load = func() (*config.Loaded, error) { return fleet.config().Load(*path) }
				return c.serve(ctx, o, nil)
			}
		},
	}
}

// loadConfig reads a configuration as the gateway does.
func loadConfig(paths ...string) (*config.Loaded, error) {
	return config.Options{CRSVersions: crs.Versions()}.Load(paths...)
}

// loadConfigBytes reads a configuration from memory as the gateway does; its file names are relative to name's directory.
func loadConfigBytes(name, text string) (*config.Loaded, error) {
	return config.Options{CRSVersions: crs.Versions()}.LoadBytes(name, []byte(text))
}

// serve runs a gateway until ctx ends or the process is told to stop. started is called once it serves.
func (c *cli) serve(ctx context.Context, opts proxy.Options, started func(*proxy.Server) error) error {
	ctx, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer cancel()
	hangup := make(chan os.Signal, 1) // before anything takes time: unheard, the signal would end the process
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	limitMemory(opts.Logger)
	server, err := proxy.New(opts)
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // compiling the rules takes many times what they take afterwards
	server.Start()
	if started != nil {
		if err := started(server); err != nil {
			return errors.Join(err, server.Stop(context.Background()))
		}
	}
	for {
		select {
		case <-ctx.Done():
			cancel() // a second signal ends the process at once
			return server.Stop(context.Background())
		case <-hangup:
			server.Hangup()
		case err := <-server.Failed():
			return errors.Join(err, server.Stop(context.Background()))
		}
	}
}

// sampleSettings are the flags of the comparison with the reference engine.
type sampleSettings struct {
	share float64
	spool string
}

// defaultSampleShare is one request in a thousand.
const defaultSampleShare = 0.001

func sampleFlags(flags *flag.FlagSet) *sampleSettings {
	s := &sampleSettings{share: defaultSampleShare}
	flags.Func("sample-share", "`share` of the requests that the reference engine judges too, 0 to 1 (default 0.001)", func(text string) error {
		share, err := strconv.ParseFloat(text, 64)
		if err != nil || !(share >= 0 && share <= 1) {
			return fmt.Errorf("%q is not a share from 0 to 1, such as 0.001", text)
		}
		s.share = share
		return nil
	})
	flags.StringVar(&s.spool, "spool-dir", "", "private `directory` (mode 0700) for requests on which the engines disagree; empty keeps none")
	return s
}

// logSettings are the flags of the process's own log.
type logSettings struct{ level, format string }

func logFlags(flags *flag.FlagSet, level, format string) *logSettings {
	l := &logSettings{level: level, format: format}
	flags.StringVar(&l.level, "log-level", l.level, "least `level` of the process's own log: debug, info, warn, error")
	flags.StringVar(&l.format, "log-format", l.format, "`format` of the process's own log: json or console")
	return l
}

// build makes the logger, which writes to w.
func (l *logSettings) build(w io.Writer) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(l.level)
	if err != nil {
		return nil, usagef("-log-level %q is not one of debug, info, warn, error", l.level)
	}
	settings := zap.NewProductionEncoderConfig()
	settings.TimeKey, settings.EncodeTime = "time", zapcore.RFC3339NanoTimeEncoder
	settings.MessageKey = "message"
	var encoder zapcore.Encoder
	switch l.format {
	case "json":
		encoder = zapcore.NewJSONEncoder(settings)
	case "console":
		settings.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoder = zapcore.NewConsoleEncoder(settings)
	default:
		return nil, usagef("-log-format %q is not one of json, console", l.format)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)), nil
}

// loadFor loads the configuration of a tool: its problems are printed as they are.
func (c *cli) loadFor(path string) (*config.Loaded, error) { return c.reported(loadConfig(path)) }

// reported prints the problems of a configuration; other errors are returned as they are.
func (c *cli) reported(loaded *config.Loaded, err error) (*config.Loaded, error) {
	var problems config.Problems
	if errors.As(err, &problems) {
		fmt.Fprintln(c.stderr, problems.Error())
		return nil, errReported
	}
	return loaded, err
}
