package main

import (
	"context"
	"flag"

	"gatehouse/proxy/config"
)

func schemaCommand() command {
	return command{
		name: "schema", synopsis: "[-o text|json]", short: "print the JSON Schema of the configuration, for editors",
		long: `
Point your editor at it, for instance with this first line in gatehouse.yaml:

  # yaml-language-server: $schema=gatehouse.schema.json

The schema is JSON with either value of -o.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			outputFlag(flags)
			return func(_ context.Context, args []string) error {
				if len(args) > 0 {
					return usagef("no arguments are expected")
				}
				_, err := c.stdout.Write(config.Schema())
				return err
			}
		},
	}
}
