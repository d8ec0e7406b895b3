package compile

import (
	"iter"
	"strings"

	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program"
	"gatehouse/rules/program/variable"
)

// decision is what folding found about a rule.
type decision uint8

const (
	// run: the rule depends on the request.
	run decision = iota
	// dropped: the rule does nothing.
	dropped
	// folded: the rule does what its assignments say, and nothing else.
	folded
)

// folding is the partial evaluation of a policy: the rules that depend on nothing but constants are executed here.
//
// It assumes that every rule up to a place ran, or was skipped as the rules say by constants alone. What happens in a
// request may break this: a rule that is skipped, removed or allowed away. Rules that can do so to a folded one are in
// Unfolds: after them the transaction goes on with more rules.
//
// At the level Assumed it also takes for granted that no rule that depends on the request adds to a field, and that nothing was
// interrupted: phase 5 is folded too. The fields that are added to are watched.
type folding struct {
	program   *program.Program
	level     program.Level
	result    program.Folding
	decisions []decision
	// arguments are what the arguments of operators come to that refer to constant fields, by rule.
	arguments map[int]string
	// linkArguments are those of the first link.
	linkArguments map[int]string
	// changing are the fields of TX that depend on the request, prefixes those whose names begin so.
	changing map[int]bool
	prefixes []string
	grown    bool
	// fixed are the fields that are set from outside and by no rule.
	fixed map[int]bool
	// crossing are the rules that would skip beyond their phase, whichever comes next: they are not folded.
	crossing map[int]bool
}

// driverFields are the fields that are set from outside before any rule runs.
var driverFields = []string{
	"gatehouse_detect", "gatehouse_host", "gatehouse_path", "gatehouse_application", "gatehouse_route",
	"gatehouse_traffic", "gatehouse_now", "gatehouse_kind",
}

// walks are the phases in the order in which they run. Phase 5 also runs after an interruption, when other rules did not:
// it is folded for requests without one whose reply has no body to inspect, and only at the level Assumed.
var walks = map[program.Level][][]int{
	program.Assumed:  {{1, 2, 3, 4}, {1, 2, 3, 5}},
	program.Constant: {{1, 2, 3, 4}},
}

// fold decides what can be decided at a level.
func fold(p *program.Program, level program.Level) *folding {
	f := &folding{program: p, level: level, changing: make(map[int]bool), crossing: make(map[int]bool)}
	for i := range program.Captures {
		f.changing[i] = true
	}
	f.changing[f.slot("json_request_body")] = true
	f.fixed = make(map[int]bool)
	for _, name := range driverFields {
		slot := f.slot(name)
		f.fixed[slot] = true
		f.changing[slot] = true
	}
	delete(f.changing, -1)
	delete(f.fixed, -1)
	for f.pass(); f.grown; f.pass() {
	}
	f.unfolds()
	p.Foldings[level] = f.result
	return f
}

func (f *folding) slot(name string) int { return f.program.Slot(name) }

// pass walks through all phases under what is known of changing fields.
func (f *folding) pass() {
	f.grown = false
	f.decisions = make([]decision, len(f.program.Rules))
	f.arguments, f.linkArguments = make(map[int]string), make(map[int]string)
	f.result = program.Folding{Acts: program.NewBits(len(f.program.Rules))}
	for _, phases := range walks[f.level] {
		trial := f.program.NewTrial()
		for _, phase := range phases {
			f.result.Assignments[phase] = f.phase(phase, trial)
		}
	}
	if f.level != program.Assumed {
		for i := range f.program.Phases[5].All() {
			f.depends(f.program.Rules[i])
		}
	}
}

// phase walks through one phase and gives what its folded rules assign.
func (f *folding) phase(phase int, trial *program.Trial) []program.Assignment {
	p := f.program
	skipAfter, skips := "", 0
	var all []program.Assignment
	for i := range p.Phases[phase].All() {
		r := p.Rules[i]
		if r.Marker != "" {
			if r.Marker == skipAfter {
				skipAfter = ""
			}
			continue
		}
		switch {
		case skipAfter != "":
			f.decisions[i] = dropped
		case !f.crossing[i] && f.constant(r):
			f.decisions[i] = folded
			matched, assignments := trial.Run(i)
			all = append(all, assignments...)
			if matched {
				skipAfter, skips = r.SkipAfter, i
			}
			if len(assignments) > 0 || skipAfter != "" {
				f.result.Acts.Set(i)
			}
		case f.impossible(r, trial):
			f.decisions[i] = dropped
		default:
			f.depends(r)
			f.argument(f.arguments, i, r, trial)
			if len(r.Next) > 0 {
				f.argument(f.linkArguments, i, r.Next[0], trial)
			}
		}
	}
	if skipAfter != "" && phase < 5 {
		f.crossing[skips] = true
		f.grown = true
	}
	return all
}

// argument notes what the argument of an operator comes to, if it refers to fields and all are constant.
func (f *folding) argument(noted map[int]string, i int, r *program.Rule, trial *program.Trial) {
	if names, ok := r.ArgumentFields(); len(names) > 0 && f.constantFields(names, ok) {
		noted[i] = trial.Argument(r)
	}
}

