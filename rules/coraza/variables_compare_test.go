package coraza

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types/variables"

	"gatehouse/rules"
	"gatehouse/rules/body"
	"gatehouse/rules/program/variable"
	"gatehouse/rules/program/vars"
)

// exchange is a request and its reply.
type exchange struct {
	request rules.Request
	// processor is what a rule of phase 1 would select by ctl:requestBodyProcessor; empty leaves it.
	processor string
	body      string
	noBody    bool
	truncated bool
	response  rules.Response
	text      string
}

// comparer fills the variables of exchanges in Coraza and in a vars.Vars, which it uses again and again.
type comparer struct {
	set    rules.RuleSet
	limits rules.Limits
	vars   vars.Vars
	// compared are the variables that were compared at least once, filled those that ever had a value.
	compared, filled map[variable.ID]bool
	exchanges        int
}

// newComparer loads a policy without rules, so that nothing but the driver sets variables.
func newComparer(t testing.TB, text string, limits rules.Limits) *comparer {
	t.Helper()
	set, err := New(Options{}).Load(rules.Policy{Name: "variables", Limits: limits, Sources: []rules.Source{{Name: "text", Text: text}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return &comparer{set: set, limits: limits, compared: make(map[variable.ID]bool), filled: make(map[variable.ID]bool)}
}

// compare takes an exchange through all phases and reports every variable that differs after one of them.
func (c *comparer) compare(t testing.TB, e *exchange) {
	t.Helper()
	c.exchanges++
	v := &c.vars
	v.Reset()
	v.Request(&e.request, c.limits, e.request.Detect && c.set.(*ruleSet).waf.loaded.detectOnly)
	x := c.set.Begin(&e.request).(*transaction)
	defer x.Close()
	if _, err := x.RequestHeaders(); err != nil {
		t.Fatalf("%+v: %v", e.request, err)
	}
	state := x.state.Variables()
	c.same(t, "request headers", e, state)

	if e.processor != "" {
		set(state.RequestBodyProcessor(), e.processor)
		v.Singles[variable.ReqbodyProcessor] = e.processor
	}
	b := rules.Body{Length: -1, Truncated: e.truncated}
	if !e.noBody {
		b.Reader = strings.NewReader(e.body)
	}
	if _, err := x.RequestBody(b); err != nil {
		t.Fatalf("%+v: %v", e.request, err)
	}
	c.fillBody(t, x, e)
	c.same(t, "request body", e, state)

	if _, err := x.ResponseHeaders(&e.response); err != nil {
		t.Fatalf("%+v: %v", e.response, err)
	}
	v.Response(&e.response)
	c.same(t, "response headers", e, state)

	if _, err := x.ResponseBody(rules.Body{Reader: strings.NewReader(e.text), Truncated: e.truncated}); err != nil {
		t.Fatalf("%+v: %v", e.response, err)
	}
	if e.truncated {
		v.Singles[variable.OutboundDataError] = "1"
	}
	v.ResponseText(e.text)
	c.same(t, "response body", e, state)
}

// fillBody does for vars what transaction.RequestBody does for Coraza.
func (c *comparer) fillBody(t testing.TB, x *transaction, e *exchange) {
	t.Helper()
	v := &c.vars
	if e.truncated {
		v.Singles[variable.InboundDataError] = "1"
	}
	processor := v.Singles[variable.ReqbodyProcessor]
	if e.noBody || processor == "" {
		return
	}
	parsed, err := body.Parse(processor, strings.NewReader(e.body), body.Options{
		ContentType: x.contentType, Truncated: e.truncated, Arguments: x.limits.Arguments, JSONDepth: x.limits.JSONDepth,
	})
	if err != nil {
		t.Fatal(err)
	}
	v.Body(processor, parsed)
	if parsed.Length > 0 {
		v.BodyLength(parsed.Length)
	}
}

// same compares all of Coraza's variables with ours.
func (c *comparer) same(t testing.TB, phase string, e *exchange, state plugintypes.TransactionVariables) {
	t.Helper()
	state.All(func(rv variables.RuleVariable, col collection.Collection) bool {
		id, ok := variable.Parse(rv.Name())
		if !ok {
			t.Errorf("Coraza's variable %s has no number", rv.Name())
			return true
		}
		var want []pair
		for _, d := range col.FindAll() {
			want = append(want, pair{d.Key(), d.Value()})
		}
		got := valuesOf(&c.vars, id)
		slices.SortFunc(want, pair.compare)
		slices.SortFunc(got, pair.compare)
		if !slices.Equal(got, want) {
			t.Errorf("after %s, %s:\ngot  %q\nwant %q\nof %+v", phase, rv.Name(), got, want, *e)
		}
		c.compared[id] = true
		if len(want) > 0 && !slices.Equal(want, []pair{{}}) {
			c.filled[id] = true
		}
		return true
	})
	for id, list := range c.vars.Lists {
		for _, entry := range list {
			if entry.Lower != strings.ToLower(entry.Key) {
				t.Errorf("%s: %q in lower case is %q", variable.ID(id).Name(), entry.Key, entry.Lower)
			}
		}
	}
}

// listsOf says which lists a derived variable is made of. The names are the keys of the lists.
var listsOf = map[variable.ID][]variable.ID{
	variable.Args:                 {variable.ArgsGet, variable.ArgsPost, variable.ArgsPath},
	variable.ArgsNames:            {variable.ArgsGet, variable.ArgsPost, variable.ArgsPath},
	variable.ArgsGetNames:         {variable.ArgsGet},
	variable.ArgsPostNames:        {variable.ArgsPost},
	variable.MatchedVarsNames:     {variable.MatchedVars},
	variable.RequestCookiesNames:  {variable.RequestCookies},
	variable.RequestHeadersNames:  {variable.RequestHeaders},
	variable.ResponseHeadersNames: {variable.ResponseHeaders},
	variable.XML:                  {variable.RequestXML},
}

// pair is a value with its key.
type pair struct{ key, value string }

func (p pair) compare(q pair) int {
	return cmp.Or(strings.Compare(p.key, q.key), strings.Compare(p.value, q.value))
}

// valuesOf are the values of a variable.
func valuesOf(v *vars.Vars, id variable.ID) []pair {
	var out []pair
	add := func(key, value string) { out = append(out, pair{key, value}) }
	switch {
	case id == variable.TX:
		for i := range 11 {
			add(strconv.Itoa(i), "")
		}
		for _, e := range v.TX {
			add(e.Key, e.Value)
		}
	case id == variable.ArgsCombinedSize:
		size := 0
		for _, list := range [][]vars.Entry{v.Lists[variable.ArgsGet], v.Lists[variable.ArgsPost]} {
			for _, e := range list {
				size += len(e.Key) + len(e.Value)
			}
		}
		add("", strconv.Itoa(size))
	case id.Kind() == variable.Single:
		add("", v.Singles[id])
	case id.Kind() == variable.Collection:
		for _, e := range v.Lists[id] {
			add(e.Key, e.Value)
		}
	case id.Kind() == variable.Derived:
		names := strings.HasSuffix(id.Name(), "_NAMES")
		for _, list := range listsOf[id] {
			for _, e := range v.Lists[list] {
				if names {
					e.Value = e.Key
				}
				add(e.Key, e.Value)
			}
		}
	}
	return out
}
