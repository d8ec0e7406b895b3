package resolve

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3/types/variables"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/program/macro"
	"gatehouse/rules/program/transform"
)

// view is a rule as both engines show it.
type view struct {
	Place           string
	ID, Phase       int
	LogID, ParentID int
	Marker          string
	Targets         []targetView
	Operator        *operatorView
	Transformations []string
	Capture, Multi  bool
	Log, Chain      bool
	Effects         []string
	Disruptive      string
	Status          int
	Flow            []string
	Message, Data   string
	Severity        int
	Revision        string
	Tags            []string
	Links           []view
}

type targetView struct {
	Variable   string
	Count      bool
	Key, Regex string
	Except     []string
}

type operatorView struct{ Function, Data, Macro string }

// Of our rules.

func viewOf(r *Rule) view { return viewOfLink(r, r) }

func viewOfLink(r, starter *Rule) view {
	v := view{
		Place: r.Place.String(), ID: r.ID, Phase: r.Phase, LogID: starter.ID, Marker: r.Marker,
		Capture: r.Capture, Multi: r.MultiMatch, Log: r.Log, Chain: r.chain, Status: r.status,
		Message: tokens(r.Message), Data: tokens(r.Data), Severity: r.Severity, Revision: r.Revision, Tags: r.Tags,
	}
	if r != starter {
		v.ParentID = starter.ID
	}
	for _, t := range r.Targets {
		target := targetView{Variable: t.Variable.Name(), Count: t.Count, Key: t.Key}
		if t.Regex != nil {
			target.Regex = t.Regex.String()
		}
		for _, e := range t.Except {
			text := e.Key
			if e.Regex != nil {
				text += "regex " + e.Regex.String()
			}
			target.Except = append(target.Except, text)
		}
		v.Targets = append(v.Targets, target)
	}
	if o := r.Operator; o != nil {
		v.Operator = &operatorView{Function: "@" + o.Name, Data: o.Argument, Macro: tokens(o.Macro)}
		if o.Negated {
			v.Operator.Function = "!@" + o.Name
		}
	}
	for _, name := range r.Transformations {
		f, _ := transform.Lookup(name)
		v.Transformations = append(v.Transformations, strings.ToLower(f.Name()))
	}
	for _, e := range r.Effects {
		v.Effects = append(v.Effects, effectText(e))
	}
	if r == starter {
		v.Disruptive = fmt.Sprintf("%d %s", r.Disruptive.Kind, r.Disruptive.Data)
		if r.Skip > 0 {
			v.Flow = append(v.Flow, fmt.Sprint("skip ", r.Skip))
		}
		if r.SkipAfter != "" {
			v.Flow = append(v.Flow, "skipAfter "+r.SkipAfter)
		}
	}
	for _, l := range r.Links {
		v.Links = append(v.Links, viewOfLink(l, starter))
	}
	return v
}

func effectText(e Effect) string {
	target := ""
	if e.Kind == RemoveTargets {
		target = e.Target.Variable.Name() + " " + e.Target.Key
		if e.Target.Regex != nil {
			target += "regex " + e.Target.Regex.String()
		}
	}
	s := e.Rules
	return fmt.Sprintf("%d key %s text %s value %q rules %d-%d tag %q message %q target %s", e.Kind, tokens(e.Key), tokens(e.Text), e.Value, s.First, s.Last, s.Tag, s.Message, target)
}

func tokens(m macro.Macro) string {
	if !m.Set() {
		return "unset"
	}
	text := strconv.Quote(m.Text)
	for _, t := range m.Tokens {
		if t != (macro.Token{}) {
			text += fmt.Sprintf(" %q/%s/%q", t.Text, t.Variable.Name(), t.Key)
		}
	}
	return text
}

// Of the reference's rules.

// reference reads what the driver loaded, by the names of unexported fields.
type reference struct {
	waf    reflect.Value
	places reflect.Value
}

// loadReference loads a policy through the driver.
func loadReference(t testing.TB, engine *coraza.Engine, sources []rules.Source) (*reference, error) {
	t.Helper()
	set, err := engine.Load(rules.Policy{Name: "test", Sources: sources})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	loaded := reflect.ValueOf(set).Elem().FieldByName("waf").Elem().FieldByName("loaded").Elem()
	return &reference{
		waf:    loaded.FieldByName("waf").Elem().FieldByName("waf").Elem(),
		places: loaded.FieldByName("places"),
	}, nil
}

