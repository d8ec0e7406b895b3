package compile

import (
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
// Unfolds: after them the transaction goes on with all rules.
type folding struct {
	program   *program.Program
	decisions []decision
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

// lastFolded is the last phase that is folded. Phase 5 also runs after an interruption, when other rules did not.
const lastFolded = 4

// fold decides what can be decided, and fills in the program's Folded and Unfolds.
func fold(p *program.Program) *folding {
	f := &folding{program: p, changing: make(map[int]bool), crossing: make(map[int]bool)}
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
	return f
}

func (f *folding) slot(name string) int { return f.program.Slot(name) }

// pass walks through all phases under what is known of changing fields.
func (f *folding) pass() {
	p := f.program
	f.grown = false
	f.decisions = make([]decision, len(p.Rules))
	p.Acts = program.NewBits(len(p.Rules))
	p.Folded = [6][]program.Assignment{}
	trial := p.NewTrial()
	skipAfter, skips := "", 0
	for phase := 1; phase <= 5; phase++ {
		for i := range p.Phases[phase].All() {
			r := p.Rules[i]
			if r.Marker != "" {
				if r.Marker == skipAfter {
					skipAfter = ""
				}
				continue
			}
			switch {
			case phase > lastFolded:
				f.depends(r)
			case skipAfter != "":
				f.decisions[i] = dropped
			case !f.crossing[i] && f.constant(r):
				f.decisions[i] = folded
				matched, assignments := trial.Run(i)
				p.Folded[phase] = append(p.Folded[phase], assignments...)
				if matched {
					skipAfter, skips = r.SkipAfter, i
				}
				if len(assignments) > 0 || skipAfter != "" {
					p.Acts.Set(i)
				}
			case f.impossible(r, trial):
				f.decisions[i] = dropped
			default:
				f.depends(r)
			}
		}
		if skipAfter != "" && phase <= lastFolded {
			f.crossing[skips] = true
			f.grown = true
		}
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
	for _, link := range append([]*program.Rule{r}, r.Next...) {
		for i := range link.Effects() {
			e := &link.Effects()[i]
			if e.Kind != resolve.SetVar && e.Kind != resolve.UnsetVar {
				continue
			}
			if e.Key.Constant() {
				f.change(strings.ToLower(e.Key.Text))
			} else {
				f.changePrefix(strings.ToLower(e.KeyPrefix()))
			}
		}
	}
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

// unfolds finds the rules that can break what folding assumed.
func (f *folding) unfolds() {
	p := f.program
	for phase := 1; phase <= lastFolded; phase++ {
		for i := range p.Phases[phase].All() {
			if r := p.Rules[i]; f.decisions[i] == run && r.Marker == "" && f.breaks(r) {
				p.Unfolds.Set(i)
			}
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
			for j := range f.program.Acts.All() {
				if program.Selects(&e.Rules, f.program.Rules[j]) {
					return true
				}
			}
		}
	}
	return false
}
