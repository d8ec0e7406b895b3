package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"gatehouse/proxy/config"
	"gatehouse/rules/engine"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitDiffer = 2 // of plan
	exitUsage  = 64
)

// cli is what a command may use of the world.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	// compiled is an engine with which offline judging shares what is compiled, nil for none: tests run many commands.
	compiled *engine.Engine

	// fromEnv has the flags of the command that the environment set, not the command line.
	fromEnv map[string]bool
}

// command is what the first words of the command line name.
type command struct {
	name string // one word or more, such as "manager setup"
	// synopsis is what follows the name on a usage line.
	synopsis string
	// short says in one line what the command does; long is printed by -h below the usage line.
	short, long string
	// setup declares the flags and gives the function that runs the command with its positional arguments.
	setup func(c *cli, flags *flag.FlagSet) func(ctx context.Context, args []string) error
}

// commands lists every command in the order of the help text.
func commands() []command {
	return []command{
		devCommand(), gatewayCommand(), checkCommand(), inspectCommand(), testCommand(), routeCommand(), incidentCommand(),
		reportCommand(), benchCommand(), schemaCommand(), healthcheckCommand(),
		revisionBuildCommand(), revisionKeyCommand(),
		managerCommand(), managerSetupCommand(), managerUserResetCommand(), managerBackupCommand(), managerRestoreCommand(),
		eventsCommand(), tokenCreateCommand(), auditListCommand(), auditVerifyCommand(), auditExportCommand(),
		planCommand(), applyCommand(), publishCommand(), exportCommand(),
		rolloutListCommand(), rolloutStatusCommand(), rolloutPauseCommand(), rolloutResumeCommand(), rolloutAdvanceCommand(), rolloutAbortCommand(),
		rolloutRollbackCommand(), statusCommand(),
		blockCommand(), limitCommand(), modeCommand(), ruleDisableCommand(), actionsCommand(), actionsUndoCommand(),
		completionCommand(), versionCommand(),
	}
}

// usageError is a wrong use of the command line: exit 64.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// errReported ends a command with exit 1 when everything has been said already.
var errReported = errors.New("reported")

// main runs the command that args name and gives the exit code.
func (c *cli) main(ctx context.Context, args []string) int {
	if len(args) == 0 {
		c.help(c.stderr)
		return exitUsage
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		if len(args) > 1 && args[0] == "help" {
			return c.main(ctx, append(slices.Clone(args[1:]), "-h"))
		}
		c.help(c.stdout)
		return exitOK
	case "-version", "--version":
		args = []string{"version"}
	}
	if cmd, rest, ok := findCommand(args); ok {
		return c.run(ctx, cmd, rest)
	}
	if below := commandsBelow(args[0]); len(below) > 0 {
		return c.mainBelow(args, below)
	}
	names := nextWords("")
	fmt.Fprintf(c.stderr, "gatehouse: %q is not a command%s (%s)\n", args[0], config.DidYouMean(args[0], names), strings.Join(names, ", "))
	return exitUsage
}

// findCommand gives the command with the longest name that args begin with, and the arguments behind it.
func findCommand(args []string) (found command, rest []string, ok bool) {
	longest := 0
	for _, cmd := range commands() {
		words := strings.Fields(cmd.name)
		if n := len(words); n > longest && n <= len(args) && slices.Equal(words, args[:n]) {
			found, rest, ok, longest = cmd, args[n:], true, n
		}
	}
	return found, rest, ok
}

// commandsBelow are those whose name begins with the word and goes on.
func commandsBelow(word string) []command {
	return slices.DeleteFunc(commands(), func(cmd command) bool { return !strings.HasPrefix(cmd.name, word+" ") })
}

