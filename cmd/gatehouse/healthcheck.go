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
		name: "healthcheck", synopsis: "[-url URL] [-timeout 3s] [-o text|json]", short: "ask a gateway on this host whether it is ready, for container health checks",
		long: "Exit code 0 means ready, 1 means not ready or not reachable.",
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			url := flags.String("url", "http://127.0.0.1:9081/readyz", "readiness `URL` of the admin listener")
			output := outputFlag(flags)
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
				answer := readiness{URL: *url}
				err = answer.ask(request)
				switch {
				case *output == "json":
					if err != nil {
						answer.Error = err.Error()
					}
					if printErr := c.printJSON(answer); printErr != nil {
						return printErr
					}
					if err != nil {
						return errReported
					}
				case answer.Status != 0:
					fmt.Fprintln(c.stdout, answer.Answer)
				}
				return err
			}
		},
	}
}

// readiness is what gatehouse healthcheck -o json prints.
type readiness struct {
	URL    string `json:"url"`
	Ready  bool   `json:"ready"`
	Status int    `json:"status,omitempty"` // 0 if there was no answer
	Answer string `json:"answer,omitempty"` // its first 4 KiB
	Error  string `json:"error,omitempty"`
}

// ask sends the request and keeps the answer. An error means not ready.
func (a *readiness) ask(request *http.Request) error {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", a.URL, err)
	}
	a.Status, a.Answer = response.StatusCode, strings.TrimSpace(string(text))
	if a.Ready = a.Status == http.StatusOK; !a.Ready {
		return fmt.Errorf("%s answered %d", a.URL, a.Status)
	}
	return nil
}
