package resolve

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
)

// TestTextsAgreeWithReference resolves directives of every sort. A text is exact, or it says what is not.
func TestTextsAgreeWithReference(t *testing.T) {
	const id = `"id:1,phase:2,pass"`
	engine := coraza.New(coraza.Options{})
	var cache Cache
	for _, c := range []struct {
		name, text string
		// unsupported is a word of the reason why only the reference runs it; empty if it is exact.
		unsupported string
	}{
		{name: "nothing", text: ""},
		{name: "marker", text: "SecMarker A\nSecMarker \"B C\"\nSecMarker 'D'"},
		{name: "defaults of all phases", text: `SecAction "id:1,phase:1"` + "\n" + `SecAction "id:2"` + "\n" + `SecAction "id:3,phase:3,nolog"` + "\n" + `SecAction "id:4,phase:response,deny"` + "\n" + `SecAction "id:5,phase:logging,block"`},
		{name: "defaults in the middle", text: `SecAction "id:1,phase:1,block"` + "\n" + `SecDefaultAction "phase:1,nolog,deny,status:418"` + "\n" + `SecAction "id:2,phase:1,block"` + "\n" + `SecAction "id:3,phase:1,log,pass"`},
		{name: "defaults of phase 2", text: "SecDefaultAction \"phase:request,log,drop,capture,multiMatch,setvar:tx.a=1,logdata:'x %{tx.a}',skipAfter:M,skip:2,ctl:ruleEngine=Off\"\nSecRule ARGS \"a\" \"id:1,block,setvar:tx.b=2\"\nSecRule ARGS \"a\" \"id:2,pass,chain\"\nSecRule ARGS \"b\"\nSecRule ARGS \"@rx a\" \"id:3,pass,chain\"\nSecRule ARGS \"b\" \"t:none\""},
		{name: "defaults with quotes", text: "SecDefaultAction \"phase:'1',nolog,deny\"\nSecAction \"id:1,phase:1\""},
		{name: "defaults of two phases", text: "SecDefaultAction \"phase:1,phase:3,nolog,deny\"\nSecAction \"id:1,phase:1,block\"\nSecAction \"id:2,phase:3,block\""},
		{name: "defaults without a rule behind", text: "SecAction \"id:1\"\nSecDefaultAction \"phase:2,t:none,pass\""},
		{name: "defaults with a chain", text: "SecDefaultAction \"phase:2,pass,chain\"\nSecAction \"id:1\"\nSecAction \"id:2\"", unsupported: "chain"},
		{name: "several disruptive actions", text: `SecAction "id:1,deny,status:404,drop,log,redirect:'https://a/%{tx.1}',pass,block"` + "\n" + `SecAction "id:2,block,deny"` + "\n" + `SecAction "id:3,deny,block,nolog"`},
		{name: "disruptive actions", text: `SecAction "id:1,allow"` + "\n" + `SecAction "id:2,allow:phase"` + "\n" + `SecAction "id:3,allow:request"` + "\n" + `SecAction "id:4,redirect:/a,status:307"` + "\n" + `SecAction "id:5,drop,status:404"`},
		{name: "metadata", text: `SecAction "id:1,id:7,phase:1,phase:3,msg:'\"a\"',msg:'b %{tx.A}',severity:'CRITICAL',severity:Notice,rev:'1',rev:2,ver:'OWASP',maturity:9,accuracy:'1',tag:a,tag:'b/c',tag:a"`},
		{name: "quotes within quotes", text: `SecAction "id:1,msg:''a b'',logdata:''c'',tag:''d'',rev:''1''"`},
		{name: "severities", text: `SecAction "id:1,severity:0"` + "\n" + `SecAction "id:2,severity:7"` + "\n" + `SecAction "id:3,severity:EMERGENCY"`},
		{name: "log and nolog", text: `SecAction "id:1,log,nolog"` + "\n" + `SecAction "id:2,nolog,log"` + "\n" + `SecAction "id:3,nolog,auditlog"` + "\n" + `SecAction "id:4,phase:5,noauditlog"`},
		{name: "transformations", text: "SecRule ARGS \"a\" \"id:1,t:lowercase,t:none,t:urlDecodeUni,t:NORMALIZEPATH,t:normalisePathWin,t:None,t:md5,t:sha1,t:hexEncode,t:utf8toUnicode\""},
		{name: "selectors", text: `SecRule ARGS|args:Foo|&REQUEST_HEADERS:User-Agent|!REQUEST_HEADERS:Host|REQUEST_HEADERS|REQUEST_HEADERS:'/^X-\S/'|!ARGS:'/a|\/B/'|TX:/^\D|x/|&TX:/A/|XML:/*|XML://@*|ARGS_PATH:Foo|!TX|FILES:F|!XML:/* "@rx \"a\" \\" ` + id},
		{name: "selector of XML with a slash", text: `SecRule XML:/a/ "x" ` + id, unsupported: "slash"},
		{name: "selector of JSON", text: `SecRule JSON|JSON:a.b "x" ` + id},
		{name: "count of JSON", text: `SecRule &JSON "@eq 0" ` + id, unsupported: "JSON"},
		{name: "JSON in a text", text: `SecAction "id:1,pass,msg:'%{json.a}'"`, unsupported: "json"},
		{name: "operators", text: `SecRule ARGS "a b" "id:1"` + "\n" + `SecRule ARGS "!a" "id:2"` + "\n" + `SecRule ARGS "!@within %{tx.A} b" "id:3"` + "\n" + `SecRule ARGS "@pm  a b " "id:4"` + "\n" + `SecRule ARGS "!" "id:5"` + "\n" + `SecRule ARGS "" "id:6"` + "\n" + `SecRule ARGS "@unconditionalMatch" "id:7"` + "\n" + `SecRule ARGS "@rx %{tx.a}" "id:8"` + "\n" + `SecRule ARGS "@validateByteRange 1-255" "id:9"` + "\n" + `SecRule REMOTE_ADDR "@ipMatch 10.0.0.0/8" "id:10"`},
		{name: "operators that reach out", text: `SecRule ARGS "@geoLookup" "id:1"`, unsupported: "geoLookup"},
		{name: "setvar", text: `SecAction "id:1,setvar:tx.a=1,setvar:'TX.B=+%{tx.a}',setvar:'!tx.c=1',setvar:'tx.%{tx.d}=a=b',setvar:tx.e=-1"`},
		{name: "setvar without a value", text: `SecAction "id:1,setvar:tx.a"`, unsupported: "="},
		{name: "removal of a variable", text: `SecAction "id:1,setvar:!tx.a"`, unsupported: "="},
		{name: "texts", text: `SecAction "id:1,msg:'%{tx.a%{',logdata:'%{tx.a}%%{TX.b}'"`},
		{name: "ctl", text: `SecRule ARGS "a" "id:1,ctl:ruleRemoveById=5,ctl:ruleRemoveById=5-9,ctl:ruleRemoveById=9-5,ctl:ruleRemoveById=x,ctl:ruleRemoveByTag=A,ctl:ruleRemoveByTag=,ctl:ruleRemoveByMsg=m x,ctl:ruleRemoveTargetById=5;ARGS:Foo,ctl:ruleRemoveTargetById=5-6;args:/^\S/,ctl:ruleRemoveTargetByTag=t; ARGS : b ,ctl:ruleRemoveTargetByMsg=m;REQUEST_HEADERS,ctl:ruleRemoveTargetById=5;NOTHING:a,ctl:ruleRemoveTargetById=5,ctl:ruleRemoveTargetById=5;ARGS:/a\/,ctl:ruleRemoveTargetById=5;XML:/*"`},
		{name: "ctl of settings", text: `SecAction "id:1,phase:1,ctl:ruleEngine=DetectionOnly,ctl:ruleEngine=maybe,ctl:requestBodyProcessor=json,ctl:responseBodyProcessor=xml,ctl:forceRequestBodyVariable=On,ctl:forceRequestBodyVariable=1,ctl:forceResponseBodyVariable=off,ctl:requestBodyAccess=off,ctl:responseBodyAccess=On,ctl:auditEngine=Off,ctl:auditLogParts=+E,ctl:hashEngine=On,ctl:debugLogLevel=3,ctl:hashEnforcement=x"`},
		{name: "ctl of limits", text: `SecAction "id:1,ctl:requestBodyLimit=5"`, unsupported: "requestBodyLimit"},
		{name: "ctl of the audit log", text: `SecAction "id:1,ctl:auditEngine=On"`, unsupported: "auditEngine"},
		{name: "ctl about markers", text: `SecAction "id:1,ctl:ruleRemoveById=0-5"`, unsupported: "markers"},
		{name: "skips", text: `SecAction "id:1,skip:2,skipAfter:A,skipAfter:\"'B C'\",skip:3"`},
		{name: "actions that do nothing", text: `SecAction "id:1,expirevar:ip.a=1,initcol:ip=%{remote_addr}"`},
		{name: "refused actions", text: `SecAction "id:1,setenv:a=b"`, unsupported: "setenv"},
		{name: "chain", text: "SecRule ARGS:A \"a\" \"id:5,phase:1,deny,chain,msg:'m',tag:x,t:trim\"\nSecRule ARGS \"b\" \"chain,msg:'n %{matched_var}',logdata:'%{tx.0}',tag:y,severity:1,capture\"\nSecAction \"setvar:tx.a=1,nolog\""},
		{name: "removals", text: rulesWithTags(12) + "SecRuleRemoveById 3\nSecRuleRemoveById 5-6 8 100-200\nSecRuleRemoveByTag \"two\"\nSecRuleRemoveById 77\nSecAction \"id:3,pass\""},
		{name: "removal by message", text: "SecAction \"id:1,msg:'a b'\"\nSecAction \"id:2,msg:'%{tx.a}'\"\nSecRuleRemoveByMsg \"a b\"\nSecRuleRemoveByMsg %{tx.a}\nSecAction \"id:3\""},
		{name: "updates of targets", text: rulesWithTags(9) + "SecRuleUpdateTargetById 1 \"!ARGS:A|ARGS:b|!ARGS:'/c|D/'\"\nSecRuleUpdateTargetById 1-1 &TX\nSecRuleUpdateTargetById 2-4 \"!REQUEST_COOKIES|XML:/*\"\nSecRuleUpdateTargetById 50-60 ARGS\nSecRuleUpdateTargetByTag two \"!ARGS:/^\\S/\"\nSecRuleUpdateTargetByTag \"none\" ARGS\nSecRuleUpdateTargetByTag three !ARGS\n"},
		{name: "update of a chain", text: "SecRule ARGS \"a\" \"id:1,deny,chain\"\nSecRule ARGS \"b\"\nSecRuleUpdateTargetById 1 !ARGS:a\nSecRuleUpdateActionById 1 block,t:trim"},
		{name: "updates of actions", text: rulesWithTags(9) + "SecRuleUpdateActionById 1 deny,status:404\nSecRuleUpdateActionById 2-4 \"block,nolog,t:none,t:trim,setvar:tx.u=1,tag:new,msg:'new',severity:3\"\nSecRuleUpdateActionById 5 log\nSecRuleUpdateActionById 6 deny,pass,redirect:/x\nSecRuleUpdateActionById 7 phase:1,capture,multiMatch,skipAfter:Z\nSecRuleUpdateActionById 7 status:302\nSecRuleUpdateTargetByTag new !ARGS\nSecRuleRemoveByTag new"},
		{name: "update to a chain", text: `SecAction "id:1"` + "\nSecRuleUpdateActionById 1 chain\nSecAction \"id:2\"", unsupported: "chain"},
		{name: "update of the id", text: `SecAction "id:1"` + "\nSecRuleUpdateActionById 1 id:2", unsupported: "id"},
		{name: "settings", text: "SecRuleEngine on\nSecRequestBodyAccess off\nSecResponseBodyAccess OFF\nSecResponseBodyAccess on\nSecResponseBodyMimeType text/html text/plain\nSecComponentSignature \"x\"\nSecCollectionTimeout 600"},
		{name: "media types", text: "SecResponseBodyMimeType text/html\nSecResponseBodyMimeTypesClear"},
		{name: "settings of the gateway", text: "SecArgumentsLimit 5", unsupported: "SecArgumentsLimit"},
		{name: "mode", text: "SecRuleEngine Off", unsupported: "SecRuleEngine Off"},
		{name: "data file of a release", text: `SecRule ARGS "@pmFromFile crs-4.22.0/lfi-os-files.data" "id:1"`},
		{name: "data sets", text: "SecDataset a `\nx y\n# no\nz\n`\nSecRule ARGS \"@ipMatchFromDataset a\" \"id:1\""},
		{name: "words of a data set", text: "SecDataset a `\nx y\n`\nSecRule ARGS \"@pmFromDataset a\" \"id:1\"", unsupported: "@pmFromDataset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := compare(t, engine, &cache, []rules.Source{{Name: "own.conf", Text: c.text + "\n"}})
			if err != nil {
				t.Fatal(err)
			}
			reasons := strings.Join(p.reasons(), "; ")
			if c.unsupported == "" && reasons != "" || !strings.Contains(reasons, c.unsupported) {
				t.Errorf("unsupported is %q, want %q", reasons, c.unsupported)
			}
		})
	}
}

