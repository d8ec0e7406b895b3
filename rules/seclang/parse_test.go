package seclang

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
)

func TestParseRule(t *testing.T) {
	text := `
# a comment
SecRule ARGS|&ARGS:Foo|!REQUEST_COOKIES:/^__utm\/|x/|XML:/*|ARGS:'/a|b/' \
    # a comment within
    "!@rx say \"hi\"\\" \

    "id:'1001',\
    phase:2,t:none,t:urlDecodeUni,\
    msg:'it\'s, a: message',deny,\
    chain"
    SecRule TX:1 "@streq x" \
        "setvar:'tx.a=%{tx.0}',ctl:ruleRemoveTargetById=942100;ARGS:b"
SecMarker "END"
secaction "id:1002,pass"
`
	f, errs := Parse(rules.Source{Name: "f", Text: text})
	if errs != nil {
		t.Fatal(errs)
	}
	at := func(line int) Position { return Position{Source: "f", Line: line} }
	want := []*Directive{
		{
			Position: at(3), End: 10, Name: SecRule, Args: f.Directives[0].Args,
			Rule: &Rule{
				Variables: []Variable{
					{Position: at(3), Name: "ARGS"},
					{Position: at(3), Name: "ARGS", Count: true, Key: "Foo"},
					{Position: at(3), Name: "REQUEST_COOKIES", Exclude: true, Key: `^__utm\/|x`, Regex: true},
					{Position: at(3), Name: "XML", Key: "/*"},
					{Position: at(3), Name: "ARGS", Key: "a|b", Regex: true, Quoted: true},
				},
				Operator: &Operator{Position: at(5), Negated: true, Name: "rx", Arg: `say "hi"\\`},
				Actions: []Action{
					{Position: at(7), Name: "id", Value: "1001", Quote: "'"},
					{Position: at(8), Name: "phase", Value: "2"},
					{Position: at(8), Name: "t", Value: "none"},
					{Position: at(8), Name: "t", Value: "urlDecodeUni"},
					{Position: at(9), Name: "msg", Value: `it\'s, a: message`, Quote: "'"},
					{Position: at(9), Name: "deny"},
					{Position: at(10), Name: "chain"},
				},
				Links: []*Directive{{
					Position: at(11), End: 12, Name: SecRule, Args: f.Directives[0].Rule.Links[0].Args,
					Rule: &Rule{
						Variables: []Variable{{Position: at(11), Name: "TX", Key: "1"}},
						Operator:  &Operator{Position: at(11), Name: "streq", Arg: "x"},
						Actions: []Action{
							{Position: at(12), Name: "setvar", Value: "tx.a=%{tx.0}", Quote: "'"},
							{Position: at(12), Name: "ctl", Value: "ruleRemoveTargetById=942100;ARGS:b"},
						},
					},
				}},
			},
		},
		{Position: at(13), End: 13, Name: SecMarker, Args: "END"},
		{
			Position: at(14), End: 14, Name: SecAction, Args: "id:1002,pass",
			Rule: &Rule{Actions: []Action{{Position: at(14), Name: "id", Value: "1002"}, {Position: at(14), Name: "pass"}}},
		},
	}
	if diff := cmp.Diff(want, f.Directives); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.Count() != 3 || f.Directives[0].Rule.ID() != 1001 || f.Directives[0].Rule.Phase() != 2 {
		t.Errorf("count %d, id %d, phase %d", f.Count(), f.Directives[0].Rule.ID(), f.Directives[0].Rule.Phase())
	}
	if err := engineTakes(text); err != nil {
		t.Errorf("the engine refuses the text: %v", err)
	}
	if err := engineTakes(f.String()); err != nil {
		t.Errorf("the engine refuses the printed text: %v", err)
	}
}

