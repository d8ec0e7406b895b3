package seclang

import (
	"strings"
	"testing"

	"gatehouse/rules"
)

// ruleWith is an ordinary rule with some actions.
func ruleWith(actions string) string {
	return `SecRule ARGS "@rx attack" "id:1001,phase:2,pass,` + actions + `"`
}

// TestCheckRefuses: each text is refused once, on its line, with words that say what is wrong or right.
func TestCheckRefuses(t *testing.T) {
	cases := []struct {
		name, text string
		line       int
		words      string
	}{
		// Directives.
		{"engine", "SecRuleEngine Off", 1, "set mode on the application"},
		{"engine on", "SecRuleEngine On", 1, "set mode on the application"},
		{"request body access", "SecRequestBodyAccess Off", 1, "always inspected"},
		{"response body access", "SecResponseBodyAccess On", 1, "response: inspect"},
		{"body limit", "SecRequestBodyLimit 1", 1, "max_bytes"},
		{"arguments limit", "SecArgumentsLimit 10", 1, "not among the directives"},
		{"audit log", "SecAuditLog /tmp/x", 1, "logs:"},
		{"audit engine", "SecAuditEngine On", 1, "logs:"},
		{"debug log", "SecDebugLog /tmp/x", 1, "logs:"},
		{"data directory", "SecDataDir /tmp", 1, "not among the directives"},
		{"upload directory", "SecUploadDir /tmp", 1, "not among the directives"},
		{"default action", `SecDefaultAction "phase:2,deny"`, 1, "in each rule"},
		{"data set", "SecDataset x `\na\n`", 1, "@pm"},
		{"remote rules", "SecRemoteRules key https://x.example", 1, "not among the directives"},
		{"include", "Include /etc/passwd", 1, "source of its own"},
		{"errors ignored", "SecIgnoreRuleCompilationErrors On", 1, "not among the directives"},
		// Ids.
		{"no id", `SecRule ARGS "@rx a" "phase:2,deny"`, 1, "has no id"},
		{"no id in an action", `SecAction "phase:2,pass"`, 1, "has no id"},
		{"id above", `SecAction "id:100000,pass"`, 1, "1 to 99999"},
		{"id of CRS", `SecAction "id:942100,pass"`, 1, "1 to 99999"},
		{"id twice", "SecAction \"id:7,pass\"\nSecAction \"id:7,pass\"", 2, "rule on line 1"},
		// Operators and variables.
		{"rbl", `SecRule REMOTE_ADDR "@rbl x.example" "id:1,deny"`, 1, "network"},
		{"inspect file", `SecRule FILES "@inspectFile /bin/x" "id:1,deny"`, 1, "runs a program"},
		{"words from a file", `SecRule ARGS "@pmFromFile /etc/passwd" "id:1,deny"`, 1, "@pm"},
		{"words from a file, short", `SecRule ARGS "@pmf /etc/passwd" "id:1,deny"`, 1, "@pm"},
		{"addresses from a file", `SecRule REMOTE_ADDR "@ipMatchFromFile /etc/passwd" "id:1,deny"`, 1, "@ipMatch"},
		{"words from a data set", `SecRule ARGS "@pmFromDataset x" "id:1,deny"`, 1, "@pm"},
		{"schema", `SecRule XML "@validateSchema /etc/passwd" "id:1,deny"`, 1, "reads a file"},
		{"location", `SecRule REMOTE_ADDR "@geoLookup" "id:1,deny"`, 1, "list of addresses"},
		{"file in a link", "SecRule ARGS \"@rx a\" \"id:1,deny,chain\"\n SecRule ARGS \"@pmFromFile x\"", 2, "@pm"},
		{"look-ahead", `SecRule ARGS "@rx (?=a)" "id:1,deny"`, 1, "RE2"},
		{"address", `SecRule REMOTE_ADDR "@ipMatch 10.0.0.0/8,10.0.0.300" "id:1,deny"`, 1, "10.0.0.300"},
		{"environment", `SecRule ENV:AWS_SECRET_ACCESS_KEY "@rx a" "id:1,deny"`, 1, "environment"},
		// Actions.
		{"exec", ruleWith("exec:/bin/x"), 1, "runs a program"},
		{"initcol", ruleWith("initcol:ip=%{REMOTE_ADDR}"), 1, "rate_limits"},
		{"expirevar", ruleWith("expirevar:ip.x=60"), 1, "rate_limits"},
		{"setenv", ruleWith("setenv:x=y"), 1, "setvar"},
		{"setsid", ruleWith("setsid:x"), 1, "not an action"},
		{"allow", `SecRule ARGS "@rx a" "id:1,allow"`, 1, "then: allow"},
		{"allow phase", `SecRule ARGS "@rx a" "id:1,allow:phase"`, 1, "then: allow"},
		{"skip", ruleWith("skip:1"), 1, "skipAfter"},
		{"skip to nowhere", ruleWith("skipAfter:END"), 1, "no SecMarker"},
		{"skip backwards", "SecMarker END\n" + ruleWith("skipAfter:END"), 2, "no SecMarker"},
		{"skip to a marker of CRS", ruleWith("skipAfter:END-REQUEST-942-APPLICATION-ATTACK-SQLI"), 1, "no SecMarker"},
		{"marker of ours", "SecMarker GATEHOUSE-END", 1, "gateway's own"},
		{"status too low", `SecRule ARGS "@rx a" "id:1,deny,status:100"`, 1, "200 to 599"},
		{"status too high", `SecRule ARGS "@rx a" "id:1,deny,status:600"`, 1, "200 to 599"},
		{"redirect", `SecRule ARGS "@rx a" "id:1,redirect:javascript:x"`, 1, "http://"},
		{"redirect with a macro", `SecRule ARGS "@rx a" "id:1,redirect:https://%{REQUEST_HEADERS.Host}/sorry"`, 1, "not expanded"},
		{"redirect that is a macro", `SecRule ARGS "@rx a" "id:1,redirect:%{ARGS.next}"`, 1, "not expanded"},
		{"environment in a message", ruleWith("msg:'%{ENV.HOME}'"), 1, "environment"},
		{"environment in data", ruleWith("logdata:'x %{MATCHED_VAR} %{env.AWS_SECRET_ACCESS_KEY}'"), 1, "environment"},
		{"environment in a variable", ruleWith("setvar:tx.my=%{ENV.HOME}"), 1, "environment"},
		{"environment in a tag", ruleWith("tag:'%{ENV}'"), 1, "environment"},
		{"environment in an operator", `SecRule ARGS "@streq %{ENV.TOKEN}" "id:1,deny"`, 1, "environment"},
		{"environment in an update", `SecRuleUpdateActionById 942100 "logdata:'%{ENV.HOME}'"`, 1, "environment"},
		{"tag of ours", ruleWith("tag:'gatehouse/exclusion:x'"), 1, "gateway's own"},
		{"tag that hides", ruleWith("tag:'gatehouse/internal'"), 1, "gateway's own"},
		// ctl.
		{"ctl engine off", ruleWith("ctl:ruleEngine=Off"), 1, "mode"},
		{"ctl engine detection", ruleWith("ctl:ruleEngine=DetectionOnly"), 1, "mode"},
		{"ctl engine on", ruleWith("ctl:ruleEngine=On"), 1, "mode"},
		{"ctl body access", ruleWith("ctl:requestBodyAccess=Off"), 1, "inspect_bytes"},
		{"ctl body limit", ruleWith("ctl:requestBodyLimit=1"), 1, "max_bytes"},
		{"ctl response access", ruleWith("ctl:responseBodyAccess=Off"), 1, "response: inspect"},
		{"ctl audit engine", ruleWith("ctl:auditEngine=Off"), 1, "logs:"},
		{"ctl audit parts", ruleWith("ctl:auditLogParts=+E"), 1, "logs:"},
		{"ctl debug", ruleWith("ctl:debugLogLevel=9"), 1, "remove it"},
		{"ctl processor", ruleWith("ctl:requestBodyProcessor=NOTHING"), 1, "URLENCODED"},
		{"ctl in a link", "SecRule ARGS \"@rx a\" \"id:1,pass,chain\"\nSecRule ARGS \"@rx b\" \\\n\"t:none,\\\nctl:ruleEngine=Off\"", 4, "mode"},
		{"ctl remove evaluation", ruleWith("ctl:ruleRemoveById=949110"), 1, "evaluate"},
		{"ctl remove range over evaluation", ruleWith("ctl:ruleRemoveById=942000-949999"), 1, "evaluate"},
		{"ctl remove base rule", ruleWith("ctl:ruleRemoveById=200002"), 1, "body parser"},
		{"ctl remove everything", ruleWith("ctl:ruleRemoveById=1-9999999"), 1, "cannot be changed"},
		{"ctl remove all of CRS", ruleWith("ctl:ruleRemoveByTag=OWASP_CRS"), 1, "switch the WAF off"},
		{"ctl remove a level", ruleWith("ctl:ruleRemoveByTag=paranoia-level/1"), 1, "switch the WAF off"},
		{"ctl remove by message", ruleWith("ctl:ruleRemoveByMsg=Inbound Anomaly Score Exceeded (Total Score: %{TX.BLOCKING_INBOUND_ANOMALY_SCORE})"), 1, "cannot be changed"},
		{"ctl target of evaluation", ruleWith("ctl:ruleRemoveTargetById=949110;TX:blocking_inbound_anomaly_score"), 1, "evaluate"},
		{"ctl target of everything", ruleWith("ctl:ruleRemoveTargetByTag=OWASP_CRS;TX:blocking_inbound_anomaly_score"), 1, "switch the WAF off"},
		{"ctl all arguments of everything", ruleWith("ctl:ruleRemoveTargetByTag=OWASP_CRS;ARGS"), 1, "switch the WAF off"},
		{"ctl without target", ruleWith("ctl:ruleRemoveTargetById=942100"), 1, "needs what"},
		{"ctl unknown target", ruleWith("ctl:ruleRemoveTargetById=942100;ARG:x"), 1, `did you mean "ARGS"`},
		{"ctl target of ours", ruleWith("ctl:ruleRemoveById=110000"), 1, "gateway's own"},
		{"ctl not an id", ruleWith("ctl:ruleRemoveById=x"), 1, "not a rule id"},
		// Removal and update.
		{"remove evaluation", "SecRuleRemoveById 949110", 1, "evaluate"},
		{"remove early evaluation", "SecRuleRemoveById 949111", 1, "evaluate"},
		{"remove outbound evaluation", "SecRuleRemoveById 959100", 1, "evaluate"},
		{"remove report", "SecRuleRemoveById 980170", 1, "report"},
		{"remove base rules", "SecRuleRemoveById 200000-200006", 1, "body parser"},
		{"remove the last base rule", "SecRuleRemoveById 200009", 1, "body parser"},
		{"remove set-up", "SecRuleRemoveById 901200", 1, "score"},
		{"remove ours", "SecRuleRemoveById 100000", 1, "gateway's own"},
		{"remove a range over evaluation", "SecRuleRemoveById 942100 900000-990000", 1, "cannot be changed"},
		{"remove all of CRS", "SecRuleRemoveByTag OWASP_CRS", 1, "switch the WAF off"},
		{"remove evaluation by tag", "SecRuleRemoveByTag anomaly-evaluation", 1, "switch the WAF off"},
		{"remove by message", `SecRuleRemoveByMsg "Inbound Anomaly Score"`, 1, "cannot be changed"},
		{"remove base rules by message", `SecRuleRemoveByMsg "Gatehouse: the request body does not parse"`, 1, "cannot be changed"},
		{"update evaluation", `SecRuleUpdateActionById 949110 "pass"`, 1, "evaluate"},
		{"update target of evaluation", `SecRuleUpdateTargetById 949110 "!TX:blocking_inbound_anomaly_score"`, 1, "evaluate"},
		{"update target of everything", `SecRuleUpdateTargetByTag OWASP_CRS "!ARGS"`, 1, "switch the WAF off"},
		{"update with a program", `SecRuleUpdateActionById 942100 "exec:/bin/x"`, 1, "runs a program"},
		{"update of an id", `SecRuleUpdateActionById 942100 "id:7"`, 1, "cannot change the action id"},
		{"remove all classes", "SecRuleRemoveById 910000-948999", 1, "several classes"},
		{"ctl remove all classes", ruleWith("ctl:ruleRemoveById=910000-948999"), 1, "several classes"},
		{"ctl all arguments of all classes", ruleWith("ctl:ruleRemoveTargetById=910000-948999;ARGS"), 1, "several classes"},
		{"ctl any argument of all classes", ruleWith("ctl:ruleRemoveTargetById=910000-948999;ARGS:/./"), 1, "several classes"},
		{"update all classes", `SecRuleUpdateActionById 910000-948999 "pass,nolog"`, 1, "several classes"},
		{"update targets of all classes", `SecRuleUpdateTargetById 910000-948999 "!ARGS"`, 1, "several classes"},
		{"update any argument of everything", `SecRuleUpdateTargetByTag OWASP_CRS "!ARGS:/.*/"`, 1, "switch the WAF off"},
		{"update some letter of everything", `SecRuleUpdateTargetByTag OWASP_CRS "!ARGS:/[a-z]/"`, 1, "switch the WAF off"},
		{"update XML of everything", `SecRuleUpdateTargetByTag OWASP_CRS "!XML:/*"`, 1, "switch the WAF off"},
		{"ctl any argument of everything", ruleWith("ctl:ruleRemoveTargetByTag=OWASP_CRS;ARGS:/./"), 1, "switch the WAF off"},
		{"ctl XML of everything", ruleWith("ctl:ruleRemoveTargetByTag=OWASP_CRS;XML:/*"), 1, "switch the WAF off"},
		// Variables of the gateway and of CRS.
		{"method override", ruleWith("setvar:tx.allow_method_override_parameter=1"), 1, "choose another name"},
		{"own variable", ruleWith("setvar:tx.gatehouse_detect=1"), 1, "choose another name"},
		{"own variable removed", ruleWith("setvar:!tx.gatehouse_now"), 1, "choose another name"},
		{"own variable in other case", ruleWith("setvar:TX.Gatehouse_Host=x"), 1, "choose another name"},
		{"threshold", ruleWith("setvar:tx.inbound_anomaly_score_threshold=1000"), 1, "inbound_threshold"},
		{"threshold raised", ruleWith("setvar:tx.inbound_anomaly_score_threshold=+5"), 1, "inbound_threshold"},
		{"score reset", ruleWith("setvar:tx.inbound_anomaly_score_pl1=0"), 1, "may add points"},
		{"score reduced", ruleWith("setvar:tx.inbound_anomaly_score_pl1=-5"), 1, "may add points"},
		{"score reduced by adding", ruleWith("setvar:tx.inbound_anomaly_score_pl1=+-5"), 1, "may add points"},
		{"score removed", ruleWith("setvar:!tx.inbound_anomaly_score_pl1"), 1, "may add points"},
		{"blocking score", ruleWith("setvar:tx.blocking_inbound_anomaly_score=0"), 1, "paranoia"},
		{"points", ruleWith("setvar:tx.critical_anomaly_score=0"), 1, "may add points"},
		{"points by adding", ruleWith("setvar:tx.critical_anomaly_score=+5"), 1, "may add points"},
		{"paranoia", ruleWith("setvar:tx.blocking_paranoia_level=0"), 1, "crs: paranoia"},
		{"methods", ruleWith("setvar:'tx.allowed_methods=TRACE'"), 1, "traffic"},
		{"sampling", ruleWith("setvar:tx.sampling_percentage=1"), 1, "choose another name"},
		{"name that could become one", ruleWith("setvar:tx.%{ARGS.n}=1"), 1, "could become"},
		{"name that could become one in part", ruleWith("setvar:tx.gate%{ARGS.n}=1"), 1, "could become"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			errs := Check(rules.Source{Name: "own.conf", Text: c.text})
			if len(errs) == 0 {
				t.Fatal("accepted")
			}
			if e := errs[0]; e.Line != c.line || e.Source != "own.conf" || !strings.Contains(e.Message, c.words) {
				t.Errorf("got %v, want line %d with %q", e, c.line, c.words)
			}
		})
	}
	if len(cases) < 100 {
		t.Errorf("%d texts, want at least 100", len(cases))
	}
}