// rulesWithTags are rules with ids from 1, of which every second and third has a tag.
func rulesWithTags(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "SecRule ARGS|REQUEST_COOKIES|!ARGS:own \"@rx a%d\" \"id:%d,phase:%d,block,t:lowercase,msg:'rule %d',tag:'all'", i, i, i%5+1, i)
		if i%2 == 0 {
			b.WriteString(",tag:two")
		}
		if i%3 == 0 {
			b.WriteString(",tag:three")
		}
		b.WriteString("\"\n")
	}
	return b.String()
}

// TestErrorsOfReference: what the reference refuses is an error or unsupported, and names its place.
func TestErrorsOfReference(t *testing.T) {
	engine := coraza.New(coraza.Options{})
	for _, c := range []struct{ name, text, want string }{
		{"no id", `SecAction "pass"`, "own.conf:1: the rule has no id"},
		{"id twice", "SecAction \"id:1\"\n\nSecAction \"id:1\"", "own.conf:3: rule id 1 is already used at own.conf:1"},
		{"two default actions", "SecDefaultAction \"phase:2,pass\"\nSecDefaultAction \"phase:2,deny\"\nSecAction \"id:1\"\nSecAction \"id:2\"", "own.conf:2: there are default actions for phase 2 already"},
		{"default actions without a phase", "SecDefaultAction \"pass\"\nSecAction \"id:1\"", "own.conf:1: the default actions have no phase"},
		{"default actions that disrupt nothing", "SecDefaultAction \"phase:1,log\"\nSecAction \"id:1\"", "no disruptive action"},
		{"default transformation", "SecDefaultAction \"phase:1,pass,t:none\"\nSecAction \"id:1\"", "cannot be a default action"},
		{"default actions that the driver does not see", "SecDefaultAction \"phase:response,log,deny\"\nSecAction \"id:1\"", "default actions for phase 4 already"},
		{"transformation of an update", "SecAction \"id:1\"\nSecRuleUpdateActionById 1 t:nothing", "there is no transformation"},
		{"default tag", "SecDefaultAction \"phase:1,pass,tag:a\"\nSecAction \"id:1\"", "cannot be a default action"},
		{"default phase", "SecDefaultAction \"phase:9,pass\"\nSecAction \"id:1\"", "phases are 1 to 5"},
		{"severity", `SecAction "id:1,severity:8"`, "severities are"},
		{"accuracy", `SecAction "id:1,accuracy:10"`, "1 to 9"},
		{"text", `SecAction "id:1,msg:'%{tx.a'"`, "malformed macro"},
		{"variable of a text", `SecAction "id:1,logdata:'%{nothing}'"`, "macro without a variable"},
		{"empty text", `SecAction "id:1,setvar:tx.a="`, "the text is empty"},
		{"allow", `SecAction "id:1,allow:response"`, "allow:phase"},
		{"initcol", `SecAction "id:1,initcol:ip"`, "initcol"},
		{"skip", `SecAction "id:1,skip:0"`, "from 1"},
		{"skipAfter", `SecAction "id:1,skipAfter:''''"`, "marker"},
		{"regular expression of ctl", `SecAction "id:1,ctl:ruleRemoveTargetById=1;ARGS:/(/"`, "missing closing"},
		{"empty regular expression of ctl", `SecAction "id:1,ctl:ruleRemoveTargetById=1;ARGS://"`, "empty"},
		{"regular expression of a key", `SecRule ARGS:/(/ "a" "id:1"`, "missing closing"},
		{"argument with a macro", `SecRule ARGS "@streq %{a" "id:1"`, "malformed macro"},
		{"no argument", `SecRule ARGS "@contains" "id:1"`, "the text is empty"},
		{"update of no rule", "SecRuleUpdateTargetById 5 ARGS", "there is no rule 5 before"},
		{"update of actions of no rule", "SecAction \"id:4\"\nSecRuleUpdateActionById 5 pass", "own.conf:2: SecRuleUpdateActionById: there is no rule 5"},
		{"removal by message of rules without one", "SecAction \"id:4\"\nSecRuleRemoveByMsg a", "own.conf:2: SecRuleRemoveByMsg cannot be used"},
		{"switch", "SecRequestBodyAccess maybe", "On or Off"},
		{"argument", "SecResponseBodyMimeTypesClear text/html", "takes no argument"},
		{"syntax", "SecRule ARGS", "a SecRule is"},
		{"status", "SecAction \"id:1\"\nSecRuleUpdateActionById 1 deny,status:999", "status:999"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sources := []rules.Source{{Name: "own.conf", Text: c.text}}
			if _, err := loadReference(t, engine, sources); err == nil {
				t.Error("the reference takes it")
			}
			p, err := Resolve(sources)
			if err == nil {
				if reasons := p.reasons(); len(reasons) == 0 || !strings.Contains(reasons[0], c.want) {
					t.Fatalf("there is no error, and it is unsupported for %q", reasons)
				}
				return
			}
			if got := err.Error(); !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
				t.Errorf("got %v, want %s once", err, c.want)
			}
		})
	}
}

