package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/proxy/proxytest"
)

// confined are texts of SecLang that would read or write files, run programs, reach out to the network, read further
// text, read the process's environment, or switch inspection off. Each stands on one line.
var confined = []struct{ name, text string }{
	// Files that are read.
	{"words from a file", `SecRule ARGS "@pmFromFile /etc/passwd" "id:1,phase:2,deny"`},
	{"words from a file, short", `SecRule ARGS "@pmf ../../etc/passwd" "id:1,phase:2,deny"`},
	{"words from a file, negated", `SecRule ARGS "!@pmFromFile words.data" "id:1,phase:2,deny"`},
	{"words from a file, in capitals", `SecRule ARGS "@PMFROMFILE /etc/passwd" "id:1,phase:2,deny"`},
	{"words from a URL", `SecRule ARGS "@pmFromFile https://192.0.2.1/words" "id:1,phase:2,deny"`},
	{"addresses from a file", `SecRule REMOTE_ADDR "@ipMatchFromFile /etc/hosts" "id:1,phase:1,deny"`},
	{"addresses from a file, short", `SecRule REMOTE_ADDR "@ipMatchF /etc/hosts" "id:1,phase:1,deny"`},
	{"words from a data set", `SecRule ARGS "@pmFromDataset words" "id:1,phase:2,deny"`},
	{"addresses from a data set", `SecRule REMOTE_ADDR "@ipMatchFromDataset hosts" "id:1,phase:1,deny"`},
	{"a schema", `SecRule XML "@validateSchema /etc/passwd" "id:1,phase:2,deny"`},
	{"a document type", `SecRule XML "@validateDTD /etc/passwd" "id:1,phase:2,deny"`},
	{"a fuzzy hash", `SecRule REQUEST_BODY "@fuzzyHash /etc/passwd 6" "id:1,phase:2,deny"`},
	{"locations", `SecGeoLookupDb /usr/share/GeoIP/GeoLite2.mmdb`},
	{"a table of characters", `SecUnicodeMapFile /etc/unicode.mapping 20127`},
	{"addresses that are known", `SecGsbLookupDb /etc/gsb`},
	{"a file in a link", `SecRule ARGS "@rx a" "id:1,phase:2,deny,chain" \` + "\n" + `SecRule ARGS "@pmFromFile /etc/passwd"`},
	{"the environment", `SecRule ENV:AWS_SECRET_ACCESS_KEY "@rx ." "id:1,phase:1,deny"`},
	{"the environment in a record", `SecAction "id:1,phase:1,pass,log,msg:'%{ENV.HOME}'"`},
	// Text that is included.
	{"an include", `Include /etc/passwd`},
	{"an include of a pattern", `Include /etc/modsecurity/*.conf`},
	{"an include, in small letters", `include rules.d/more.conf`},
	{"an include that may fail", `IncludeOptional /etc/modsecurity/more.conf`},
	{"rules from afar", `SecRemoteRules key https://192.0.2.1/rules`},
	{"what if that fails", `SecRemoteRulesFailAction Warn`},
	// Files and logs that are written.
	{"an audit log", `SecAuditLog /var/log/audit.log`},
	{"a second audit log", `SecAuditLog2 /var/log/audit2.log`},
	{"a directory for it", `SecAuditLogStorageDir /tmp`},
	{"a program for it", `SecAuditLog "|/usr/bin/mlogc"`},
	{"its engine", `SecAuditEngine On`},
	{"its format", `SecAuditLogFormat JSON`},
	{"its parts", `SecAuditLogParts ABIJDEFHZ`},
	{"a debug log", `SecDebugLog /tmp/debug.log`},
	{"its level", `SecDebugLogLevel 9`},
	{"a data directory", `SecDataDir /tmp`},
	{"a directory of uploads", `SecUploadDir /tmp`},
	{"uploads that are kept", `SecUploadKeepFiles On`},
	{"a directory for the rest", `SecTmpDir /tmp`},
	{"a guardian", `SecGuardianLog |/usr/bin/guardian`},
	{"a debug log for a request", `SecAction "id:1,phase:1,pass,ctl:debugLogLevel=9"`},
	// Programs, names and the network.
	{"a program", `SecAction "id:1,phase:1,pass,exec:/bin/sh"`},
	{"a script", `SecRuleScript /etc/rules.lua "id:1,phase:2,deny"`},
	{"a program that inspects files", `SecRule FILES_TMPNAMES "@inspectFile /usr/bin/scan" "id:1,phase:2,deny"`},
	{"a list in the DNS", `SecRule REMOTE_ADDR "@rbl bl.example.org" "id:1,phase:1,deny"`},
	{"a list in the DNS, in capitals", `SecRule REMOTE_ADDR "@RBL bl.example.org" "id:1,phase:1,deny"`},
	{"the location of an address", `SecRule REMOTE_ADDR "@geoLookup" "id:1,phase:1,deny"`},
	{"a key for such lists", `SecHttpBlKey 0123456789ab`},
	{"a list of bad addresses", `SecRule REQUEST_BODY "@gsbLookup ." "id:1,phase:2,deny"`},
	{"a request to elsewhere", `SecAction "id:1,phase:1,proxy:http://192.0.2.1/"`},
	{"the environment written", `SecAction "id:1,phase:1,pass,setenv:PATH=/tmp"`},
	// What switches off.
	{"the engine off", `SecRuleEngine Off`},
	{"the engine in detection", `SecRuleEngine DetectionOnly`},
	{"the engine off for a request", `SecAction "id:1,phase:1,pass,nolog,ctl:ruleEngine=Off"`},
	{"the engine in detection for a request", `SecAction "id:1,phase:1,pass,nolog,ctl:ruleEngine=DetectionOnly"`},
	{"bodies unread", `SecRequestBodyAccess Off`},
	{"bodies unread for a request", `SecAction "id:1,phase:1,pass,nolog,ctl:requestBodyAccess=Off"`},
	{"bodies read in part", `SecRequestBodyLimitAction ProcessPartial`},
	{"a small limit", `SecRequestBodyNoFilesLimit 1`},
	{"fewer arguments", `SecArgumentsLimit 100000`},
	{"replies unread", `SecResponseBodyAccess Off`},
	{"a default action", `SecDefaultAction "phase:2,pass,nolog"`},
	{"an allow", `SecAction "id:1,phase:1,allow,nolog"`},
	{"an allow for a phase", `SecAction "id:1,phase:1,allow:request,nolog"`},
	{"no evaluation", `SecRuleRemoveById 949110`},
	{"no evaluation for a request", `SecAction "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=949110"`},
	{"no check of bodies", `SecRuleRemoveById 200002 200003`},
	{"all of CRS", `SecRuleRemoveByTag OWASP_CRS`},
	{"a threshold out of reach", `SecAction "id:1,phase:1,pass,nolog,setvar:tx.inbound_anomaly_score_threshold=99999"`},
	{"a skip of everything", `SecAction "id:1,phase:1,pass,nolog,skipAfter:END-REQUEST-949-BLOCKING-EVALUATION"`},
	{"faults that are ignored", `SecIgnoreRuleCompilationErrors On`},
	{"the server's own name", `SecServerSignature "nginx"`},
	{"a root directory", `SecChrootDir /`},
}

// TestConfinedSecLang: SecLang of an operator's own cannot do what it has no business with. Each text is refused by the
// gateway and by check with the file and line in which it stands, behind lines that are fine.
func TestConfinedSecLang(t *testing.T) {
	const fine = "# rules of our own\nSecRule ARGS:debug \"@streq 1\" \"id:9000,phase:2,deny\"\n\n"
	const line = 4
	dir := t.TempDir()
	config := write(t, dir, "gatehouse.yaml", "policies:\n  - { name: default, seclang_file: rules.conf }\napplications:\n  - { hosts: [shop.example.com], upstream: \"http://192.0.2.9\" }\n")
	write(t, dir, "rules.conf", fine)
	if code, _, stderr := runCommand(t, "", "check", config); code != exitOK {
		t.Fatalf("the lines that are fine: exit %d: %s", code, stderr)
	}
	for _, c := range confined {
		t.Run(c.name, func(t *testing.T) {
			write(t, dir, "rules.conf", fine+c.text+"\n")
			first := line + strings.Count(c.text, "\n")
			for _, command := range [][]string{{"check", config}, {"gateway", "-config", config}} {
				code, stdout, stderr := runCommand(t, "", command...)
				places := 0
				for l := line; l <= first; l++ {
					places += strings.Count(stderr, fmt.Sprintf("%s:%d: policies[0].seclang_file: ", filepath.Join(dir, "rules.conf"), l))
				}
				if code != exitFailed || stdout != "" || places == 0 || !strings.Contains(stderr, "nothing was loaded") {
					t.Errorf("%s: exit %d: %s%s", command[0], code, stdout, stderr)
				}
			}
		})
	}
	if len(confined) < 40 {
		t.Errorf("%d texts, want at least 40", len(confined))
	}
}

// TestConfinedReload: a gateway that runs goes on with what it has when such a text is put into its configuration, and
// no file is written.
func TestConfinedReload(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	text := fmt.Sprintf("upstreams:\n  - { name: origin, url: %q, allow_loopback: true }\napplications:\n  - { name: shop, hosts: [\"*\"], mode: block, upstream: origin, policy: own }\npolicies:\n  - { name: own, seclang: '%%s' }\n", upstream.URL)
	g := proxytest.Start(t, fmt.Sprintf(text, "# nothing"))
	log := filepath.Join(g.Dir, "audit.log")
	g.Configure(fmt.Sprintf(text, "SecAuditLog "+log))
	if err := g.Reload(); err == nil || !strings.Contains(err.Error(), "SecAuditLog") {
		t.Fatalf("the reload: %v", err)
	}
	response, _ := proxytest.Raw(t, g.URL, "GET /?q=1%27+UNION+SELECT+1+FROM+users HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	if response == nil || response.StatusCode != 403 {
		t.Errorf("an attack after the reload: %v", response)
	}
	if _, err := os.Stat(log); err == nil {
		t.Error("the log was written")
	}
}