// settings are those that a text may set.
func (x *reference) settings() Settings {
	s := Settings{
		RequestBodyAccess:  x.waf.FieldByName("RequestBodyAccess").Bool(),
		ResponseBodyAccess: x.waf.FieldByName("ResponseBodyAccess").Bool(),
	}
	types := x.waf.FieldByName("ResponseBodyMimeTypes")
	for i := range types.Len() {
		s.ResponseBodyTypes = append(s.ResponseBodyTypes, types.Index(i).String())
	}
	return s
}

func (x *reference) rules(t testing.TB) []view {
	t.Helper()
	list := x.waf.FieldByName("Rules").FieldByName("rules")
	var out []view
	for i := range list.Len() {
		r := list.Index(i)
		v := x.view(t, r, true)
		for link := r.FieldByName("Chain"); !link.IsNil(); link = link.Elem().FieldByName("Chain") {
			v.Links = append(v.Links, x.view(t, link.Elem(), false))
		}
		out = append(out, v)
	}
	return out
}

// ruleFields are all fields of the reference's rules; those with false decide nothing that a transaction shows: the
// audit log, caches, and fields of a mode of evaluation that is not compiled in.
var ruleFields = map[string]bool{
	"RuleMetadata": true, "variables": true, "operator": true, "transformations": true, "actions": true, "Capture": true,
	"Chain": true, "DisruptiveStatus": true, "Msg": true, "LogData": true, "Log": true, "MultiMatch": true, "HasChain": true,
	"ID_": true, "LogID_": true, "File_": true, "Rev_": true, "Severity_": true, "Tags_": true, "Phase_": true,
	"SecMark_": true, "ParentID_": true,

	"Audit": false, "Line_": false, "Version_": false, "Maturity_": false, "Accuracy_": false, "Operator_": false,
	"Raw_": false, "memoizer": false, "transformationsID": false, "transformationPrefixIDs": false,
	"inferredPhases": false, "chainMinPhase": false, "withPhaseUnknownVariable": false,
}

func checkFields(t testing.TB, r reflect.Value) {
	t.Helper()
	for _, v := range []reflect.Value{r, r.FieldByName("RuleMetadata")} {
		for i := range v.NumField() {
			if _, known := ruleFields[v.Type().Field(i).Name]; !known {
				t.Fatalf("rules of the reference have a field %s, which is not compared", v.Type().Field(i).Name)
			}
		}
	}
}

func (x *reference) view(t testing.TB, r reflect.Value, starter bool) view {
	t.Helper()
	checkFields(t, r)
	m := r.FieldByName("RuleMetadata")
	number := func(name string) int { return int(m.FieldByName(name).Int()) }
	text := func(name string) string { return m.FieldByName(name).String() }
	v := view{
		Place: x.place(t, text("File_")), ID: number("ID_"), Phase: number("Phase_"), ParentID: number("ParentID_"), Marker: text("SecMark_"),
		Capture: r.FieldByName("Capture").Bool(), Multi: r.FieldByName("MultiMatch").Bool(), Log: r.FieldByName("Log").Bool(),
		Chain: r.FieldByName("HasChain").Bool(), Status: int(r.FieldByName("DisruptiveStatus").Int()),
		Message: macroOf(r.FieldByName("Msg")), Data: macroOf(r.FieldByName("LogData")),
		Severity: number("Severity_"), Revision: text("Rev_"),
	}
	if id, err := strconv.Atoi(text("LogID_")); err == nil {
		v.LogID = id
	}
	for i := range m.FieldByName("Tags_").Len() {
		v.Tags = append(v.Tags, m.FieldByName("Tags_").Index(i).String())
	}
	for i := range r.FieldByName("variables").Len() {
		v.Targets = append(v.Targets, targetOf(r.FieldByName("variables").Index(i)))
	}
	if o := r.FieldByName("operator"); !o.IsNil() {
		o = o.Elem()
		v.Operator = &operatorView{Function: o.FieldByName("Function").String(), Data: o.FieldByName("Data").String(), Macro: "unset"}
		if negated := o.FieldByName("Negation").Bool(); negated != strings.HasPrefix(v.Operator.Function, "!") {
			t.Errorf("%s: negation is %v for %s", v.Place, negated, v.Operator.Function)
		}
		if decides := o.FieldByName("Operator").Elem(); decides.Kind() == reflect.Pointer && decides.Elem().Kind() == reflect.Struct {
			if data := decides.Elem().FieldByName("data"); data.IsValid() && data.Kind() == reflect.Interface {
				v.Operator.Macro = macroOf(data)
			}
		}
	}
	for i := range r.FieldByName("transformations").Len() {
		f := runtime.FuncForPC(r.FieldByName("transformations").Index(i).FieldByName("Function").Pointer()).Name()
		name := strings.ToLower(f[strings.LastIndex(f, ".")+1:])
		if name == "md5t" || name == "sha1t" { // functions named around the packages that they use
			name = strings.TrimSuffix(name, "t")
		}
		v.Transformations = append(v.Transformations, name)
	}
	v.actions(t, r.FieldByName("actions"), starter)
	return v
}