// TestRandomTextsAgreeWithReference loads what chance makes of directives and their parts.
func TestRandomTextsAgreeWithReference(t *testing.T) {
	engine := coraza.New(coraza.Options{})
	var cache Cache
	random := rand.New(rand.NewPCG(3, 1))
	exact, partly, refused := 0, 0, 0
	texts := 600
	if testing.Short() {
		texts = 40
	}
	for range texts {
		g := generator{random: random}
		var sources []rules.Source
		for _, name := range []string{"a.conf", "own/b.conf", "crs-4.25.0/c.conf"} {
			sources = append(sources, rules.Source{Name: name, Text: g.text()})
		}
		sources[0].Text = "SecDataset d `\n10.0.0.1\n`\n" + sources[0].Text
		p, err := compare(t, engine, &cache, sources)
		switch {
		case err != nil:
			refused++
			if _, err := loadReference(t, engine, sources); err == nil {
				t.Errorf("the reference takes what we refuse: %v", err)
			}
		case len(p.reasons()) > 0:
			partly++
		default:
			exact++
		}
		if t.Failed() {
			for _, s := range sources {
				t.Logf("%s:\n%s", s.Name, s.Text)
			}
			return
		}
	}
	t.Logf("%d texts are exact, %d partly supported, %d refused", exact, partly, refused)
	if exact < texts/3 {
		t.Errorf("%d of %d texts are exact, want a third", exact, texts)
	}
}