// constant says whether everything about the rule is known: what it looks at, and what it does.
func (f *folding) constant(r *program.Rule) bool {
	if r.Log || r.Skip > 0 || r.Severity != resolve.NoSeverity || len(r.Exclusions()) > 0 {
		return false
	}
	if k := r.Disruptive.Kind; k != resolve.Pass && k != resolve.Block {
		return false
	}
	if !f.constantLink(r) || !f.constantEffects(r) {
		return false
	}
	for _, link := range r.Next {
		if !f.constantLink(link) || !f.constantEffects(link) {
			return false
		}
	}
	return true
}

// constantLink says whether it is known what the rule looks at, its chain left aside.
func (f *folding) constantLink(r *program.Rule) bool {
	if r.Capture {
		return false
	}
	for _, t := range r.Targets {
		if t.Variable != variable.TX || t.Key == "" || t.Regex != nil || f.changes(t.Key) {
			return false
		}
	}
	return f.constantFields(r.ArgumentFields())
}

func (f *folding) constantEffects(r *program.Rule) bool {
	for i := range r.Effects() {
		e := &r.Effects()[i]
		if e.Kind != resolve.SetVar || !e.Key.Constant() {
			return false
		}
		if f.changes(strings.ToLower(e.Key.Text)) || !f.constantFields(e.TextFields()) {
			return false
		}
	}
	return true
}

// constantFields says whether all fields that a text refers to are known. Ok is false for a text that refers to more.
func (f *folding) constantFields(names []string, ok bool) bool {
	if !ok {
		return false
	}
	for _, name := range names {
		if f.changes(name) {
			return false
		}
	}
	return true
}

// changes says whether a field depends on the request.
func (f *folding) changes(name string) bool {
	if slot := f.slot(name); slot >= 0 && f.changing[slot] {
		return true
	}
	for _, prefix := range f.prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// impossible says whether the rule cannot match, and does nothing on the way.
func (f *folding) impossible(r *program.Rule, trial *program.Trial) bool {
	for _, link := range append([]*program.Rule{r}, r.Next...) {
		if !f.constantLink(link) {
			return false
		}
		if !trial.Matches(link) {
			return true
		}
		if len(link.Effects()) > 0 {
			return false
		}
	}
	return false
}

// depends notes what a rule that depends on the request may change. A field whose old value is known and new value is
// not, is one that changes.
func (f *folding) depends(r *program.Rule) {
	for e := range writes(r) {
		switch {
		case f.assumes(e):
		case e.Key.Constant():
			f.change(strings.ToLower(e.Key.Text))
		default:
			f.changePrefix(strings.ToLower(e.KeyPrefix()))
		}
	}
}

// writes are what the rule and its links write to TX.
func writes(r *program.Rule) iter.Seq[*program.Effect] {
	return func(yield func(*program.Effect) bool) {
		for _, link := range append([]*program.Rule{r}, r.Next...) {
			for i := range link.Effects() {
				e := &link.Effects()[i]
				if (e.Kind == resolve.SetVar || e.Kind == resolve.UnsetVar) && !yield(e) {
					return
				}
			}
		}
	}
}

// assumes says whether the level takes for granted that the effect does not happen: that of a rule that adds to a score.
func (f *folding) assumes(e *program.Effect) bool {
	return f.level == program.Assumed && e.Kind == resolve.SetVar && e.Key.Constant() && strings.HasPrefix(e.Text.Text, "+")
}

// watched are the fields that a rule that runs writes though they were taken for constant.
func (f *folding) watched() program.Bits {
	b := program.NewBits(f.program.Fields())
	for i, r := range f.program.Rules {
		if f.decisions[i] != run || r.Marker != "" {
			continue
		}
		for e := range writes(r) {
			if !f.assumes(e) {
				continue
			}
			if slot := f.slot(strings.ToLower(e.Key.Text)); slot >= 0 && !f.changing[slot] {
				b.Set(slot)
			}
		}
	}
	return b
}

func (f *folding) change(name string) {
	slot := f.slot(name)
	delete(f.fixed, slot)
	if slot >= 0 && !f.changing[slot] {
		f.changing[slot] = true
		f.grown = true
	}
}

func (f *folding) changePrefix(prefix string) {
	for _, known := range f.prefixes {
		if strings.HasPrefix(prefix, known) {
			return
		}
	}
	f.prefixes = append(f.prefixes, prefix)
	f.grown = true
	for _, name := range driverFields {
		if strings.HasPrefix(name, prefix) {
			delete(f.fixed, f.slot(name))
		}
	}
}

// extends says whether f decides all that another folding does.
func (f *folding) extends(less *folding) bool {
	for i := range f.decisions {
		if f.decisions[i] == run && less.decisions[i] != run {
			return false
		}
	}
	return true
}

// unfolds finds the rules that can break what folding assumed.
func (f *folding) unfolds() {
	f.result.Unfolds = program.NewBits(len(f.program.Rules))
	for i, r := range f.program.Rules {
		if f.decisions[i] == run && r.Marker == "" && f.breaks(r) {
			f.result.Unfolds.Set(i)
		}
	}
}

func (f *folding) breaks(r *program.Rule) bool {
	switch r.Disruptive.Kind {
	case resolve.Allow, resolve.AllowPhase, resolve.AllowRequest:
		return true
	}
	for _, link := range append([]*program.Rule{r}, r.Next...) {
		for _, e := range link.Effects() {
			if e.Kind != resolve.RemoveRules {
				continue
			}
			for j := range f.result.Acts.All() {
				if program.Selects(&e.Rules, f.program.Rules[j]) {
					return true
				}
			}
		}
	}
	return false
}
