package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
)

func completionCommand() command {
	return command{
		name: "completion", synopsis: "bash|zsh|fish", short: "print a shell completion script",
		long: `
  bash: source <(gatehouse completion bash)
  zsh:  source <(gatehouse completion zsh)
  fish: gatehouse completion fish | source`,
		setup: func(c *cli, _ *flag.FlagSet) func(context.Context, []string) error {
			return func(_ context.Context, args []string) error {
				if len(args) != 1 {
					return usagef("name one shell: bash, zsh or fish")
				}
				var script string
				switch args[0] {
				case "bash":
					script = completeBash(c)
				case "zsh":
					script = "autoload -U +X bashcompinit && bashcompinit\n" + completeBash(c)
				case "fish":
					script = completeFish(c)
				default:
					return usagef("%q is not a shell (bash, zsh, fish)", args[0])
				}
				_, err := fmt.Fprint(c.stdout, script)
				return err
			}
		},
	}
}

// flagNames lists the flags of a command.
func flagNames(c *cli, cmd command) []string {
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	cmd.setup(c, flags)
	names := []string{}
	flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

func completeBash(c *cli) string {
	var b strings.Builder
	var names []string
	for _, cmd := range commands() {
		names = append(names, cmd.name)
	}
	b.WriteString("_gatehouse() {\n  local word=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n")
	fmt.Fprintf(&b, "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=%q\n  else\n    case \"${COMP_WORDS[1]}\" in\n", strings.Join(names, " "))
	for _, cmd := range commands() {
		if flags := flagNames(c, cmd); len(flags) > 0 {
			fmt.Fprintf(&b, "      %s) words=%q ;;\n", cmd.name, "-"+strings.Join(flags, " -"))
		}
	}
	b.WriteString("    esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n")
	b.WriteString("  if [ \"${#COMPREPLY[@]}\" -eq 0 ]; then COMPREPLY=($(compgen -f -- \"$word\")); fi\n}\ncomplete -o filenames -F _gatehouse gatehouse\n")
	return b.String()
}

func completeFish(c *cli) string {
	var b strings.Builder
	for _, cmd := range commands() {
		fmt.Fprintf(&b, "complete -c gatehouse -n __fish_use_subcommand -f -a %s -d '%s'\n", cmd.name, strings.ReplaceAll(cmd.short, "'", `\'`))
		for _, name := range flagNames(c, cmd) {
			fmt.Fprintf(&b, "complete -c gatehouse -n '__fish_seen_subcommand_from %s' -o %s\n", cmd.name, name)
		}
	}
	return b.String()
}