// generator writes rule text. Most of it is right.
type generator struct {
	random *rand.Rand
	id     int
}

func (g *generator) one(from ...string) string { return from[g.random.IntN(len(from))] }

func (g *generator) some(most int, separator string, from func() string) string {
	var parts []string
	for range 1 + g.random.IntN(most) {
		parts = append(parts, from())
	}
	return strings.Join(parts, separator)
}

func (g *generator) text() string {
	var b strings.Builder
	for range 2 + g.random.IntN(8) {
		b.WriteString(g.directive() + "\n")
	}
	return b.String()
}

func (g *generator) directive() string {
	known := func() string { return fmt.Sprint(1 + g.random.IntN(max(g.id, 1))) }
	span := func() string {
		first := g.random.IntN(max(g.id, 1)) + 1
		return fmt.Sprintf("%d-%d", first, first+1+g.random.IntN(6))
	}
	ids := func() string { return g.one(known(), span()) }
	switch g.random.IntN(24) {
	case 0:
		return g.one("SecMarker END", `SecMarker "END A"`)
	case 1:
		return fmt.Sprintf(`SecDefaultAction "phase:%d,%s"`, 1+g.random.IntN(5), g.one("nolog,deny", "log,pass", "drop,status:404,setvar:tx.d=1", "block,capture", "pass,multiMatch,logdata:'%{tx.0}'"))
	case 2:
		return "SecRuleRemoveById " + g.some(3, " ", ids)
	case 3:
		return "SecRuleRemoveByTag " + g.one("a", "b", "c d")
	case 4, 5:
		return "SecRuleUpdateTargetById " + span() + ` "` + g.some(3, "|", g.variable) + `"`
	case 6, 7:
		return "SecRuleUpdateTargetByTag " + g.one("a", "b") + " " + g.some(2, "|", g.variable)
	case 8, 9:
		return "SecRuleUpdateActionById " + span() + ` "` + g.some(4, ",", func() string { return strings.ReplaceAll(g.action(), " ", "") }) + `"`
	case 10:
		return g.one("SecResponseBodyMimeType text/html text/xml", "SecRequestBodyAccess Off", "SecResponseBodyAccess off", "SecRuleEngine On", "SecDataset d `\n10.0.0.1\n::1, 10.1.0.0/16\n`")
	case 11, 12:
		g.id++
		return fmt.Sprintf(`SecAction "id:%d,%s"`, g.id, g.some(6, ",", g.action))
	}
	g.id++
	chained := g.random.IntN(4) == 0
	rule := fmt.Sprintf(`SecRule %s "%s" "id:%d,%s`, g.some(5, "|", g.variable), g.operator(), g.id, g.some(8, ",", g.action))
	if !chained {
		return rule + `"`
	}
	rule += `,chain"`
	for range g.random.IntN(2) {
		rule += fmt.Sprintf("\n  SecRule %s \"%s\" \"chain,%s\"", g.some(3, "|", g.variable), g.operator(), g.linkAction())
	}
	return rule + "\n  " + g.one(fmt.Sprintf("SecRule %s \"%s\"", g.variable(), g.operator()),
		fmt.Sprintf("SecRule %s \"%s\" \"%s\"", g.variable(), g.operator(), g.some(4, ",", g.linkAction)),
		fmt.Sprintf("SecAction \"%s\"", g.some(4, ",", g.linkAction)))
}

