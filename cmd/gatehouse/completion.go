package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
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

// completed is what the completion offers behind some words.
type completed struct {
	behind string   // words of a command, or the first of them
	words  []string // that may follow
	flags  []string
}

// completions are those of longer words first.
func completions(c *cli) []completed {
	var all []completed
	add := func(one completed) {
		for i := range all {
			if all[i].behind == one.behind {
				all[i].flags = append(all[i].flags, one.flags...)
				return
			}
		}
		all = append(all, one)
	}
	for _, cmd := range commands() {
		words := strings.Fields(cmd.name)
		for i := 1; i < len(words); i++ {
			begin := strings.Join(words[:i], " ")
			add(completed{behind: begin, words: nextWords(begin + " ")})
		}
		add(completed{behind: cmd.name, words: nextWords(cmd.name + " "), flags: flagNames(c, cmd)})
	}
	slices.SortStableFunc(all, func(a, b completed) int { return strings.Count(b.behind, " ") - strings.Count(a.behind, " ") })
	return all
}

func completeBash(c *cli) string {
	var b strings.Builder
	b.WriteString("_gatehouse() {\n  local word=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n")
	fmt.Fprintf(&b, "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=%q\n  else\n    case \"${COMP_WORDS[*]:1:COMP_CWORD-1} \" in\n", strings.Join(nextWords(""), " "))
	for _, one := range completions(c) {
		offered := one.words
		for _, f := range one.flags {
			offered = append(offered, "-"+f)
		}
		if len(offered) > 0 {
			fmt.Fprintf(&b, "      %q*) words=%q ;;\n", one.behind+" ", strings.Join(offered, " "))
		}
	}
	b.WriteString("    esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n")
	b.WriteString("  if [ \"${#COMPREPLY[@]}\" -eq 0 ]; then COMPREPLY=($(compgen -f -- \"$word\")); fi\n}\ncomplete -o filenames -F _gatehouse gatehouse\n")
	return b.String()
}

func completeFish(c *cli) string {
	var b strings.Builder
	for _, word := range nextWords("") {
		fmt.Fprintf(&b, "complete -c gatehouse -n __fish_use_subcommand -f -a %s", word)
		if cmd, _, ok := findCommand([]string{word}); ok {
			fmt.Fprintf(&b, " -d '%s'", strings.ReplaceAll(cmd.short, "'", `\'`))
		}
		b.WriteString("\n")
	}
	for _, one := range completions(c) {
		seen := ""
		for _, word := range strings.Fields(one.behind) {
			seen += "; and __fish_seen_subcommand_from " + word
		}
		seen = strings.TrimPrefix(seen, "; and ")
		for _, word := range one.words {
			fmt.Fprintf(&b, "complete -c gatehouse -n '%s' -f -a %s\n", seen, word)
		}
		for _, name := range one.flags {
			fmt.Fprintf(&b, "complete -c gatehouse -n '%s' -o %s\n", seen, name)
		}
	}
	return b.String()
}
