package coraza

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/experimental"

	"gatehouse/rules"
)

// scanned is a source as its directives.
type scanned struct {
	name       string
	directives []directive
}

// maxProblems bounds the problems of one load. Each costs another pass over the text.
const maxProblems = 20

// loaded is a WAF with what the driver knows about its text.
type loaded struct {
	waf        coraza.WAF
	places     []sourcePlaces
	detectOnly bool
}

// sourcePlaces keep of a source what matches are reported by: its name, and the line of each directive.
type sourcePlaces struct {
	name  string
	lines []int
}

func placesOf(sources []scanned) []sourcePlaces {
	places := make([]sourcePlaces, len(sources))
	for i, s := range sources {
		places[i] = sourcePlaces{name: s.name, lines: make([]int, len(s.directives))}
		for j, d := range s.directives {
			places[i].lines[j] = d.line
		}
	}
	return places
}

// load builds one WAF from a policy's text. All problems found are reported together, as rules.TextErrors.
func load(p rules.Policy) (*loaded, error) {
	sources := make([]scanned, 0, len(p.Sources)+1)
	sources = append(sources, scanned{}) // the engine's own settings, below
	var problems rules.TextErrors
	for _, source := range p.Sources {
		directives, found := scan(source)
		problems = append(problems, found...)
		sources = append(sources, scanned{name: source.Name, directives: directives})
	}
	sources[0] = engineSettings(p.Limits, sources[1:])
	text := check(sources[1:])
	problems = append(problems, text.problems...)
	drop(sources, problems)

	for {
		waf, problem, err := build(sources)
		switch {
		case err != nil:
			return nil, fmt.Errorf("load policy %s: %w", p.Name, err)
		case problem != nil && len(problems) < maxProblems:
			problems = append(problems, *problem)
			drop(sources, rules.TextErrors{*problem})
			continue
		case len(problems) > 0:
			if waf != nil {
				if err := closeWAF(waf); err != nil {
					return nil, fmt.Errorf("load policy %s: %w", p.Name, err)
				}
			}
			return nil, inTextOrder(p.Sources, problems)
		}
		if err := isolate(waf); err != nil {
			return nil, fmt.Errorf("load policy %s: %w", p.Name, err)
		}
		return &loaded{waf: waf, places: placesOf(sources), detectOnly: text.detectOnly}, nil
	}
}

// engineSettings are the directives that the driver itself puts in front of every policy.
func engineSettings(limits rules.Limits, text []scanned) scanned {
	arguments, depth := limits.Arguments, limits.JSONDepth
	if arguments <= 0 {
		arguments = defaultArguments
	}
	if depth <= 0 {
		depth = defaultJSONDepth
	}
	lines := []string{
		"SecRuleEngine On",
		"SecRequestBodyAccess On",
		"SecResponseBodyAccess On",
		"SecRxPreFilter Off",              // with it, some captures are not set
		"SecResponseBodyLimit 1073741824", // bodies are cut before they get here
		fmt.Sprintf("SecArgumentsLimit %d", arguments),
		fmt.Sprintf("SecRequestBodyJsonDepthLimit %d", depth),
		"SecAuditEngine Off",
	}
	// A rule that says neither log nor nolog is logged. Coraza does so for phase 2 alone; without a default for the other
	// phases, what CRS finds in replies would act and not be shown. In phase 5 stands only CRS's own summary of scores.
	for _, phase := range []rules.Phase{rules.PhaseRequestHeaders, rules.PhaseResponseHeaders, rules.PhaseResponseBody} {
		if !hasDefaultAction(text, phase) {
			lines = append(lines, fmt.Sprintf(`SecDefaultAction "phase:%d,log,auditlog,pass"`, phase))
		}
	}
	s := scanned{name: "engine settings"}
	for i, line := range lines {
		s.directives = append(s.directives, directive{line: i + 1, raw: line + "\n", group: i})
	}
	return s
}

// hasDefaultAction says whether the text has a SecDefaultAction for a phase. There can be only one.
func hasDefaultAction(text []scanned, phase rules.Phase) bool {
	for _, s := range text {
		for _, d := range s.directives {
			if d.name != "secdefaultaction" {
				continue
			}
			r, _ := d.rule()
			if slices.Contains(r.actions, action{name: "phase", value: strconv.Itoa(int(phase))}) {
				return true
			}
		}
	}
	return false
}