func (g *generator) variable() string {
	return g.one("", "", "&", "!") + g.one(
		"ARGS", "ARGS:Foo", "args:foo", `ARGS:/^A\S|b/`, `ARGS:'/x\/y/'`, "ARGS_NAMES", "ARGS_NAMES:/N/", "ARGS_PATH:A",
		"REQUEST_HEADERS", "REQUEST_HEADERS:User-Agent", `REQUEST_HEADERS:/^X-\D+\\/`, "REQUEST_COOKIES", "REQUEST_COOKIES:/^__utm/",
		"TX:A_b", "TX", `TX:'/^H[A-Z]|\W/'`, "XML:/*", "XML://@*", "XML", "REQUEST_URI", "FILES:A", "REQUEST_BODY", "MATCHED_VARS", "GEO:country_code")
}

func (g *generator) operator() string {
	return g.one("a+", "!b", "", "!", "@rx ^[a-z]$", `@rx \"x\" %{tx.a}`, "!@streq %{tx.A}", "@within %{tx.b}|a", "@contains b%", "@eq 0", "!@lt %{tx.n}",
		"@pm c d", "@ipMatchFromDataset d", "@detectSQLi", "@beginsWith /x", "@unconditionalMatch", "@validateByteRange 32-126", "@ipMatch 10.0.0.0/8",
		"@endsWith %{request_headers.host}", "@strmatch %{", "@noMatch", "@validateUrlEncoding")
}

