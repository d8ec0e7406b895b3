package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"gatehouse/rules/crs"
)

// buildVersion is set by the linker: make build takes it from git describe.
var buildVersion = ""

// version is the version of this binary.
func version() string {
	if buildVersion != "" {
		return buildVersion
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// moduleVersion is the version of a dependency, empty if it is not known.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return ""
}

func versionCommand() command {
	return command{
		name: "version", synopsis: "[-o text|json]", short: "print the version of the binary, of Coraza and of the embedded CRS",
		setup: func(c *cli, flags *flag.FlagSet) func(context.Context, []string) error {
			output := outputFlag(flags)
			return func(_ context.Context, args []string) error {
				if len(args) > 0 {
					return usagef("no arguments are expected")
				}
				coraza := strings.TrimPrefix(moduleVersion("github.com/corazawaf/coraza/v3"), "v")
				if *output == "json" {
					return c.printJSON(map[string]any{
						"version": version(), "go": runtime.Version(), "coraza": coraza, "crs": crs.Versions(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
					})
				}
				fmt.Fprintf(c.stdout, "gatehouse %s\n%s %s/%s, Coraza %s, CRS %s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, coraza, strings.Join(crs.Versions(), " and "))
				return nil
			}
		},
	}
}
