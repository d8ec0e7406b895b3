package parity

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gatehouse/rules"
	"gatehouse/rules/crs"
	"gatehouse/rules/policy"
	"gatehouse/rules/seclang"
)

// crsFiles are the parsed rules of a release: those that set up, those that look, those that judge.
type crsFiles struct {
	setup, judge []DraftSource
	look         []DraftSource
	// after changes the targets of rules that were loaded.
	after DraftSource
}

// readCRS parses the newest release once. Its trees are shared and never changed.
var readCRS = sync.OnceValues(func() (crsFiles, error) {
	var f crsFiles
	p, err := policy.Lower(policy.Set{Name: "generated", CRS: policy.CRS{Paranoia: 1}}, policy.Application{Name: "test"}, nil)
	if err != nil {
		return f, err
	}
	release, err := crs.Load("")
	if err != nil {
		return f, err
	}
	for _, s := range ParseDraft(p).Sources {
		name, ours := strings.CutPrefix(s.Name, release.Dir()+"/")
		switch {
		case !ours && s.Name == "gatehouse/end.conf":
			f.judge = append(f.judge, s)
		case !ours, strings.HasPrefix(name, "REQUEST-901"):
			f.setup = append(f.setup, s)
		case strings.HasPrefix(name, "REQUEST-999"):
			f.after = s
		case strings.Contains(name, "-949-"), strings.Contains(name, "-959-"), strings.Contains(name, "-980-"):
			f.judge = append(f.judge, s)
		default:
			f.look = append(f.look, s)
		}
	}
	return f, nil
})

// CRS generates a policy of some rules of the Core Rule Set, changed here and there.
func (c *Choices) CRS() (Draft, error) {
	files, err := readCRS()
	if err != nil {
		return Draft{}, err
	}
	d := Draft{Limits: rules.Limits{Arguments: 1000, JSONDepth: 32}}
	d.Sources = append(d.Sources, files.setup...)
	settings := "SecAction \"id:90001,phase:1,pass,nolog,t:none,setvar:tx.blocking_paranoia_level=" + strconv.Itoa(1+c.N(4)) + ",setvar:tx.inbound_anomaly_score_threshold=" +
		pick(c, []string{"5", "5", "1", "10", "1000"}) + "\"\n"
	d.Sources = slices.Insert(d.Sources, 1, DraftSource{Name: "settings", Directives: mustParse("settings", settings)})
	if c.Chance(30) {
		d.Sources = append(d.Sources, DraftSource{Name: "custom", Directives: c.Custom(1, 1+c.N(5))})
	}
	for range 1 + c.N(3) {
		s := pick(c, files.look)
		if slices.ContainsFunc(d.Sources, func(has DraftSource) bool { return has.Name == s.Name }) {
			continue
		}
		keep := pick(c, []int{100, 60, 25})
		var kept []*seclang.Directive
		for _, x := range s.Directives {
			if x.Rule == nil || c.Chance(keep) {
				kept = append(kept, c.mutate(x))
			}
		}
		if n := len(kept); n > 1 && c.Chance(15) {
			i := c.N(n - 1)
			kept[i], kept[i+1] = kept[i+1], kept[i]
		}
		d.Sources = append(d.Sources, DraftSource{Name: s.Name, Directives: kept})
	}
	d.Sources = append(d.Sources, files.judge...)
	if c.Chance(50) {
		d.Sources = append(d.Sources, changesOf(files.after, d))
	}
	return d, nil
}

// changesOf are the directives of a source that change rules which the draft has.
func changesOf(s DraftSource, d Draft) DraftSource {
	has := make(map[int]bool)
	for _, r := range d.allRules() {
		has[r.ID()] = true
	}
	kept := DraftSource{Name: s.Name}
	for _, x := range s.Directives {
		if x.Selection != nil && len(x.Selection.IDs) == 1 && has[x.Selection.IDs[0].First] {
			kept.Directives = append(kept.Directives, x)
		}
	}
	return kept
}