// nextWords are the words that may follow the given ones in the name of a command.
func nextWords(given string) []string {
	var words []string
	for _, cmd := range commands() {
		after, ok := strings.CutPrefix(cmd.name, given)
		if word, _, _ := strings.Cut(after, " "); ok && word != "" && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

// mainBelow answers a first word that is no command without another one.
func (c *cli) mainBelow(args []string, below []command) int {
	words := nextWords(args[0] + " ")
	if len(args) > 1 && slices.Contains([]string{"-h", "-help", "--help"}, args[1]) {
		fmt.Fprintf(c.stdout, "usage: gatehouse %s %s [flags] [arguments]\n\n", args[0], strings.Join(words, "|"))
		listCommands(c.stdout, below)
		fmt.Fprintf(c.stdout, "\ngatehouse %s %s -h explains one.\n", args[0], words[0])
		return exitOK
	}
	said := "what of it?"
	if len(args) > 1 {
		said = fmt.Sprintf("%q is not one of its commands%s", args[1], config.DidYouMean(args[1], words))
	}
	fmt.Fprintf(c.stderr, "gatehouse %s: %s (%s)\n", args[0], said, strings.Join(words, ", "))
	return exitUsage
}

// listCommands writes a line each.
func listCommands(w io.Writer, list []command) {
	width := 12
	for _, cmd := range list {
		width = max(width, len(cmd.name))
	}
	for _, cmd := range list {
		fmt.Fprintf(w, "  %-*s %s\n", width, cmd.name, cmd.short)
	}
}

// run parses the flags of one command, which may stand before, between and behind its arguments, and runs it.
func (c *cli) run(ctx context.Context, cmd command, args []string) int {
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	do := cmd.setup(c, flags)
	positional, err := c.parse(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		cmd.usage(c.stdout, flags)
		return exitOK
	}
	if err == nil {
		err = do(ctx, positional)
	}
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errDifferences):
		return exitDiffer
	case errors.As(err, &usage):
		fmt.Fprintf(c.stderr, "gatehouse %s: %v\nusage: gatehouse %s %s\nmore: gatehouse %s -h\n", cmd.name, err, cmd.name, cmd.synopsis, cmd.name)
		return exitUsage
	case !errors.Is(err, errReported):
		fmt.Fprintf(c.stderr, "gatehouse %s: %v\n", cmd.name, err)
	}
	return exitFailed
}

// parse reads flags and positional arguments in any order, then the environment: -foo-bar is also GATEHOUSE_FOO_BAR,
// where the command line wins.
func (c *cli) parse(flags *flag.FlagSet, args []string) ([]string, error) {
	var positional []string
	for {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageError{err.Error()}
		}
		rest := flags.Args()
		if len(rest) == 0 {
			break
		}
		if len(rest) < len(args) && args[len(args)-len(rest)-1] == "--" { // everything behind -- is an argument
			positional = append(positional, rest...)
			break
		}
		positional, args = append(positional, rest[0]), rest[1:]
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var err error
	c.fromEnv = map[string]bool{}
	flags.VisitAll(func(f *flag.Flag) {
		value := c.getenv(envName(f.Name))
		if value == "" || given[f.Name] || err != nil {
			return
		}
		if setErr := flags.Set(f.Name, value); setErr != nil {
			err = usagef("environment variable %s: %v", envName(f.Name), setErr)
		}
		c.fromEnv[f.Name] = true
	})
	return positional, err
}

// envName is the environment variable of a flag.
func envName(name string) string {
	return "GATEHOUSE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// help lists the commands.
func (c *cli) help(w io.Writer) {
	fmt.Fprintln(w, "gatehouse is a layer-7 WAF gateway that runs in your own network.")
	fmt.Fprintln(w, "\nusage: gatehouse COMMAND [flags] [arguments]")
	fmt.Fprintln(w)
	listCommands(w, commands())
	fmt.Fprintln(w, "\ngatehouse COMMAND -h explains a command. Every flag -foo-bar is also the environment variable GATEHOUSE_FOO_BAR.")
	fmt.Fprintln(w, "Start here: gatehouse dev")
}

// usage explains one command.
func (cmd command) usage(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprintf(w, "%s\n\nusage: gatehouse %s %s\n", strings.ToUpper(cmd.short[:1])+cmd.short[1:]+".", cmd.name, cmd.synopsis)
	if cmd.long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.Trim(cmd.long, "\n")) // indented examples may come first
	}
	any := false
	flags.VisitAll(func(f *flag.Flag) {
		if !any {
			fmt.Fprintln(w, "\nflags:")
			any = true
		}
		value, text := flag.UnquoteUsage(f)
		name := "-" + f.Name
		if value != "" {
			name += " " + value
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "0s" {
			text += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintf(w, "  %-24s %s\n", name, text)
	})
}

// outputFlag declares -o. Every command has it but those that serve, and completion, whose output is a script.
func outputFlag(flags *flag.FlagSet) *string {
	o := "text"
	flags.Func("o", "output `format`: text or json (default text)", func(s string) error {
		if !slices.Contains([]string{"text", "json"}, s) {
			return fmt.Errorf("%q is not an output format (text, json)", s)
		}
		o = s
		return nil
	})
	return &o
}

// configFlag declares -config.
func configFlag(flags *flag.FlagSet) *string {
	return flags.String("config", "", "`path` of the configuration: a file, or a directory of *.yaml")
}

// printJSON writes v as one indented JSON document.
func (c *cli) printJSON(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printLine writes v as one line of JSON.
func (c *cli) printLine(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
