package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"gatehouse/mgmt"
)

func managerBackupCommand() command {
	return command{
		name:     "manager backup",
		synopsis: "-config FILE -to FILE [-o text|json]",
		short:    "write a backup of the manager's database, while it runs",
		long: `
The backup is one file, the same from SQLite and PostgreSQL, as of one moment. It holds everything but the events and the master
key: keep a copy of the key file apart from the backups, or no secret in them can be opened.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			settings := managerFlags(flags)
			to := flags.String("to", "", "`file` to write, which must not exist yet")
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				if *to == "" || len(args) > 0 {
					return usagef("-to FILE is required, and no arguments")
				}
				s, err := settings()
				if err != nil {
					return err
				}
				header, rows, err := mgmt.Backup(ctx, s, *to)
				if err != nil {
					return err
				}
				if *output == "json" {
					return c.printJSON(header)
				}
				fmt.Fprintf(c.stdout, "%s holds %d rows as of %s, without events and without the master key %s\n", *to, rows, header.At.Format(time.RFC3339), header.MasterKey)
				return nil
			}
		},
	}
}

func managerRestoreCommand() command {
	return command{
		name:     "manager restore",
		synopsis: "-config FILE -from FILE [-above EPOCH] [-o text|json]",
		short:    "fill an empty database of the manager from a backup",
		long: `
Restores into a new file or an empty database of PostgreSQL, whichever the backup came from; put the master key in its place
first, and start the manager afterwards. The epoch of revisions is raised, so that gateways take what is published from now on,
even if they have seen later numbers than the backup knows. Until then they go on serving what they serve.`,
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			settings := managerFlags(flags)
			from := flags.String("from", "", "`file` of the backup")
			above := flags.Uint64("above", 0, "`epoch` that the new one must be above, if a gateway reports one from the future")
			output := outputFlag(flags)
			return func(ctx context.Context, args []string) error {
				if *from == "" || len(args) > 0 {
					return usagef("-from FILE is required, and no arguments")
				}
				s, err := settings()
				if err != nil {
					return err
				}
				header, epoch, err := mgmt.Restore(ctx, s, *from, *above)
				if err != nil {
					return err
				}
				if *output == "json" {
					return c.printJSON(map[string]any{"backup": header, "epoch": epoch})
				}
				fmt.Fprintf(c.stdout, "restored what was there at %s; revisions are published in epoch %d from now on\n", header.At.Format(time.RFC3339), epoch)
				return nil
			}
		},
	}
}
