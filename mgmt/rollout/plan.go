package rollout

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/mgmt/object"
	"gatehouse/proxy/config"
)

// defaultSoak is how long a stage is watched unless the group says it; the reference of the configuration has it too.
const defaultSoak = 10 * time.Minute

// planOf is how revisions reach a group, by what the revision itself says of it. Who has no stage but all wants nothing tried first: it is not
// watched for longer than it takes all gateways to serve it.
func planOf(content object.Set, group string) (stages []config.Stage, soak time.Duration) {
	stages, soak = []config.Stage{"1", "10%", "50%", "all"}, defaultSoak
	body := content[object.Key{Kind: object.Groups, Name: group}]
	rollout, _ := body["rollout"].(map[string]any)
	if list, _ := rollout["stages"].([]any); len(list) > 0 {
		stages = nil
		for _, x := range list {
			stages = append(stages, stageOf(x))
		}
	}
	if text, ok := rollout["soak"].(string); ok {
		var d config.Duration
		if d.UnmarshalText([]byte(text)) == nil { // a revision was loaded with it: it can be read
			soak = d.D()
		}
	}
	if len(stages) == 1 {
		soak = 0
	}
	return stages, soak
}

// stageOf reads a stage, which JSON may hold as a number.
func stageOf(x any) config.Stage {
	if n, ok := x.(float64); ok {
		return config.Stage(strconv.Itoa(int(n)))
	}
	text, _ := x.(string)
	return config.Stage(text)
}

// sizeOf is how many of n gateways have the revision in a stage, 1 at least if there are any.
func sizeOf(stage config.Stage, n int) int {
	digits, isShare := strings.CutSuffix(string(stage), "%")
	k, err := strconv.Atoi(digits)
	switch {
	case err != nil: // all
		return n
	case isShare:
		const hundred = 100
		k = (n*k + hundred - 1) / hundred
	}
	return min(max(k, 1), n)
}

// nextStage is the first stage behind one (-1 is the beginning) that brings the revision to more gateways than have it: on small groups, stages
// collapse. The last stage is all there are.
func nextStage(stages []config.Stage, after, have, n int) int {
	for i := after + 1; i < len(stages)-1; i++ {
		if size := sizeOf(stages[i], n); size > have && size < n {
			return i
		}
	}
	return len(stages) - 1
}

// choose picks which gateways come first: those that cannot be shown what the others serve anyway, then others in an order
// that is another one for each rollout.
func choose(id string, candidates []string, first func(string) bool, n int) []string {
	rank := func(name string) string {
		sum := sha256.Sum256([]byte(id + "\n" + name))
		return string(sum[:])
	}
	list := slices.Clone(candidates)
	slices.SortFunc(list, func(a, b string) int {
		if x, y := first(a), first(b); x != y {
			return map[bool]int{true: -1, false: 1}[x]
		}
		return cmp.Compare(rank(a), rank(b))
	})
	return list[:min(max(n, 0), len(list))]
}