// TestCheckReportsAll: problems of reading do not hide those of what could be read, nor of the same rule, and each names
// its rule or directive. A rule after one that cannot be read is not taken to task for being its link.
func TestCheckReportsAll(t *testing.T) {
	errs := Check(rules.Source{Name: "own.conf", Text: strings.Join([]string{
		`SecRule ARGS "@rx (" "id:1,deny"`,
		`SecAuditLog /etc/passwd`,
		`Include /etc/passwd`,
		`SecRule ARGS "@pmFromFile /x" "id:4,deny,status:999,exec:/bin/sh"`,
		`SecRule ARG "@rx a" "id:5,deny,ctl:ruleEngine=Off"`,
		`SecRuleRemoveById 949110`,
		`SecRule ARGS "@rx a" "id:7,phase:9,pass,chain"`,
		`  SecRule ARGS "@rx b" "t:none,setvar:tx.crs_x=1"`,
		`SecRule ARGS "@rx a" "id:4,phase:2,deny"`,
		`SecRule ARGS "@rx a" "phase:2,deny"`,
		`SecRuleRemoveById x`,
		`SecRule ARGS "@rx c" "id:12,phase:2,pass,t:nothing"`,
	}, "\n")})
	want := []struct {
		line  int
		words string
	}{
		{1, "rule 1: @rx"},
		{2, "SecAuditLog"},
		{3, "Include"},
		{4, "rule 4: status:999"},
		{4, "rule 4: @pmFromFile"},
		{4, "rule 4: the action exec"},
		{5, `rule 5: "ARG" is not a variable`},
		{5, "rule 5: ctl:ruleEngine"},
		{6, "SecRuleRemoveById 949110"},
		{7, "rule 7: phase:9"},
		{8, "SecRule: setvar:tx.crs_x"},
		{9, "id:4 is already the id"},
		{10, "SecRule: the rule has no id"},
		{11, `SecRuleRemoveById: "x" is not a rule id`},
		{12, "rule 12: t:nothing"},
	}
	for i, e := range errs {
		if i >= len(want) || e.Line != want[i].line || !strings.Contains(e.Message, want[i].words) {
			t.Errorf("problem %d: %v", i, e)
		}
	}
	if len(errs) != len(want) {
		t.Errorf("%d problems, want %d", len(errs), len(want))
	}
}