func (g *generator) action() string {
	if g.random.IntN(3) > 0 {
		return g.linkAction()
	}
	return g.one("deny", "pass", "block", "drop", "redirect:'https://a/?b=1'", "allow", "allow:phase", "phase:1", "phase:2", "phase:'3'", "phase:request", "phase:5",
		"status:404", "status:'302'", "skipAfter:END", "skip:2", "skipAfter:'END A'")
}

func (g *generator) linkAction() string {
	return g.one("log", "nolog", "auditlog", "noauditlog", "capture", "multiMatch", "t:none", "t:lowercase", "t:urlDecodeUni", "T:normalizePath", "t:'trim'",
		"tag:a", "tag:'b'", "tag:'c d'", "msg:'m, x'", "msg:'%{MATCHED_VAR} in %{rule.id}'", "logdata:'d %{tx.1}'", "severity:CRITICAL", "severity:'4'", "rev:3", "ver:'x'",
		"setvar:tx.a=1", "setvar:'tx.A=+%{tx.b}'", "setvar:'tx.%{tx.0}=x y'", "setvar:!tx.q=1", "setvar:tx.w",
		"ctl:ruleRemoveById=3", "ctl:ruleRemoveById=3-5", "ctl:ruleRemoveByTag=a", "ctl:ruleRemoveTargetById=2-4;ARGS:Foo", `ctl:ruleRemoveTargetByTag=b;REQUEST_HEADERS:/^X\S/`,
		"ctl:ruleRemoveTargetByMsg=m;ARGS", "ctl:ruleEngine=DetectionOnly", "ctl:requestBodyProcessor=xml", "ctl:forceRequestBodyVariable=on", "ctl:auditEngine=Off",
		"ctl:ruleRemoveTargetById=7;NOT_A_VARIABLE", "ctl:requestBodyAccess=Off", "initcol:ip=a", "status:403", "accuracy:3")
}
