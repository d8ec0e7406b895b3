package program

import (
	"math"
	"slices"
	"sync/atomic"

	"gatehouse/rules/program/byteset"
	"gatehouse/rules/program/transform"
)

// plan is what a shape comes to for values of a kind: those in which the same transformations find bytes that matter to
// them. All nodes that are known to leave such a value as it is are one step, and so are those that do the same to the
// same text.
type plan struct {
	kind kind
	of   []int16 // by node, its step
	// steps are what is left of the nodes, each after its parent. The first is the value itself.
	steps  []planned
	wanted []int16 // the steps with patterns, the first left out
}

// planned is a step of a plan.
type planned struct {
	parent int16
	step   *transform.Func // nil for the value itself
	multi  bool
	want   []Bits // by set the patterns of all its nodes; nil if there are none
	// needs are bytes of which every text has one that a pattern matches; with free, no such bytes are known.
	needs byteset.Set
	free  bool
	// A text is not made of a shorter value than least, nor of a text before it that is shorter than leastBefore: no pattern
	// would match it. Neither is it if these do not have what reach and reachBefore need.
	least, leastBefore int
	reach, reachBefore reach

	minimum int // bytes of the shortest match
	below   int // bytes of the shortest text in which it, or a step after it, may have a match
	// found is what such a text needs.
	found reach
	// spaced says that the step before removes white space, and the transformation can be asked about the text before that.
	spaced bool
	// adds are the bytes that its text may have though the value does not; grows is how many times longer it may be.
	adds  byteset.Set
	grows float64
}

// kind is the set of a shape's special sets that a value has a byte of.
type kind uint64

// plans are those that were made so far for a shape. It is safe for concurrent use. There is room for a fixed number, and
// a new one takes the place of another: whatever clients send, it does not grow.
type plans [planSlots]atomic.Pointer[plan]

const (
	planSlots = 128 // a power of two
	planTries = 4   // slots in which a plan may be
)

// Seal makes a shape, whose exported fields are set, ready to run.
func (s *Shape) Seal() {
	s.specialOf = make([]int8, len(s.Nodes))
	for i := range s.Nodes {
		s.specialOf[i] = -1
		if i == 0 {
			continue
		}
		set, bounded := s.Nodes[i].Step.Relevant()
		if !bounded {
			continue
		}
		at := slices.Index(s.specials, set)
		if at < 0 {
			at = len(s.specials)
			s.specials = append(s.specials, set)
		}
		s.specialOf[i] = int8(at) // there are not as many transformations as bits
	}
}

// plan is the one for values with these bytes.
func (s *Shape) plan(mask *byteset.Set) *plan {
	var k kind
	for i := range s.specials {
		if mask.Intersects(s.specials[i]) {
			k |= 1 << i
		}
	}
	slot := uint64(k) * 0x9e3779b97f4a7c15 >> 32
	for i := range uint64(planTries) {
		if p := s.plans[(slot+i)%planSlots].Load(); p != nil && p.kind == k {
			return p
		}
	}
	p := s.newPlan(k)
	for i := range uint64(planTries) {
		if s.plans[(slot+i)%planSlots].CompareAndSwap(nil, p) {
			return p
		}
	}
	s.plans[slot%planSlots].Store(p)
	return p
}

func (s *Shape) newPlan(k kind) *plan {
	p := &plan{kind: k, of: make([]int16, len(s.Nodes)), steps: []planned{{parent: -1, grows: 1, minimum: math.MaxInt32, below: math.MaxInt32}}}
	p.steps[0].add(&s.Nodes[0])
	for i := 1; i < len(s.Nodes); i++ {
		n := &s.Nodes[i]
		parent := p.of[n.Parent]
		at := parent
		if special := s.specialOf[i]; parent != 0 || special < 0 || k>>special&1 != 0 {
			at = p.child(parent, n)
		}
		p.of[i] = at
		p.steps[at].add(n)
	}
	for i := range p.steps {
		c := &p.steps[i]
		if i > 0 && c.want != nil {
			c.bound()
			p.wanted = append(p.wanted, int16(i))
		}
	}
	for i := len(p.steps) - 1; i > 0; i-- {
		c := &p.steps[i]
		c.below = min(c.below, c.minimum)
		c.found = c.found.or(reach{c.needs, c.free})
		before := &p.steps[c.parent]
		before.below = min(before.below, shortest(c.below, c.step.Grows()))
		before.found = before.found.or(c.found.before(c.step))
		c.spaced = c.step.Checks() && before.step != nil && before.step.RemovesSpace()
	}
	return p
}

// child finds or makes the step of a node.
func (p *plan) child(parent int16, n *Node) int16 {
	for i := range p.steps {
		if c := &p.steps[i]; c.parent == parent && c.step == n.Step && c.multi == n.Multi {
			return int16(i)
		}
	}
	before := &p.steps[parent]
	p.steps = append(p.steps, planned{
		parent: parent, step: n.Step, multi: n.Multi, minimum: math.MaxInt32, below: math.MaxInt32,
		adds: before.adds.Union(n.Step.Adds()), grows: before.grows * max(n.Step.Grows(), 1),
	})
	return int16(len(p.steps) - 1)
}

// add adds the patterns of a node.
func (c *planned) add(n *Node) {
	if n.Want == nil {
		return
	}
	for _, p := range n.Patterns {
		c.minimum = min(c.minimum, p.Minimum())
		set, known := p.Needs()
		c.needs, c.free = c.needs.Union(set), c.free || !known
	}
	all := make([]Bits, len(n.Want))
	for i := range all {
		all[i] = slices.Clone(n.Want[i])
		if c.want != nil && c.want[i] != nil {
			if all[i] == nil {
				all[i] = c.want[i]
			} else {
				orBits(all[i], c.want[i])
			}
		}
	}
	c.want = all
}

// bound finds out which values and texts need not be looked at.
func (c *planned) bound() {
	c.least, c.leastBefore = shortest(c.minimum, c.grows), shortest(c.minimum, c.step.Grows())
	c.reach = reach{c.needs, c.free || c.adds.Intersects(c.needs)}
	c.reachBefore = reach{c.needs, c.free}.before(c.step)
}

// reach is bytes of which one is needed, or with free none.
type reach struct {
	set  byteset.Set
	free bool
}

// before is what a text needs of which a transformation makes one that has what r needs.
func (r reach) before(f *transform.Func) reach {
	if !f.Adds().Intersects(r.set) {
		return r
	}
	special, bounded := f.Relevant()
	return reach{r.set.Union(special), r.free || !bounded}
}

// or is what a text needs that has what r or s needs.
func (r reach) or(s reach) reach { return reach{r.set.Union(s.set), r.free || s.free} }

// any are the bytes needed, or nil.
func (r *reach) any() *byteset.Set {
	if r.free {
		return nil
	}
	return &r.set
}

// met says whether a text with these bytes has what is needed.
func (r *reach) met(mask *byteset.Set) bool { return r.free || mask.Intersects(r.set) }

// shortest is how long a value is at least of which a text of that length is made.
func shortest(text int, grows float64) int { return int(math.Ceil(float64(text) / grows)) }
