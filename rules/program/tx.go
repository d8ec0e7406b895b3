package program

import (
	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program/operator"
	"gatehouse/rules/program/transform"
	"gatehouse/rules/program/variable"
	"gatehouse/rules/program/vars"
)

// Tx is the state of one transaction. It belongs to one goroutine.
type Tx struct {
	program *Program
	vars    vars.Vars
	look    look
	scratch transform.Scratch

	// fields are those of TX with a slot; extra are the others, whose names were made by macros.
	fields     []txField
	generation uint32
	extra      extra

	active Bits // the rules that may run
	level  Level
	ran    uint8 // the phases that ran, by bit
	looked int   // the last phase whose values were looked at

	phase     int
	engine    engineMode
	skipAfter string
	skip      int // rules to skip in this phase
	allow     resolve.DisruptiveKind

	interruption *interruption
	// kept is the first interruption that mode detection-only kept back.
	kept *interruption

	removed    []*resolve.Selection
	exceptions []*resolve.Effect
	// excepting are those that were there when the rule or link began: none of what it removes counts for itself.
	excepting []*resolve.Effect

	forceBody, forceResponse, bodyAccess, responseAccess bool

	matched         []match // MATCHED_VARS
	targets         []match // of the record in the making
	lastMatch       match
	matchedVar      string
	highestSeverity int

	rule     *Rule // that is evaluated, for %{RULE.x}
	captures operator.Captures
	found    []field
	steps    []string // of multiMatch
	buffer   []byte
	records  []record
	recorded []match // the targets of records
	// writes, if set, notes what is written to TX.
	writes *[]Assignment
	at     int // the rule that runs
	// over says which bound the transaction went over. It must not go on then.
	over    error
	spent   int      // bytes that operators were given
	profile *Profile // nil if nothing is to be noted
}

type txField struct {
	value      string
	generation uint32 // it is set if this is the transaction's
}

type engineMode uint8

const (
	engineOn engineMode = iota
	engineDetectionOnly
	engineOff
)

// interruption is a disruptive action that took effect.
type interruption struct {
	rule  *Rule
	phase int
}

// match is a value that a rule matched.
type match struct {
	variable   variable.ID
	key, value string
}

// name is the name of the variable with its key.
func (m *match) name() string {
	if m.key == "" {
		return m.variable.Name()
	}
	return m.variable.Name() + ":" + m.key
}

// appendName appends what name gives.
func (m *match) appendName(b []byte) []byte {
	b = append(b, m.variable.Name()...)
	if m.key == "" {
		return b
	}
	b = append(b, ':')
	return append(b, m.key...)
}

// record is a rule that matched.
type record struct {
	rule          *Rule
	message, data string
	targets       []match
}

// highestSeverityUnset is HIGHEST_SEVERITY before any rule with a severity matched.
const highestSeverityUnset = 255

func newTx(p *Program) *Tx {
	t := &Tx{
		program: p,
		fields:  make([]txField, len(p.names.names)),
		active:  NewBits(len(p.Rules)),
	}
	t.look.heads = make([]candidateList, len(p.Rules))
	t.look.fields = make([]int32, len(p.names.names))
	for _, set := range p.Sets {
		t.look.scratch = append(t.look.scratch, set.NewScratch())
	}
	var wants []Bits
	for _, uses := range p.Uses {
		wants = append(wants, NewBits(len(uses)))
	}
	t.look.wants = [][]Bits{wants}
	return t
}

// begin makes a transaction ready for a request, whose variables are in vars already.
func (t *Tx) begin() {
	t.generation++
	if t.generation == 0 { // a field of the first generation would look as if it were set
		clear(t.fields)
		t.generation = 1
	}
	copy(t.active, t.program.Always)
	t.highestSeverity = highestSeverityUnset
	for i := range captureSlots {
		t.fields[i] = txField{"", t.generation}
	}
	for i := range t.vars.TX {
		t.setName(t.vars.TX[i].Lower, t.vars.TX[i].Value)
	}
}

// release makes the transaction ready for another one.
func (t *Tx) release() {
	t.vars.Reset()
	t.look.reset()
	t.scratch.Reset()
	t.extra.reset()
	clear(t.matched)
	clear(t.targets)
	clear(t.found)
	clear(t.steps)
	clear(t.records)
	clear(t.recorded)
	*t = Tx{
		program: t.program, vars: t.vars, look: t.look, scratch: t.scratch,
		fields: t.fields, generation: t.generation, extra: t.extra,
		active: t.active, removed: t.removed[:0], exceptions: t.exceptions[:0],
		matched: t.matched[:0], targets: t.targets[:0], found: t.found[:0], steps: t.steps[:0], buffer: t.buffer[:0], records: t.records[:0], recorded: t.recorded[:0],
	}
	t.captures.Reset()
}

// field is the value of a field of TX, empty if it is not set.
func (t *Tx) field(slot int) (value string, ok bool) {
	f := &t.fields[slot]
	if f.generation != t.generation {
		return "", false // what it holds is of another transaction
	}
	return f.value, true
}

func (t *Tx) set(slot int, value string) {
	t.fields[slot] = txField{value, t.generation}
	if t.writes != nil {
		*t.writes = append(*t.writes, Assignment{Rule: t.at, Slot: slot, Value: value})
	}
	for _, rule := range t.program.triggers[slot] {
		t.active.Set(rule)
	}
	if t.level == Assumed && t.program.Watched.Has(slot) {
		t.unfold(Constant)
	}
}

// setName sets a field by its name, which is in lower case.
func (t *Tx) setName(name, value string) {
	if slot, ok := t.program.names.slot(name); ok {
		t.set(slot, value)
		return
	}
	t.extra.set(name, value)
	t.otherSet(name)
}

// otherSet makes the rules active that need such a field, which has no slot.
func (t *Tx) otherSet(name string) {
	for _, rule := range t.program.OtherTriggers {
		if t.program.Rules[rule].targets[0].takes(name) {
			t.active.Set(rule)
		}
	}
}

func (t *Tx) unsetName(name string) {
	if slot, ok := t.program.names.slot(name); ok {
		t.fields[slot] = txField{}
		return
	}
	t.extra.unset(name)
}

// keep makes a string that is valid as long as the transaction runs.
func (t *Tx) keep(b []byte) string { return t.scratch.Keep(append(t.scratch.Room(len(b)), b...)) }
