package policy

import (
	"fmt"
	"regexp"
	"sync"

	"gatehouse/rules/crs"
)

var (
	tagRE     = regexp.MustCompile(`\btag:'?([^',"\\\s]+)`)
	knownTags sync.Map // of version: map[string]bool, not changed once it is there
)

// ReleaseTags gives the tags that rules of a CRS release carry. An empty version is the newest release. The caller must
// not change the map.
func ReleaseTags(version string) (map[string]bool, error) {
	if tags, ok := knownTags.Load(version); ok {
		return tags.(map[string]bool), nil
	}
	release, err := crs.Load(version)
	if err != nil {
		return nil, fmt.Errorf("tags: %w", err)
	}
	tags := map[string]bool{}
	for _, s := range release.Rules {
		for _, t := range TextTags(s.Text) {
			tags[t] = true
		}
	}
	knownTags.Store(version, tags)
	return tags, nil
}

// TextTags gives the tags that stand in rule text, in comments too.
func TextTags(text string) []string {
	var tags []string
	for _, m := range tagRE.FindAllStringSubmatch(text, -1) {
		tags = append(tags, m[1])
	}
	return tags
}
