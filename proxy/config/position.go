package config

import (
	"fmt"
	"strings"
)

// places maps configuration paths, such as applications[0].exclusions[2].targets[0], to where they were written.
// A path that is in it was written by the operator; everything else is a default.
type places map[string]Place

// find gives the place of a path or of its nearest ancestor that was written.
func (p places) find(path string) Place {
	for {
		if place, ok := p[path]; ok {
			return place
		}
		if path == "" {
			return Place{}
		}
		path = parentPath(path)
	}
}

// parentPath cuts the last key or index off a path.
func parentPath(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

// key and item build paths.
func key(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
