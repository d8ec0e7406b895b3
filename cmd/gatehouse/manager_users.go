package main

import (
	"context"
	"flag"
	"fmt"

	"gatehouse/mgmt"
)

func managerSetupCommand() command {
	return command{
		name:     "manager setup",
		synopsis: "-config FILE [-o text|json]",
		short:    "give the one-time link for the first account of a manager",
		long: `
The link makes the first account, with the role admin. It works once, within 15 minutes; a new one ends those before. With
accounts there are none any more: gatehouse manager user reset gives a link for one of them. Run it on the manager's host.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			settings := managerFlags(flags)
			output := outputFlag(flags)
			log := logFlags(flags, "warn", "console")
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
				link, err := mgmt.SetupLink(ctx, s, logger)
				if err != nil {
					return err
				}
				return c.printLink(*output, link, "make the first account")
			}
		},
	}
}

func managerUserResetCommand() command {
	return command{
		name:     "manager user reset",
		synopsis: "NAME -config FILE [-o text|json]",
		short:    "give the one-time link for an account whose password or second factor is lost",
		long: `
Ends the sessions and API tokens of the account and its second factor, and gives a link with which its owner chooses a new
password: once, within 15 minutes. Run it on the manager's host.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			settings := managerFlags(flags)
			output := outputFlag(flags)
			log := logFlags(flags, "warn", "console")
			return func(ctx context.Context, args []string) error {
				if len(args) != 1 {
					return usagef("the NAME of one account is expected")
				}
				s, err := settings()
				if err != nil {
					return err
				}
				logger, err := log.build(c.stderr)
				if err != nil {
					return err
				}
				link, err := mgmt.ResetUser(ctx, s, args[0], logger)
				if err != nil {
					return err
				}
				return c.printLink(*output, link, "choose a new password for "+args[0])
			}
		},
	}
}

// printLink prints a one-time link.
func (c *cli) printLink(output, link, what string) error {
	if output == "json" {
		return c.printJSON(map[string]string{"link": link})
	}
	_, err := fmt.Fprintf(c.stdout, "%s\nOpen it within 15 minutes to %s. It works once.\n", link, what)
	return err
}
