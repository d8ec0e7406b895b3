package compile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"weak"

	"gatehouse/rules/program"
	"gatehouse/rules/program/pattern"
	"gatehouse/rules/program/transform"
)

// class is what to do with values that these rules look at.
func (g *grouping) class(rules []int) *program.Class {
	slices.Sort(rules)
	rules = slices.Compact(rules)
	c := &program.Class{}
	var wants []want
	for _, i := range rules {
		w := want{chain: g.program.Rules[i].Chain}
		if g.present[i] {
			c.Present = append(c.Present, int32(i))
			continue
		}
		if g.program.Nominated.Has(i) {
			w.nominated, w.multi, w.use = true, g.program.Rules[i].MultiMatch, g.patternOf[i]
		} else {
			c.Run = append(c.Run, int32(i))
		}
		wants = append(wants, w)
	}
	c.Shape = g.shape(wants)
	return c
}

// want is what a rule wants of a value: to be transformed, and unless it is not nominated, to be looked through for a
// pattern.
type want struct {
	chain            int
	nominated, multi bool
	use              patternUse
}

// shape finds or makes the shape for what rules want. Shapes in which only patterns of the shared set are looked for are
// shared by the policies that share it.
func (g *grouping) shape(wants []want) *program.Shape {
	var key strings.Builder
	for _, w := range wants {
		if w.nominated && w.use.set != sharedSet {
			return g.newShape(wants)
		}
		fmt.Fprintf(&key, "%d %t %t %d,", w.chain, w.nominated, w.multi, w.use.number)
	}
	k := shapeKey{weak.Make(g.program.Sets[sharedSet]), key.String()}
	if s := g.compiler.shapes[k].Value(); s != nil {
		return s
	}
	s := g.newShape(wants)
	if g.compiler.shapes == nil {
		g.compiler.shapes = make(map[shapeKey]weak.Pointer[program.Shape])
	}
	g.compiler.shapes[k] = weak.Make(s)
	return s
}

// shapeKey tells shapes apart: the numbers of patterns are those of a set.
type shapeKey struct {
	set   weak.Pointer[pattern.Set]
	wants string
}

// dropShapes forgets the shapes that no policy uses.
func (c *Compiler) dropShapes() {
	maps.DeleteFunc(c.shapes, func(_ shapeKey, s weak.Pointer[program.Shape]) bool { return s.Value() == nil })
}

func (g *grouping) newShape(wants []want) *program.Shape {
	b := shapeBuilder{grouping: g, shape: &program.Shape{
		Nodes:  []program.Node{{Parent: -1}},
		NodeOf: make([]int16, g.compiler.chains.Len()),
	}}
	for i := range b.shape.NodeOf {
		b.shape.NodeOf[i] = -1
	}
	for _, w := range wants {
		path := b.path(w.chain, w.multi)
		if !w.nominated {
			continue
		}
		b.shape.Looks = true
		if !w.multi {
			path = path[len(path)-1:]
		}
		for _, node := range path {
			g.add(&b.shape.Nodes[node], w.use)
		}
	}
	b.shape.Seal()
	return b.shape
}

// add adds a pattern to those that are looked for.
func (g *grouping) add(n *program.Node, use patternUse) {
	patterns := g.sets[use.set].patterns
	if n.Want == nil {
		n.Want = make([]program.Bits, len(g.sets))
	}
	if n.Want[use.set] == nil {
		n.Want[use.set] = program.NewBits(len(patterns))
	}
	if !n.Want[use.set].Has(use.number) {
		n.Want[use.set].Set(use.number)
		n.Patterns = append(n.Patterns, patterns[use.number])
	}
}

// shapeBuilder makes a shape.
type shapeBuilder struct {
	grouping *grouping
	shape    *program.Shape
}

// path finds or makes the nodes of a chain: that of the value, and one a transformation.
func (b *shapeBuilder) path(chain int, multi bool) []int16 {
	at := 0
	path := []int16{0}
	for _, step := range b.grouping.compiler.chains.Steps(chain) {
		at = b.child(at, step, multi)
		path = append(path, int16(at))
	}
	switch {
	case !multi:
		b.shape.NodeOf[chain] = int16(at)
	case b.shape.StepsOf == nil:
		b.shape.StepsOf = map[int][]int16{chain: path}
	default:
		b.shape.StepsOf[chain] = path
	}
	return path
}

// child finds or makes the node of a step after another.
func (b *shapeBuilder) child(parent int, step *transform.Func, multi bool) int {
	s := b.shape
	at := slices.IndexFunc(s.Nodes, func(n program.Node) bool { return n.Parent == parent && n.Step == step && n.Multi == multi })
	if at >= 0 {
		return at
	}
	s.Nodes = append(s.Nodes, program.Node{Parent: parent, Step: step, Multi: multi})
	return len(s.Nodes) - 1
}