func TestParseOperators(t *testing.T) {
	for text, want := range map[string]Operator{
		`attack`:                {Name: "rx", Arg: "attack"},
		`!attack`:               {Name: "rx", Arg: "attack", Negated: true},
		`!`:                     {Name: "rx", Negated: true},
		``:                      {Name: "rx"},
		`@streq a b `:           {Name: "streq", Arg: "a b"},
		`!@within GET POST`:     {Name: "within", Arg: "GET POST", Negated: true},
		`@unconditionalMatch`:   {Name: "unconditionalMatch"},
		`@rx ^\"a\\\"$`:         {Name: "rx", Arg: `^"a\\"$`},
		`@contains @streq`:      {Name: "contains", Arg: "@streq"},
		`@ipMatch 192.0.2.0/24`: {Name: "ipMatch", Arg: "192.0.2.0/24"},
	} {
		f, errs := Parse(rules.Source{Text: `SecRule ARGS "` + text + `" "id:1,pass"`})
		if errs != nil {
			t.Errorf("%s: %v", text, errs)
			continue
		}
		got := *f.Directives[0].Rule.Operator
		got.Position = Position{}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestParseDirectives(t *testing.T) {
	text := "SecRuleRemoveById 1 2 10-20\n" +
		"SecRuleRemoveByTag \"attack-sqli\"\n" +
		"SecRuleRemoveByMsg \"a message\"\n" +
		"SecRuleUpdateTargetById 942100-942999 \"!ARGS:a|!REQUEST_COOKIES:/b c/\"\n" +
		"SecRuleUpdateTargetByTag \"attack-xss\" \"!ARGS:a\"\n" +
		"SecRuleUpdateActionById 12 \"pass,nolog\"\n" +
		"SecDefaultAction \"phase:1,log,pass\"\n" +
		"SecResponseBodyMimeType text/plain text/html\n" +
		"SecDataset words `\none\n# not this\ntwo\n`\n"
	text = strings.Replace(text, "/b c/", `/b\x20c/`, 1)
	f, errs := Parse(rules.Source{Name: "f", Text: text})
	if errs != nil {
		t.Fatal(errs)
	}
	var got []string
	for _, d := range f.Directives {
		got = append(got, strings.TrimSuffix(d.String(), "\n"))
	}
	want := []string{
		"SecRuleRemoveById 1 2 10-20", "SecRuleRemoveByTag attack-sqli", "SecRuleRemoveByMsg a message",
		`SecRuleUpdateTargetById 942100-942999 "!ARGS:a|!REQUEST_COOKIES:/b\x20c/"`,
		`SecRuleUpdateTargetByTag "attack-xss" "!ARGS:a"`, `SecRuleUpdateActionById 12 "pass,nolog"`,
		"SecDefaultAction phase:1,log,pass", "SecResponseBodyMimeType text/plain text/html",
		"SecDataset words `\none\ntwo\n`",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"one", "two"}, f.Directives[8].Dataset.Values); diff != "" {
		t.Errorf("words (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]IDRange{{1, 1}, {2, 2}, {10, 20}}, f.Directives[0].Selection.IDs); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

// TestParseErrors: each text is refused with its line and a message that holds these words.
func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		name, text string
		line       int
		words      string
	}{
		{"unknown directive", "\nSecRul ARGS \"a\" \"id:1\"", 2, `did you mean "SecRule"`},
		{"include", "Include /etc/passwd", 1, "each file is a source of its own"},
		{"unsupported", "SecTmpDir /tmp", 1, "not supported"},
		{"no argument", "SecMarker", 1, "needs an argument"},
		{"two spaces", "SecMarker  X", 1, "more than one space"},
		{"rule without operator", "SecRule ARGS", 1, "variables, an operator and actions"},
		{"operator without quotes", `SecRule ARGS attack "id:1"`, 1, "double quotes"},
		{"operator not closed", `SecRule ARGS "attack`, 1, "not closed"},
		{"actions without quotes", `SecRule ARGS "a" id:1`, 1, "actions have to stand in double quotes"},
		{"unknown variable", `SecRule ARG "a" "id:1"`, 1, `did you mean "ARGS"`},
		{"unknown variable on a continued line", "SecRule ARGS|\\\nARG_NAMES \"a\" \"id:1\"", 2, "ARG_NAMES"},
		{"empty variable", `SecRule ARGS||TX "a" "id:1"`, 1, "variable is missing"},
		{"bar at the end", `SecRule ARGS| "a" "id:1"`, 1, "variable is missing"},
		{"key of a single value", `SecRule REQUEST_URI:a "a" "id:1"`, 1, "takes no key"},
		{"empty key", `SecRule ARGS: "a" "id:1"`, 1, "has no key"},
		{"open regular expression", `SecRule ARGS:/abc "a" "id:1"`, 1, "not closed"},
		{"empty regular expression", `SecRule ARGS:// "a" "id:1"`, 1, "is empty"},
		{"text behind a regular expression", `SecRule ARGS:/a/b "a" "id:1"`, 1, "comes a bar or the end"},
		{"slash in a key", `SecRule ARGS:a/b "a" "id:1"`, 1, "begins a regular expression"},
		{"quoted key", `SecRule ARGS:'a' "a" "id:1"`, 1, "quotes around a key"},
		{"open quote", `SecRule ARGS:'/a/ "a" "id:1"`, 1, "not closed behind it"},
		{"lower case xml", `SecRule xml:/* "a" "id:1"`, 1, "upper case"},
		{"count of an exclusion", `SecRule &!ARGS "a" "id:1"`, 1, "both ! and &"},
		{"unknown operator", `SecRule ARGS "@beginswith a" "id:1"`, 1, `did you mean "beginsWith"`},
		{"unknown action", `SecRule ARGS "a" "id:1,denny"`, 1, `did you mean "deny"`},
		{"action on a continued line", "SecRule ARGS \"a\" \"id:1,\\\n  phase:2,\\\n  foo\"", 3, `"foo"`},
		{"comma at the end", `SecRule ARGS "a" "id:1,deny,"`, 1, "missing between two commas"},
		{"open single quote", `SecRule ARGS "a" "id:1,msg:'x"`, 1, "single quote"},
		{"value missing", `SecRule ARGS "a" "id:1,msg"`, 1, "needs a value"},
		{"value too many", `SecRule ARGS "a" "id:1,deny:403"`, 1, "takes no value"},
		{"id", `SecRule ARGS "a" "id:x"`, 1, "not a rule id"},
		{"phase", `SecRule ARGS "a" "id:1,phase:6"`, 1, "not a phase"},
		{"status", `SecRule ARGS "a" "id:1,status:9"`, 1, "200 to 599"},
		{"transformation", `SecRule ARGS "a" "id:1,t:lowercas"`, 1, `did you mean "lowercase"`},
		{"ctl", `SecRule ARGS "a" "id:1,ctl:ruleremovebyid=1"`, 1, `did you mean "ruleRemoveById"`},
		{"setvar", `SecRule ARGS "a" "id:1,setvar:ip.x=1"`, 1, "tx.name"},
		{"chain at the end", "\nSecRule ARGS \"a\" \"id:1,chain\"\n", 2, "no next rule"},
		{"chain before something else", "SecRule ARGS \"a\" \"id:1,chain\"\nSecMarker X", 1, "followed by SecMarker on line 2"},
		{"disruptive link", "SecRule ARGS \"a\" \"id:1,chain\"\nSecRule ARGS \"b\" \"deny\"", 2, "first rule on line 1"},
		{"id of a link", "SecRule ARGS \"a\" \"id:1,chain\"\nSecRule ARGS \"b\" \"id:2\"", 2, "no id of its own"},
		{"open continuation", "SecRule ARGS \"a\" \\\n", 1, "line continuation"},
		{"open block", "\nSecDataset a `\nb\n", 2, "not closed"},
		{"long line", "SecMarker a\n# " + strings.Repeat("x", 70000), 2, "continue it"},
		{"range", "SecRuleRemoveById 20-10", 1, "not a rule id or range"},
		{"update of two ids", `SecRuleUpdateTargetById 1 2 "!ARGS:a"`, 1, "one id or one range"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errs := Parse(rules.Source{Name: "f", Text: c.text})
			if len(errs) == 0 {
				t.Fatal("accepted")
			}
			if e := errs[0]; e.Line != c.line || !strings.Contains(e.Message, c.words) || e.Source != "f" {
				t.Errorf("got %v, want line %d with %q", e, c.line, c.words)
			}
		})
	}
}

func TestParseReportsAll(t *testing.T) {
	_, errs := Parse(rules.Source{Name: "f", Text: "SecFoo x\nSecRule ARG \"@foo\" \"id:x,bar\"\nSecMarker ok\nSecBar y\n"})
	var lines []int
	for _, e := range errs {
		lines = append(lines, e.Line)
	}
	if diff := cmp.Diff([]int{1, 2, 2, 2, 2, 4}, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s\n%v", diff, errs)
	}
}

// FuzzParse: whatever parses prints to text that parses to the same text again, and nothing panics.
func FuzzParse(f *testing.F) {
	f.Add("SecRule ARGS|!ARGS:/a/ \"@rx \\\"\" \"id:1,msg:'a',chain\"\nSecRule TX:1 \"x\" \"t:none\"\n")
	f.Add("SecDataset a `\nb\n`\nSecMarker \"x \"\nSecRuleUpdateTargetById 1-2 \"!ARGS:a\"")
	f.Fuzz(func(t *testing.T, text string) {
		tree, errs := Parse(rules.Source{Name: "f", Text: text})
		if errs != nil {
			return
		}
		printed := tree.String()
		again, errs := Parse(rules.Source{Name: "f", Text: printed})
		if errs != nil {
			t.Fatalf("printed text is refused: %v\n%s", errs, printed)
		}
		if twice := again.String(); twice != printed {
			t.Fatalf("printed twice:\n%s\n%s", printed, twice)
		}
	})
}
