package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

func healthcheckCommand() command {
	return command{
		name: "healthcheck", synopsis: "[-url URL]", short: "ask a gateway on this host whether it is ready, for container health checks",
		long: "Exit code 0 means ready, 1 means not ready or not reachable.",
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			url := flags.String("url", "http://127.0.0.1:9081/readyz", "readiness `URL` of the admin listener")
			timeout := flags.Duration("timeout", 3*time.Second, "how long to wait for the answer")
			return func(ctx context.Context, args []string) error {
				if len(args) > 0 {
					return usagef("no arguments are expected")
				}
				ctx, cancel := context.WithTimeout(ctx, *timeout)
				defer cancel()
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, *url, nil)
				if err != nil {
					return usagef("-url: %v", err)
				}
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					return err
				}
				defer response.Body.Close()
				text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
				if err != nil {
					return fmt.Errorf("read the answer of %s: %w", *url, err)
				}
				fmt.Fprintln(c.stdout, strings.TrimSpace(string(text)))
				if response.StatusCode != http.StatusOK {
					return fmt.Errorf("%s answered %d", *url, response.StatusCode)
				}
				return nil
			}
		},
	}
}