// TestCheckAccepts: ordinary rules are accepted, by the engine too.
func TestCheckAccepts(t *testing.T) {
	cases := []struct{ name, text string }{
		{"deny", `SecRule ARGS "@rx attack" "id:1,phase:2,deny,status:403,log,msg:'attack'"`},
		{"lowest and highest id", "SecAction \"id:1,phase:1,pass\"\nSecAction \"id:99999,phase:1,pass\""},
		{"drop", `SecRule REQUEST_HEADERS:User-Agent "@pm bot crawler" "id:2,phase:1,drop,t:lowercase"`},
		{"redirect", `SecRule REQUEST_URI "@beginsWith /old" "id:3,phase:1,redirect:https://example.com/new"`},
		{"block", `SecRule ARGS:x "@streq 1" "id:4,phase:2,block,log,severity:'CRITICAL',tag:'own/rule',ver:'1'"`},
		{"score", ruleWith("setvar:tx.inbound_anomaly_score_pl1=+%{tx.critical_anomaly_score}")},
		{"score by number", ruleWith("setvar:'tx.sql_injection_score=+5'")},
		{"own variable", ruleWith("setvar:tx.my_flag=1,setvar:tx.my_%{tx.0}=%{MATCHED_VAR}")},
		{"chain", "SecRule REQUEST_METHOD \"@streq POST\" \"id:5,phase:2,deny,chain\"\n  SecRule &ARGS \"@gt 50\" \"t:none\""},
		{"remove for a request", ruleWith("ctl:ruleRemoveById=942100,ctl:ruleRemoveById=942000-942999,ctl:ruleRemoveByTag=attack-xss")},
		{"remove a target", ruleWith("ctl:ruleRemoveTargetById=942100;ARGS:q,ctl:ruleRemoveTargetByTag=attack-sqli;REQUEST_COOKIES:/^_ga/")},
		{"remove a field from all of CRS", ruleWith("ctl:ruleRemoveTargetByTag=OWASP_CRS;ARGS:password")},
		{"remove a field from every class", ruleWith("ctl:ruleRemoveTargetById=910000-948999;ARGS:password,ctl:ruleRemoveTargetByTag=OWASP_CRS;ARGS:/^pass_[a-z]+$/")},
		{"remove own rules", ruleWith("ctl:ruleRemoveById=1000-99999")},
		{"remove by message", ruleWith("ctl:ruleRemoveByMsg=XSS Attack Detected via libinjection")},
		{"processor", `SecRule REQUEST_HEADERS:Content-Type "@beginsWith application/x-own" "id:6,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"`},
		{"skip to a marker", "SecRule REQUEST_METHOD \"@streq GET\" \"id:7,phase:1,pass,nolog,skipAfter:END-OWN\"\nSecMarker END-OWN"},
		{"address", `SecRule REMOTE_ADDR "!@ipMatch 10.0.0.0/8, 2001:db8::1" "id:8,phase:1,deny"`},
		{"variables", `SecRule ARGS|!ARGS:/^csrf/|REQUEST_HEADERS:Referer|&REQUEST_COOKIES:sid|XML:/* "@detectSQLi" "id:9,phase:2,deny,capture,multiMatch,t:none,t:urlDecodeUni"`},
		{"response", `SecRule RESPONSE_STATUS "@ge 500" "id:10,phase:3,pass,log"`},
		{"remove rules", "SecRuleRemoveById 920350 942100-942199 942421"},
		{"remove a class", "SecRuleRemoveByTag attack-disclosure"},
		{"remove a message", `SecRuleRemoveByMsg "XSS Attack Detected via libinjection"`},
		{"comments and blank lines", "# nothing\n\n   # more\nSecMarker A\n"},
		{"no text", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if errs := Check(rules.Source{Name: "own.conf", Text: c.text}); len(errs) > 0 {
				t.Errorf("refused: %v", errs)
			}
			if strings.Contains(c.text, "SecRuleRemoveByMsg") {
				return // lowered to ids before any engine sees it
			}
			if err := engineTakes(c.text); err != nil {
				t.Errorf("the engine refuses it: %v", err)
			}
		})
	}
	for _, text := range []string{`SecRuleUpdateTargetById 942100 "!ARGS:q|!REQUEST_COOKIES:/a/"`, `SecRuleUpdateTargetByTag OWASP_CRS "!ARGS:password"`, `SecRuleUpdateActionById 942100 "pass,nolog"`} {
		if errs := Check(rules.Source{Text: text}); len(errs) > 0 {
			t.Errorf("%s: %v", text, errs)
		}
	}
}
