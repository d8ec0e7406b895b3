package config

import (
	"fmt"
	"strings"
)

// checkPath gives the message for what is no canonical path, or "": routes are compared with paths that are decoded,
// without dot segments and with single slashes.
func checkPath(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"):
		return fmt.Sprintf("%q does not begin with a slash; did you mean %q?", path, "/"+path)
	case strings.ContainsAny(path, "?#"):
		return fmt.Sprintf("%q holds a query or a fragment; only paths are compared", path)
	case strings.Contains(path, "*"):
		return fmt.Sprintf("%q holds a pattern; match: prefix takes everything below a path: %q", path, beforeStar(path))
	case strings.Contains(path, `\`):
		return fmt.Sprintf("%q holds a backslash; paths are written with /", path)
	case strings.Contains(path, "//"):
		return fmt.Sprintf("%q holds an empty segment; paths are compared with single slashes", path)
	case hasEscape(path):
		return fmt.Sprintf("%q holds a percent escape; paths are compared decoded, so write the character itself", path)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return fmt.Sprintf("%q holds a dot segment; write the path that it leads to", path)
		}
	}
	return ""
}

// beforeStar gives the whole segments in front of a wildcard.
func beforeStar(path string) string {
	head, _, _ := strings.Cut(path, "*")
	return head[:max(1, strings.LastIndexByte(head, '/'))]
}

func hasEscape(path string) bool {
	const hex = "0123456789abcdefABCDEF"
	for i := 0; i+2 < len(path); i++ {
		if path[i] == '%' && strings.IndexByte(hex, path[i+1]) >= 0 && strings.IndexByte(hex, path[i+2]) >= 0 {
			return true
		}
	}
	return false
}

// leadsTo says that path is prefix or lies below it, by whole segments.
func leadsTo(prefix, path string) bool {
	prefix, path = strings.TrimSuffix(prefix, "/"), strings.TrimSuffix(path, "/")
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}