// place finds the line of a directive by its file, DIR/SOURCE.DIRECTIVE.
func (x *reference) place(t testing.TB, file string) string {
	t.Helper()
	var source, directive int
	if _, err := fmt.Sscanf(file[strings.LastIndex(file, "/")+1:], "%d.%d", &source, &directive); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	s := x.places.Index(source)
	return fmt.Sprintf("%s:%d", s.FieldByName("name").String(), s.FieldByName("lines").Index(directive).Int())
}

func targetOf(v reflect.Value) targetView {
	t := targetView{
		Variable: variableName(v.FieldByName("Variable")), Count: v.FieldByName("Count").Bool(),
		Key: v.FieldByName("KeyStr").String(), Regex: regexOf(v.FieldByName("KeyRx")),
	}
	for i := range v.FieldByName("Exceptions").Len() {
		e := v.FieldByName("Exceptions").Index(i)
		text := strings.ToLower(e.FieldByName("KeyStr").String()) // as it is compared
		if rx := regexOf(e.FieldByName("KeyRx")); rx != "" {
			text = "regex " + rx
		}
		t.Except = append(t.Except, text)
	}
	return t
}

func variableName(v reflect.Value) string { return variables.RuleVariable(v.Uint()).Name() }

func regexOf(v reflect.Value) string {
	if v.IsNil() {
		return ""
	}
	return v.Elem().FieldByName("expr").String()
}

func macroOf(v reflect.Value) string {
	if v.IsNil() {
		return "unset"
	}
	m := v.Elem().Elem()
	text := strconv.Quote(m.FieldByName("original").String())
	for i := range m.FieldByName("tokens").Len() {
		token := m.FieldByName("tokens").Index(i)
		text += fmt.Sprintf(" %q/%s/%q", token.FieldByName("text").String(), variableName(token.FieldByName("variable")), token.FieldByName("key").String())
	}
	return text
}

// The reference's numbers of ctl settings.
const (
	ctlRemoveTargetByID = iota + 1
	ctlRemoveTargetByTag
	ctlRemoveTargetByMsg
	ctlAuditEngine
	ctlAuditLogParts
	ctlForceRequestBody
	ctlRequestBodyAccess
	ctlRequestBodyLimit
	ctlRuleEngine
	ctlRemoveByID
	ctlRemoveByMsg
	ctlRemoveByTag
	ctlHashEngine
	ctlHashEnforcement
	ctlRequestBodyProcessor
	ctlForceResponseBody
	ctlResponseBodyProcessor
	ctlResponseBodyAccess
	ctlResponseBodyLimit
	ctlDebugLogLevel
)

