package peers

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
)

// CRSVersion is the release that all inspect with.
const CRSVersion = "4.25.0"

// engineSettings are those that both other engines run CRS with, as their recommended files have them, blocking, without
// a look at replies and without an audit log: what a gateway does unless it is told more.
const engineSettings = `SecRuleEngine On

SecRequestBodyAccess On

SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"

SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"

SecRequestBodyLimit 13107200

SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,log,deny,status:400,msg:'Failed to parse request body.'"

SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,t:none,log,deny,status:400,msg:'Multipart request body failed strict validation.'"

SecResponseBodyAccess Off

SecAuditEngine Off

`

// writeRules writes the rules into a directory as one engine takes them, and gives the file that includes all of them.
// An empty line after every directive changes no meaning, and lets libmodsecurity 3.0.9 read all files.
func writeRules(dir string, paranoia int, settings string) (string, error) {
	setup, err := fs.ReadFile(coreruleset.FS, "@crs-setup.conf.example")
	if err != nil {
		return "", err
	}
	text := map[string]string{
		"10-setup.conf": apart(string(setup)),
		"11-paranoia.conf": fmt.Sprintf("SecAction \"id:900000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level=%d,setvar:tx.detection_paranoia_level=%d\"\n",
			paranoia, paranoia),
	}
	entries, err := fs.ReadDir(coreruleset.FS, "@owasp_crs")
	if err != nil {
		return "", err
	}
	include := engineSettings + settings + "\nInclude " + filepath.Join(dir, "10-setup.conf") + "\n\nInclude " + filepath.Join(dir, "11-paranoia.conf") + "\n\n"
	for _, entry := range entries { // in the order of the numbers in their names
		content, err := fs.ReadFile(coreruleset.FS, "@owasp_crs/"+entry.Name())
		if err != nil {
			return "", err
		}
		text[entry.Name()] = string(content)
		if strings.HasSuffix(entry.Name(), ".conf") {
			text[entry.Name()] = apart(string(content))
			include += "Include " + filepath.Join(dir, entry.Name()) + "\n\n"
		}
	}
	const main = "rules.conf"
	text[main] = include
	for name, content := range text {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, main), nil
}

// apart puts an empty line after every directive.
func apart(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(line)
		if !strings.HasSuffix(strings.TrimSpace(line), `\`) && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString("\n")
		}
	}
	return b.String()
}