// drop takes the directives at the places of the problems, with the chains that they belong to, out of the next build.
func drop(sources []scanned, problems rules.TextErrors) {
	for _, p := range problems {
		for _, s := range sources {
			if s.name != p.Source {
				continue
			}
			i := slices.IndexFunc(s.directives, func(d directive) bool { return d.line == p.Line })
			if i < 0 {
				continue
			}
			group := s.directives[i].group
			for j := range s.directives {
				if s.directives[j].group == group {
					s.directives[j].dropped = true
				}
			}
		}
	}
}

// build lets Coraza read the directives that are not dropped. A problem in the text is returned with its place; an
// error is anything else.
func build(sources []scanned) (coraza.WAF, *rules.TextError, error) {
	files, err := newRuleFiles(sources)
	if err != nil {
		return nil, nil, err
	}
	config := coraza.NewWAFConfig().WithRootFS(files)
	if len(files.names) > 0 {
		config = config.WithDirectivesFromFile(allFiles)
	}
	waf, err := coraza.NewWAF(config)
	if err == nil {
		return waf, nil, nil
	}
	if !inText.MatchString(err.Error()) || files.last.source == 0 {
		return nil, nil, err
	}
	s := sources[files.last.source]
	return nil, &rules.TextError{
		Source:  s.name,
		Line:    s.directives[files.last.directive].line,
		Message: clearMessage(sources, files.last, err.Error()),
	}, nil
}

// inText recognises Coraza's errors about a directive, and the words in front of what is wrong with it.
var inText = regexp.MustCompile(`^invalid WAF config from file: (failed to parse string: )?(failed to compile the directive "(\w+)": )?`)

// clearMessage takes the steps of Coraza's loader out of its message, and adds what would be right where it is known.
func clearMessage(sources []scanned, at position, message string) string {
	directiveName := ""
	if m := inText.FindStringSubmatch(message); m != nil {
		directiveName = m[3]
		message = message[len(m[0]):]
	}
	message = strings.TrimPrefix(message, "failed to compile rule: ")
	switch {
	case strings.HasSuffix(message, "file does not exist"):
		message = "the data file is not part of an embedded CRS release: " + message
	case strings.Contains(message, "duplicated rule id"):
		message = duplicateMessage(sources, at)
	}
	if directiveName != "" {
		return directiveName + ": " + message
	}
	return message
}

// duplicateMessage says where the id of the rule at that position was used before.
func duplicateMessage(sources []scanned, at position) string {
	r, _ := sources[at.source].directives[at.directive].rule()
	for _, s := range sources[:at.source+1] {
		for _, d := range s.directives {
			if other, ok := d.rule(); ok && !d.dropped && d.name != "secruleupdateactionbyid" && other.id() == r.id() {
				return fmt.Sprintf("rule id %d is already used at %s:%d; give this rule another id", r.id(), s.name, d.line)
			}
		}
	}
	return fmt.Sprintf("rule id %d is already used", r.id())
}

// inTextOrder sorts problems by source, as the policy has them, and line.
func inTextOrder(sources []rules.Source, problems rules.TextErrors) rules.TextErrors {
	order := make(map[string]int, len(sources))
	for i, s := range sources {
		order[s.Name] = i
	}
	slices.SortStableFunc(problems, func(a, b rules.TextError) int {
		if d := order[a.Source] - order[b.Source]; d != 0 {
			return d
		}
		return a.Line - b.Line
	})
	return problems
}

// closeWAF frees the patterns that a WAF keeps in the process-wide cache.
func closeWAF(waf coraza.WAF) error {
	closer, ok := waf.(experimental.WAFCloser)
	if !ok {
		return nil
	}
	if err := closer.Close(); err != nil {
		return fmt.Errorf("close the rule set: %w", err)
	}
	return nil
}

// ruleCount counts a WAF's rules.
func ruleCount(waf coraza.WAF) int {
	counter, ok := waf.(interface{ RulesCount() int })
	if !ok {
		return 0
	}
	return counter.RulesCount()
}