// mutate changes a rule in one of many ways, most of them not at all. d itself stays as it is.
func (c *Choices) mutate(d *seclang.Directive) *seclang.Directive {
	if d.Rule == nil || !c.Chance(20) {
		return d
	}
	d = cloneRule(d)
	r := d.Rule
	if len(r.Links) > 0 && c.Chance(40) {
		r = pick(c, r.Links).Rule
	}
	switch c.N(9) {
	case 0: // drop an action
		if i := c.N(len(r.Actions)); len(r.Actions) > 1 && droppable[r.Actions[i].Name] {
			r.Actions = slices.Delete(r.Actions, i, i+1)
		}
	case 1: // another transformation
		if !c.touchesVolatile(r) {
			r.Actions = append(r.Actions, seclang.Action{Name: "t", Value: pick(c, transformations)})
		}
	case 2:
		if r.Operator != nil && !strings.HasPrefix(r.Operator.Name, "unconditional") {
			r.Operator.Negated = !r.Operator.Negated
		}
	case 3:
		c.mutatePattern(r)
	case 4: // another phase
		for i := range r.Actions {
			if r.Actions[i].Name == "phase" {
				r.Actions[i].Value = strconv.Itoa(1 + c.N(5))
			}
		}
	case 5: // another target
		if r.Operator != nil {
			g := policyGenerator{Choices: c}
			v := g.collection()
			v.Exclude = c.Chance(50)
			v.Count = false
			if !volatile[v.Name] {
				r.Variables = append(r.Variables, v)
			}
		}
	case 6: // fewer targets
		if i := c.N(len(r.Variables)); len(r.Variables) > 1 {
			r.Variables = slices.Delete(r.Variables, i, i+1)
		}
	case 7:
		if !c.touchesVolatile(r) {
			r.Actions = append(r.Actions, seclang.Action{Name: pick(c, []string{"capture", "multiMatch"})})
		}
	case 8:
		g := policyGenerator{Choices: c, next: 900}
		r.Actions = append(r.Actions, seclang.Action{Name: "setvar", Value: g.setvar(), Quote: "'"})
	}
	return d
}

// touchesVolatile says whether a rule looks at a variable that changes within a phase, or at a count.
func (c *Choices) touchesVolatile(r *seclang.Rule) bool {
	return slices.ContainsFunc(r.Variables, func(v seclang.Variable) bool { return volatile[v.Name] || v.Count })
}

var droppable = map[string]bool{
	"t": true, "capture": true, "setvar": true, "multimatch": true, "msg": true, "logdata": true, "severity": true, "tag": true, "block": true, "ctl": true, "skipafter": true,
}

// mutatePattern takes a byte out of a rule's pattern, or a word out of its list, if what is left still compiles.
func (c *Choices) mutatePattern(r *seclang.Rule) {
	if r.Operator == nil || len(r.Operator.Arg) < 3 {
		return
	}
	arg := r.Operator.Arg
	switch r.Operator.Name {
	case "rx":
		i := c.N(len(arg))
		changed := arg[:i] + arg[i+1:]
		if c.Chance(30) {
			changed = strings.TrimPrefix(arg, "(?i)")
		}
		if _, err := regexp.Compile(changed); err == nil && strings.TrimSpace(changed) == changed && !strings.Contains(changed, `\x`) && !strings.HasPrefix(changed, "@") {
			r.Operator.Arg = changed
		}
	case "pm", "within":
		if words := strings.Fields(arg); len(words) > 1 {
			i := c.N(len(words))
			r.Operator.Arg = strings.Join(slices.Delete(words, i, i+1), " ")
		}
	}
}

// Near is a small change of an exchange: of a byte, a value, a header, a name.
func (c *Choices) Near(x *Exchange) *Exchange {
	x = x.clone()
	x.Name += ", changed"
	for range 1 + c.N(3) {
		switch h := x.Request.Headers; c.N(6) {
		case 0:
			if len(h) > 0 {
				i := c.N(len(h))
				h[i].Value = oneLine(c.edit(h[i].Value))
			}
		case 1:
			if len(h) > 0 {
				i := c.N(len(h))
				x.Request.Headers = append(h, rules.Header{Name: pick(c, []string{h[i].Name, strings.ToUpper(h[i].Name), pick(c, headerNames)}), Value: h[i].Value})
			}
		case 2:
			if len(h) > 0 {
				i := c.N(len(h))
				x.Request.Headers = slices.Delete(h, i, i+1)
			}
		case 3, 4:
			target := strings.NewReplacer(" ", "%20", "\r", "%0d", "\n", "%0a", "\t", "%09").Replace(c.edit(x.Request.Target))
			x.Request.Target = "/" + strings.TrimLeft(target, "/")
		case 5:
			if len(x.Body) > 0 {
				x.Body = []byte(c.edit(string(x.Body)))
			}
		}
	}
	request := NewRequest(x.Request.Method, x.Request.Target, x.Request.Headers...)
	request.Protocol = x.Request.Protocol
	x.Request = request
	return x
}

// edit changes a text in one place.
func (c *Choices) edit(s string) string {
	if s == "" {
		return c.value()
	}
	i := c.N(len(s))
	switch c.N(7) {
	case 0:
		return s[:i] + s[i+1:]
	case 1:
		return s[:i] + string([]byte{byte(c.N(256))}) + s[i+1:]
	case 2:
		return s[:i] + pick(c, strange) + s[i:]
	case 3:
		return s[:i] + c.value() + s[i:]
	case 4:
		return s + s[i:]
	case 5:
		if c.Chance(50) {
			return strings.ToUpper(s)
		}
		return strings.ToLower(s)
	}
	return s[:i] + c.encoded(s[i:])
}
