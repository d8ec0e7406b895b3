package policy

import (
	"fmt"
	"regexp"
	"strings"
)

// Path is a compiled path pattern, for those who match paths outside of rule text. It means what the pattern means in
// exclusions. It may be used concurrently.
type Path struct {
	exact string
	re    *regexp.Regexp // nil if only exact matches
}

// CompilePath compiles a path pattern. The error says what would be right.
func CompilePath(pattern string) (*Path, error) {
	if err := checkPath(pattern); err != nil {
		return nil, err
	}
	if !strings.Contains(pattern, "*") {
		return &Path{exact: pattern}, nil
	}
	re, err := regexp.Compile(`(?s)\A(?:` + pathRegex(pattern, strictly) + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", pattern, err)
	}
	return &Path{re: re}, nil
}

// Match reports whether the pattern takes a canonical path, in time linear in its length.
func (p *Path) Match(path string) bool {
	if p.re == nil {
		return path == p.exact
	}
	return p.re.MatchString(path)
}