// actions reads what a rule does. Actions that were only settings of the rule must be of a known name.
func (v *view) actions(t testing.TB, list reflect.Value, starter bool) {
	t.Helper()
	disruptiveAction := "0 "
	skip, skipAfter := "", ""
	count := 0
	for i := range list.Len() {
		name := list.Index(i).FieldByName("Name").String()
		f := list.Index(i).FieldByName("Function").Elem().Elem()
		field := func(name string) string { return f.FieldByName(name).String() }
		switch name {
		case "pass", "deny", "drop", "block":
			count++
			disruptiveAction = fmt.Sprintf("%d ", disruptiveKinds[name])
		case "redirect":
			count++
			disruptiveAction = fmt.Sprintf("%d %s", Redirect, field("target"))
		case "allow":
			count++
			kinds := map[int64]DisruptiveKind{1: Allow, 2: AllowPhase, 3: AllowRequest}
			kind, ok := kinds[f.FieldByName("allow").Int()]
			if !ok {
				t.Fatalf("allow %d", f.FieldByName("allow").Int())
			}
			disruptiveAction = fmt.Sprintf("%d ", kind)
		case "skip":
			skip = fmt.Sprint("skip ", f.FieldByName("data").Int())
		case "skipafter":
			skipAfter = "skipAfter " + field("data")
		case "setvar":
			if variableName(f.FieldByName("collection")) != "TX" {
				t.Fatalf("%s: setvar of %s", v.Place, variableName(f.FieldByName("collection")))
			}
			kind := SetVar
			if f.FieldByName("isRemove").Bool() {
				kind = UnsetVar
			}
			v.Effects = append(v.Effects, strings.Replace(strings.Replace(effectText(Effect{Kind: kind}),
				"unset", macroOf(f.FieldByName("key")), 1), "unset", macroOf(f.FieldByName("value")), 1))
		case "ctl":
			if e, ok := ctlOf(t, f); ok {
				v.Effects = append(v.Effects, e)
			}
		case "log", "nolog", "auditlog", "noauditlog", "capture", "multimatch", "chain", "status", "t", "logdata", "expirevar", "initcol":
		default:
			t.Fatalf("%s: action %s", v.Place, name)
		}
	}
	if count > 1 {
		t.Errorf("%s: %d disruptive actions", v.Place, count)
	}
	if starter {
		v.Disruptive = disruptiveAction
		v.Flow = slices.DeleteFunc([]string{skip, skipAfter}, func(s string) bool { return s == "" })
	}
}

// ctlOf is a ctl action in the words of ours; ok is false for those that change nothing that a transaction shows.
func ctlOf(t testing.TB, f reflect.Value) (text string, ok bool) {
	t.Helper()
	value := f.FieldByName("value").String()
	lower := strings.ToLower(value)
	onOff := lower == "on" || lower == "off"
	effect := func(kind EffectKind, value string) string { return effectText(Effect{Kind: kind, Value: value}) }
	target := variableName(f.FieldByName("collection")) + " " + f.FieldByName("colKey").String()
	if rx := regexOf(f.FieldByName("colKeyRx")); rx != "" {
		target += "regex " + rx
	}
	about := func(kind EffectKind, s Selection) string {
		text := effectText(Effect{Kind: kind, Rules: s})
		if kind == RemoveTargets {
			text = strings.TrimSuffix(text, "UNKNOWN ") + target
		}
		return text
	}
	kind := RemoveRules
	switch n := f.FieldByName("action").Int(); n {
	case ctlRemoveTargetByID, ctlRemoveTargetByTag, ctlRemoveTargetByMsg:
		if strings.HasPrefix(target, "UNKNOWN") {
			return "", false
		}
		kind = RemoveTargets
		fallthrough
	case ctlRemoveByID, ctlRemoveByTag, ctlRemoveByMsg:
		switch {
		case n == ctlRemoveTargetByTag || n == ctlRemoveByTag:
			return about(kind, Selection{Tag: value}), value != ""
		case n == ctlRemoveTargetByMsg || n == ctlRemoveByMsg:
			return about(kind, Selection{Message: value}), value != ""
		}
		var first, last int
		if n, err := fmt.Sscanf(value+"\n", "%d-%d\n", &first, &last); err != nil || n != 2 {
			if _, err := fmt.Sscanf(value+"\n", "%d\n", &first); err != nil {
				return "", false
			}
			last = first
		}
		return about(kind, Selection{First: first, Last: last}), first <= last
	case ctlForceRequestBody:
		return effect(ForceBody, lower), onOff
	case ctlForceResponseBody:
		return effect(ForceResponseBody, lower), onOff
	case ctlRequestBodyAccess:
		return effect(SetBodyAccess, lower), onOff
	case ctlResponseBodyAccess:
		return effect(SetResponseAccess, lower), onOff
	case ctlRuleEngine:
		return effect(SetEngine, lower), onOff || lower == "detectiononly"
	case ctlRequestBodyProcessor:
		return effect(SetBodyProcessor, strings.ToUpper(value)), true
	case ctlResponseBodyProcessor:
		return effect(SetResponseProcessor, strings.ToUpper(value)), true
	case ctlAuditEngine, ctlAuditLogParts, ctlHashEngine, ctlHashEnforcement, ctlDebugLogLevel:
		return "", false
	default:
		return fmt.Sprint("ctl ", n), true
	}
}
