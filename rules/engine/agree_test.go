package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/engine"
)

// probe ends every text of TestTextsAgree: rules that show what is left in TX.
const probe = `
SecRule TX:/^(?:a|b|c|d|h_.*|one|two)$/ "@unconditionalMatch" "id:9001,phase:5,pass,log,msg:'left in TX'"
SecRule HIGHEST_SEVERITY "@lt 255" "id:9002,phase:5,pass,log,msg:'severity %{HIGHEST_SEVERITY}'"
`

// TestTextsAgree holds the compiled engine against the reference on what folding, grouping and running have to get right.
func TestTextsAgree(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"constants", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=1,setvar:tx.b=+%{tx.a},setvar:tx.b=+2"
			SecRule TX:b "@eq 3" "id:2,phase:1,pass,nolog,setvar:tx.c=%{tx.b}x"
			SecRule TX:b "@eq 4" "id:3,phase:1,pass,nolog,setvar:tx.d=wrong"
			SecRule TX:c "@streq 3x" "id:4,phase:2,pass,log,msg:'c is %{tx.c}'"`},
		{"a constant skip", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=2"
			SecRule TX:a "@gt 1" "id:2,phase:1,pass,nolog,skipAfter:END"
			SecRule ARGS "@rx a" "id:3,phase:1,pass,log"
			SecAction "id:4,phase:1,pass,nolog,setvar:tx.b=skipped"
			SecMarker END
			SecRule ARGS "@rx a" "id:5,phase:1,pass,log"`},
		{"what constants do not decide", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=1,severity:NOTICE"
			SecRule TX:a "@eq 1" "id:2,phase:1,pass,nolog,chain"
			SecRule ARGS "@streq attack" "setvar:tx.b=1"
			SecRule TX:b "@eq 1" "id:3,phase:1,pass,nolog,setvar:tx.c=after"
			SecAction "id:4,phase:1,pass,nolog,setvar:tx.d=%{tx.b},setvar:tx.one=%{ARGS_GET.one}"
			SecRule TX:a "!@streq %{tx.b}" "id:5,phase:1,pass,nolog,setvar:tx.two=+1"
			SecRule TX:a "!@within %{ARGS_GET.x}" "id:6,phase:1,pass,nolog,setvar:tx.two=+2"
			SecRule TX:a "@eq 1" "id:7,phase:1,pass,log,chain,setvar:tx.h_a=+1"
			SecRule TX:none "@eq 1" "t:none"
			SecRule TX:a "@eq 1" "id:8,phase:1,pass,nolog,skip:1"
			SecAction "id:9,phase:1,pass,nolog,setvar:tx.h_b=skipped"
			SecRule HIGHEST_SEVERITY "@eq 5" "id:10,phase:1,pass,log"`},
		{"scores", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=0,setvar:tx.b=0,setvar:tx.one=3"
			SecRule ARGS "@rx attack" "id:2,phase:1,pass,log,setvar:tx.a=+%{tx.one}"
			SecAction "id:3,phase:1,pass,nolog,setvar:tx.c=+%{tx.a}"
			SecRule TX:c "@ge 3" "id:4,phase:1,pass,log,msg:'so far %{tx.c}',setvar:tx.h_four=1"
			SecAction "id:5,phase:2,pass,nolog,setvar:tx.c=0"
			SecRule ARGS "@streq fine" "id:6,phase:2,pass,log,setvar:tx.b=+%{tx.one}"
			SecAction "id:7,phase:2,pass,nolog,setvar:tx.c=+%{tx.a},setvar:tx.c=+%{tx.b}"
			SecRule TX:c "@ge 6" "id:8,phase:2,deny,log,msg:'in all %{tx.c}'"
			SecAction "id:9,phase:3,pass,nolog,setvar:tx.d=+%{tx.c}"
			SecAction "id:10,phase:4,pass,nolog,setvar:tx.d=+10"
			SecAction "id:11,phase:5,pass,nolog,setvar:tx.two=+%{tx.d}"
			SecRule TX:two "@eq 0" "id:12,phase:5,pass,nolog,skipAfter:QUIET"
			SecAction "id:13,phase:5,pass,log,msg:'ends with %{tx.two}',setvar:tx.h_end=%{tx.two}"
			SecMarker QUIET`},
		{"scores whose rules are skipped", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=0"
			SecRule ARGS "@streq fine" "id:2,phase:1,pass,nolog,skipAfter:END"
			SecAction "id:3,phase:1,pass,nolog,setvar:tx.b=+%{tx.a},setvar:tx.b=+1"
			SecRule ARGS "@streq no such value" "id:4,phase:1,pass,nolog,setvar:tx.a=+1"
			SecMarker END
			SecAction "id:5,phase:2,pass,nolog,setvar:tx.c=%{tx.b}"
			SecRule TX:c "@eq 1" "id:6,phase:5,pass,log"`},
		{"scores whose rules are removed", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=0"
			SecRule ARGS "@streq fine" "id:2,phase:1,pass,nolog,ctl:ruleRemoveById=5"
			SecRule ARGS "@streq attack" "id:3,phase:1,pass,nolog,ctl:ruleRemoveById=6"
			SecRule ARGS "@streq no such value" "id:4,phase:1,pass,nolog,setvar:tx.a=+1"
			SecAction "id:5,phase:2,pass,nolog,setvar:tx.b=+%{tx.a},setvar:tx.b=+1"
			SecAction "id:6,phase:5,pass,nolog,setvar:tx.c=%{tx.a}"
			SecRule TX:b "@eq 1" "id:7,phase:5,pass,log"`},
		{"scores that a constant gate skips", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=0"
			SecRule TX:a "@eq 0" "id:2,phase:1,pass,nolog,skipAfter:END"
			SecAction "id:3,phase:1,pass,nolog,setvar:tx.b=1"
			SecRule ARGS "@rx attack" "id:4,phase:1,pass,log,setvar:tx.h_four=1"
			SecMarker END
			SecRule ARGS "@rx attack" "id:5,phase:1,pass,log,setvar:tx.a=+1,setvar:tx.c=%{tx.b}"
			SecRule TX:a "@eq 0" "id:6,phase:2,pass,nolog,skipAfter:END2"
			SecAction "id:7,phase:2,pass,nolog,setvar:tx.d=1"
			SecMarker END2
			SecRule TX:b "@eq 1" "id:8,phase:2,pass,log"`},
		{"a score by a name made by a macro", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.h_upper=0"
			SecRule ARGS_NAMES "@rx ^.*$" "id:2,phase:1,pass,nolog,capture,t:lowercase,setvar:'tx.h_%{tx.0}=+1'"
			SecAction "id:3,phase:1,pass,nolog,setvar:tx.a=+%{tx.h_upper}"
			SecRule TX:a "@eq 1" "id:5,phase:2,pass,log"`},
		{"scores, and a constant that is skipped", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=0"
			SecRule ARGS "@streq fine" "id:2,phase:1,pass,nolog,skipAfter:END"
			SecAction "id:3,phase:1,pass,nolog,setvar:tx.c=1"
			SecMarker END
			SecRule ARGS "@streq no such value" "id:4,phase:1,pass,nolog,setvar:tx.a=+1"
			SecAction "id:5,phase:1,pass,nolog,setvar:tx.b=+%{tx.a},setvar:tx.b=+1"
			SecRule TX:b "@eq 1" "id:6,phase:2,pass,log"`},
		{"scores and a refusal in the last phase", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=0"
			SecRule ARGS "@streq fine" "id:2,phase:3,deny,log"
			SecRule ARGS "@streq no such value" "id:3,phase:1,pass,nolog,setvar:tx.a=+1"
			SecAction "id:4,phase:3,pass,nolog,setvar:tx.b=+%{tx.a},setvar:tx.b=+1"
			SecAction "id:5,phase:5,pass,nolog,setvar:tx.d=%{tx.b}"
			SecRule TX:d "@eq 1" "id:6,phase:5,pass,log"`},
		{"scores and a refusal without one", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=0"
			SecRule ARGS "@streq fine" "id:2,phase:1,deny,log"
			SecRule ARGS "@streq no such value" "id:3,phase:1,pass,nolog,setvar:tx.a=+1"
			SecAction "id:4,phase:1,pass,nolog,setvar:tx.b=+%{tx.a},setvar:tx.b=+1"
			SecAction "id:5,phase:3,pass,nolog,setvar:tx.c=%{tx.b}"
			SecAction "id:6,phase:5,pass,nolog,setvar:tx.d=+%{tx.b}"
			SecRule TX:d "@eq 1" "id:7,phase:5,pass,log"
			SecRule &TX:c "@eq 0" "id:8,phase:5,pass,log"`},
		{"a score that is unset", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=1"
			SecRule ARGS "@streq no such value" "id:2,phase:1,pass,nolog,setvar:tx.a=+1"
			SecRule ARGS "@streq fine" "id:3,phase:1,pass,nolog,setvar:!tx.a=0"
			SecAction "id:4,phase:1,pass,nolog,setvar:tx.b=%{tx.a}"
			SecRule TX:a "@eq 1" "id:5,phase:2,pass,log"`},
		{"counts of what few have", `
			SecRule &ARGS:one "@gt 0" "id:1,phase:1,pass,log"
			SecRule &ARGS:one "@eq 0" "id:2,phase:1,pass,log"
			SecRule &ARGS:one "!@eq 0" "id:3,phase:1,pass,log"
			SecRule &REQUEST_HEADERS:/^x-/ "@ge 3" "id:4,phase:1,pass,log"
			SecRule &ARGS|!ARGS:one "@gt 1" "id:5,phase:2,pass,log"
			SecRule &REQUEST_COOKIES:theme "@streq 1" "id:6,phase:1,pass,log"
			SecRule &ARGS:one "@rx ^[1-9]" "id:7,phase:1,pass,log"
			SecRule &TX:gatehouse_traffic "@gt 0" "id:8,phase:1,pass,log"
			SecRule &TX:gatehouse_traffic "@eq 0" "id:9,phase:1,pass,log"
			SecRule ARGS "@streq attack" "id:10,phase:1,pass,nolog,setvar:tx.a=1"
			SecRule &TX:a "@gt 0" "id:11,phase:1,pass,log"
			SecRule &TX:a "@eq 0" "id:12,phase:1,pass,log"
			SecRule &REQUEST_METHOD "@eq 1" "id:13,phase:1,pass,log"
			SecRule &MULTIPART_PART_HEADERS:q "@gt 0" "id:14,phase:2,pass,log"
			SecRule &ARGS:one|REQUEST_HEADERS:Cookie "@rx [1-9]" "id:15,phase:1,pass,log"`},
		{"links that few requests have a value for", `
			SecRule REQUEST_METHOD "@rx ^(?:GET|POST)$" "id:1,phase:1,pass,log,chain"
			SecRule REQUEST_HEADERS:X-A "@streq 2"
			SecRule REQUEST_METHOD "@rx ^(?:GET|POST)$" "id:2,phase:1,pass,log,chain"
			SecRule REQUEST_HEADERS:Content-Length "!@rx ^0?$"
			SecRule REQUEST_METHOD "@rx ^(?:GET|POST)$" "id:3,phase:1,pass,log,chain"
			SecRule &REQUEST_HEADERS:Content-Length "@eq 0"
			SecRule REQUEST_METHOD "@rx ^(GET)$" "id:4,phase:1,pass,log,capture,setvar:tx.a=%{tx.1},chain"
			SecRule REQUEST_HEADERS:X-None "@rx ."
			SecRule REQUEST_METHOD "@rx ^(POST)$" "id:5,phase:1,pass,log,chain"
			SecRule REQUEST_URI "@rx ." "setvar:tx.b=1,chain"
			SecRule REQUEST_HEADERS:X-None "@rx ."
			SecRule REQUEST_METHOD "@rx ^(POST)$" "id:6,phase:1,pass,log,chain"
			SecRule REQUEST_URI "@rx (shop)" "capture,chain"
			SecRule REQUEST_HEADERS:X-None "@rx ."
			SecRule TX:1 "@rx ." "id:7,phase:1,pass,log"
			SecRule REQUEST_METHOD "@rx ^POST$" "id:8,phase:1,pass,log,chain"
			SecRule REQUEST_HEADERS:Content-Type "@rx form" "chain"
			SecRule ARGS_POST "@rx a" "t:none"`},
		{"values that most requests have", `
			SecRule REQUEST_METHOD "!@within GET POST" "id:1,phase:1,pass,log"
			SecRule REQUEST_METHOD "@within POST PUT" "id:2,phase:1,pass,log"
			SecRule REQUEST_PROTOCOL "!@rx (HTTP)" "id:3,phase:1,pass,log,capture"
			SecRule TX:1 "@rx ." "id:4,phase:1,pass,log"
			SecRule REQBODY_ERROR "!@eq 0" "id:5,phase:2,pass,log"
			SecRule REQBODY_ERROR "@eq 0" "id:6,phase:2,pass,log"
			SecRule TX:gatehouse_traffic "@within auto api" "id:7,phase:1,pass,log"
			SecRule TX:gatehouse_detect "!@eq 1" "id:8,phase:1,pass,log"
			SecRule REQUEST_METHOD "@within post put" "id:9,phase:1,pass,log,t:lowercase"
			SecRule REQUEST_METHOD "@within GET POST" "id:10,phase:1,pass,log,t:lowercase,multiMatch"
			SecRule RESPONSE_STATUS "@ge 300" "id:11,phase:3,pass,log"
			SecRule REQUEST_METHOD|REQUEST_PROTOCOL "@rx 1" "id:12,phase:1,pass,log"
			SecAction "id:13,phase:1,pass,nolog,setvar:'tx.a=GET HEAD'"
			SecRule REQUEST_METHOD "!@within %{tx.a}" "id:14,phase:1,pass,log"
			SecRule REQUEST_METHOD "@within %{tx.a}" "id:15,phase:1,pass,log"`},
		{"an argument that is constant, until its rule is removed", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=3"
			SecAction "id:2,phase:1,pass,nolog,setvar:tx.a=GET"
			SecAction "id:3,phase:1,pass,nolog,setvar:tx.a=POST"
			SecRule REQUEST_METHOD "@within %{tx.a}" "id:4,phase:1,pass,log"
			SecRule REQUEST_METHOD "!@within %{tx.a}" "id:5,phase:1,pass,log"`},
		{"fields that an expression takes", `
			SecRule ARGS_NAMES "@rx ^(?:one|x)$" "id:1,phase:1,pass,nolog,capture,setvar:'tx.h_%{tx.0}=seen'"
			SecRule TX:/^h_o/ "@streq seen" "id:2,phase:1,pass,log"
			SecRule TX:/^h_[a-n]/ "@streq seen" "id:3,phase:1,pass,log"
			SecRule &TX:/^h_/ "@gt 0" "id:4,phase:1,pass,log"
			SecRule &TX:/^h_/ "@eq 0" "id:5,phase:1,pass,log"
			SecRule ARGS "@streq attack" "id:6,phase:1,pass,nolog,setvar:tx.one=attack"
			SecRule TX:/^one$/ "@streq attack" "id:7,phase:1,pass,log"
			SecRule TX:/^[0-9]$/ "@rx ." "id:8,phase:1,pass,log"
			SecAction "id:9,phase:1,pass,nolog,setvar:tx.h_const=seen"
			SecRule TX:/^h_c/ "@streq seen" "id:10,phase:2,pass,log"
			SecRule TX:/^gatehouse_h/ "@rx ^shop" "id:11,phase:1,pass,log"`},
		{"names that come to nothing", `
			SecAction "id:1,phase:1,pass,nolog,setvar:'tx.a=/x-b/ /one/'"
			SecRule ARGS_NAMES "@rx ^.*$" "id:2,phase:1,pass,log,capture,t:lowercase,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@within %{tx.a}" "setvar:tx.b=+1"
			SecRule ARGS_NAMES "@rx ^.*$" "id:3,phase:1,pass,log,capture,setvar:'tx.n_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^n_/ "@rx ^/" "setvar:tx.c=+1"
			SecRule ARGS_NAMES "@rx ^.*$" "id:4,phase:1,pass,log,capture,setvar:'tx.o_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^o_/ "!@rx ^/one" "setvar:tx.d=+1"`},
		{"names that come to nothing stay in TX:0", `
			SecRule REQUEST_HEADERS_NAMES "@rx ^.*$" "id:1,phase:1,pass,nolog,capture"
			SecRule ARGS_NAMES "@rx ^.*$" "id:2,phase:1,pass,log,capture,t:lowercase,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@streq no such value"
			SecRule TX:0 "@rx ^(?:q|upper|one|two|x|form)$" "id:3,phase:1,pass,nolog,setvar:tx.a=1"`},
		{"names of two variables that come to nothing", `
			SecRule ARGS_NAMES|REQUEST_COOKIES_NAMES "@rx ^.*$" "id:2,phase:1,pass,log,capture,t:lowercase,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@streq no such value"
			SecRule TX:0 "@rx ^(?:session|theme)$" "id:3,phase:1,pass,nolog,setvar:tx.a=1"
			SecRule REQUEST_COOKIES_NAMES|ARGS_NAMES "@rx ^.*$" "id:4,phase:1,pass,log,capture,t:lowercase,setvar:'tx.n_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^n_/ "@streq no such value"
			SecRule TX:0 "@rx ^(?:session|theme)$" "id:5,phase:1,pass,nolog,setvar:tx.b=1"`},
		{"a name that comes to nothing, and that an expression takes", `
			SecRule ARGS_NAMES "@rx ^.*$" "id:1,phase:1,pass,nolog,capture,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@streq no such value"
			SecRule TX:/_on/ "@rx ." "id:2,phase:1,pass,log"`},
		{"a name that comes to nothing, and that a target names", `
			SecRule ARGS_NAMES "@rx ^.*$" "id:1,phase:1,pass,nolog,capture,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@streq no such value"
			SecRule TX:m_one "@rx ." "id:2,phase:1,pass,log"`},
		{"a name that comes to nothing, and that a text names", `
			SecRule ARGS_NAMES "@rx ^.*$" "id:1,phase:1,pass,nolog,capture,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@streq no such value"
			SecRule REQUEST_METHOD "@rx ." "id:2,phase:1,pass,log,msg:'%{tx.m_one}'"`},
		{"a name that comes to nothing, and that a setvar reads", `
			SecRule ARGS_NAMES "@rx ^.*$" "id:1,phase:1,pass,nolog,capture,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@streq no such value"
			SecAction "id:2,phase:1,pass,nolog,setvar:'tx.a=%{tx.m_one}'"`},
		{"names among fields that others write", `
			SecRule ARGS_NAMES "@rx ^one$" "id:1,phase:1,pass,nolog,capture,setvar:'tx.m_y%{tx.0}=/other/'"
			SecRule ARGS_NAMES "@rx ^.*$" "id:2,phase:1,pass,log,capture,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@streq /other/"`},
		{"names whose fields have another text", `
			SecRule ARGS_NAMES "@rx ^.*$" "id:1,phase:1,pass,nolog,capture,setvar:'tx.m_%{tx.0}=%{REQUEST_METHOD}',chain"
			SecRule TX:/^m_/ "@streq POST" "setvar:tx.a=+1"
			SecRule ARGS_NAMES "@rx ^.*$" "id:2,phase:1,pass,nolog,capture,setvar:'tx.n_%{tx.0}=/%{tx.0}/',setvar:tx.b=+1,chain"
			SecRule TX:/^n_/ "@streq no such value"
			SecRule ARGS_NAMES "@rx ^.*$" "id:3,phase:1,pass,nolog,capture,setvar:'tx.o_%{tx.0}=+%{tx.0}',chain"
			SecRule TX:/^o_/ "@rx ." "setvar:tx.c=+1"`},
		{"names whose argument is a constant that is removed", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=3"
			SecAction "id:2,phase:1,pass,nolog,setvar:'tx.a=/one/'"
			SecAction "id:3,phase:1,pass,nolog,setvar:'tx.a=/none/'"
			SecRule ARGS_NAMES "@rx ^.*$" "id:4,phase:1,pass,log,capture,t:lowercase,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@within %{tx.a}"`},
		{"names of which the last is an exception", `
			SecRule ARGS "@rx ^(?:attack|ac)$" "id:1,phase:1,pass,nolog,ctl:ruleRemoveTargetById=2;ARGS_NAMES:two"
			SecRule ARGS_NAMES "@rx ^.*$" "id:2,phase:1,pass,log,capture,t:lowercase,setvar:'tx.m_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^m_/ "@streq no such value"
			SecRule TX:0 "@rx ^(?:q|upper|one)$" "id:3,phase:1,pass,nolog,setvar:tx.a=1"`},
		{"names of which the last is none of the rule's", `
			SecRule ARGS_NAMES|!ARGS_NAMES:two "@rx ^.*$" "id:4,phase:1,pass,log,capture,t:lowercase,setvar:'tx.n_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^n_/ "@streq no such value"
			SecRule TX:0 "@rx ^(?:q|upper|one|x)$" "id:5,phase:1,pass,nolog,setvar:tx.b=1"`},
		{"deny and skip", `
			SecRule ARGS "@rx attack" "id:1,phase:2,deny,skipAfter:END"
			SecAction "id:2,phase:5,pass,log,setvar:tx.a=1"
			SecMarker OTHER
			SecAction "id:3,phase:5,pass,log,setvar:tx.b=1"
			SecMarker END
			SecAction "id:4,phase:5,pass,log,setvar:tx.c=1"`},
		{"deny and skip by number", `
			SecRule ARGS "@rx attack" "id:1,phase:2,deny,skip:2"
			SecAction "id:2,phase:5,pass,log,setvar:tx.a=1"
			SecAction "id:3,phase:5,pass,log,setvar:tx.b=1"
			SecAction "id:4,phase:5,pass,log,setvar:tx.c=1"`},
		{"allow and skip", `
			SecRule ARGS "@rx attack" "id:1,phase:1,allow,skipAfter:END"
			SecAction "id:2,phase:1,pass,log"
			SecMarker END
			SecAction "id:3,phase:1,pass,log"
			SecAction "id:4,phase:2,pass,log"
			SecAction "id:5,phase:5,pass,log"`},
		{"a constant refusal", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=1"
			SecRule TX:a "@eq 1" "id:2,phase:2,deny,nolog,status:409"
			SecRule ARGS "@rx a" "id:3,phase:2,pass,log"
			SecRule ARGS "@rx a" "id:4,phase:5,pass,log"`},
		{"a constant skip over another marker", `
			SecAction "id:1,phase:1,pass,nolog,skipAfter:END"
			SecMarker OTHER
			SecRule ARGS "@rx a" "id:2,phase:1,pass,log"
			SecMarker END
			SecRule ARGS "@rx a" "id:3,phase:1,pass,log"`},
		{"a constant skip that is skipped", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,skip:1"
			SecAction "id:2,phase:1,pass,nolog,skipAfter:END"
			SecRule ARGS "@rx a" "id:3,phase:1,pass,log"
			SecMarker END
			SecRule ARGS "@rx a" "id:4,phase:1,pass,log"`},
		{"a constant that a link removes", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,chain"
			SecRule ARGS "@rx t" "ctl:ruleRemoveById=2"
			SecAction "id:2,phase:1,pass,nolog,setvar:tx.a=1"`},
		{"fields that make rules run", `
			SecRule TX:5 "@rx ^$" "id:1,phase:1,pass,log"
			SecRule &TX:a "@eq 0" "id:2,phase:1,pass,log"
			SecRule ARGS "@streq attack" "id:3,phase:1,pass,nolog,setvar:tx.a=attack"
			SecRule &TX:a "@eq 1" "id:4,phase:1,pass,log"
			SecRule TX:a|ARGS "@rx a" "id:5,phase:1,pass,log"
			SecRule TX:a "@rx ." "id:6,phase:1,pass,log"
			SecRule TX:a "!@rx z" "id:7,phase:3,pass,log"`},
		{"a constant skip to no marker", `
			SecRule &TX:a "@eq 0" "id:2,phase:1,pass,nolog,skipAfter:NOWHERE"
			SecRule ARGS "@rx a" "id:3,phase:1,pass,log"
			SecRule ARGS "@rx a" "id:5,phase:2,pass,log"`},
		{"a constant skip into phase 5", `
			SecAction "id:1,phase:5,pass,log,setvar:tx.a=1"
			SecAction "id:2,phase:2,pass,nolog,skipAfter:NOWHERE"
			SecRule ARGS "@rx a" "id:3,phase:1,pass,log"
			SecRule ARGS "@rx a" "id:5,phase:2,pass,log"
			SecAction "id:6,phase:2,pass,nolog,setvar:tx.b=1"`},
		{"a constant skip to a marker before it", `
			SecAction "id:1,phase:2,pass,log,setvar:tx.a=1"
			SecAction "id:4,phase:5,pass,log,setvar:tx.d=1"
			SecMarker BEFORE
			SecAction "id:5,phase:5,pass,log,setvar:tx.one=1"
			SecAction "id:2,phase:4,pass,nolog,skipAfter:BEFORE"
			SecRule ARGS "@rx a" "id:3,phase:4,pass,log,setvar:tx.c=1"
			SecAction "id:7,phase:1,pass,nolog,setvar:tx.two=1,skipAfter:BEFORE"
			SecAction "id:8,phase:1,pass,nolog,setvar:tx.b=1"
			SecRule ARGS "@rx a" "id:9,phase:1,pass,log"`},
		{"a skip that depends on the request, over a constant", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,skipAfter:END"
			SecAction "id:2,phase:1,pass,nolog,setvar:tx.a=1"
			SecMarker END
			SecRule &TX:a "@eq 1" "id:3,phase:1,pass,log,setvar:tx.b=1"
			SecRule &TX:a "@eq 0" "id:4,phase:2,pass,log,setvar:tx.c=1"`},
		{"a skip that depends on the request, to a marker before it", `
			SecRule ARGS "@rx a" "id:1,phase:2,pass,log"
			SecAction "id:2,phase:2,pass,nolog,setvar:tx.a=1"
			SecMarker BACK
			SecRule ARGS "@streq attack" "id:3,phase:1,pass,nolog,skipAfter:BACK"
			SecRule ARGS "@rx a" "id:4,phase:1,pass,log"
			SecRule ARGS "@rx a" "id:5,phase:2,pass,log"`},
		{"a skip over a sum of constants", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=+1"
			SecRule ARGS "@streq attack" "id:2,phase:1,pass,nolog,skip:1"
			SecAction "id:3,phase:1,pass,nolog,setvar:tx.a=+1"
			SecAction "id:4,phase:1,pass,nolog,setvar:tx.b=+1"
			SecAction "id:5,phase:2,pass,nolog,setvar:tx.c=-1"`},
		{"a skip to the second of two markers", `
			SecMarker END
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,log,skipAfter:END"
			SecRule ARGS "@rx a" "id:2,phase:1,pass,log"
			SecMarker END
			SecRule ARGS "@rx a" "id:3,phase:1,pass,log"`},
		{"a skip of more rules than there are", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,log,skip:3"
			SecRule ARGS "@rx a" "id:2,phase:1,pass,log"
			SecRule ARGS "@rx a" "id:3,phase:2,pass,log"
			SecRule ARGS "@rx a" "id:4,phase:2,pass,log"`},
		{"a skip by number", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,skip:2"
			SecAction "id:2,phase:1,pass,nolog,setvar:tx.a=1"
			SecMarker HERE
			SecAction "id:3,phase:1,pass,nolog,setvar:tx.b=1"
			SecRule TX:a "@eq 1" "id:4,phase:1,pass,log"`},
		{"a skip by number over removed rules", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=2,skip:1"
			SecAction "id:2,phase:1,pass,log,setvar:tx.a=1"
			SecAction "id:3,phase:1,pass,log,setvar:tx.b=1"
			SecAction "id:4,phase:1,pass,log,setvar:tx.c=1"`},
		{"a removed constant", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,ctl:ruleRemoveById=2-3"
			SecAction "id:2,phase:1,pass,nolog,setvar:tx.a=1"
			SecRule TX:a "@eq 1" "id:3,phase:1,pass,nolog,skipAfter:END"
			SecRule ARGS "@rx t" "id:4,phase:1,pass,log"
			SecMarker END
			SecRule &TX:a "@eq 1" "id:5,phase:2,pass,log"`},
		{"removed by a starter whose chain fails", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,ctl:ruleRemoveByTag=gate,chain"
			SecRule ARGS "@streq no such value" "t:none"
			SecAction "id:2,phase:1,pass,nolog,tag:'gate',setvar:tx.a=1"
			SecRule TX:a "@eq 1" "id:3,phase:1,pass,nolog,tag:'gate',setvar:tx.b=1"
			SecRule &TX:b "@eq 1" "id:4,phase:2,pass,log"`},
		{"a field that a request writes", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=0"
			SecRule ARGS "@rx tt" "id:2,phase:1,pass,nolog,setvar:tx.a=+5"
			SecRule TX:a "@ge 5" "id:3,phase:1,pass,log,msg:'score %{tx.a}'"
			SecRule TX:a "@eq 0" "id:4,phase:1,pass,log"`},
		{"fields whose names are made by macros", `
			SecRule REQUEST_HEADERS_NAMES "@rx ^.*$" "id:1,phase:1,pass,nolog,capture,t:lowercase,setvar:'tx.h_%{tx.0}=/%{tx.0}/',chain"
			SecRule TX:/^h_/ "@within /x-a/ /cookie/" "log,msg:'%{MATCHED_VAR_NAME}',setvar:tx.one=+1"
			SecRule TX:h_host "@rx ." "id:2,phase:1,pass,log"
			SecRule &TX:/^h_x/ "@gt 0" "id:3,phase:1,pass,log"
			SecRule &TX:/^(?:h_.*)?$/ "@gt 0" "id:4,phase:1,pass,log"
			SecRule ARGS_NAMES "@rx ^.*$" "id:5,phase:1,pass,log,capture,setvar:'tx.C%{tx.0}=1'"
			SecRule &TX:cUpper "@eq 1" "id:6,phase:1,pass,log"
			SecRule &TX:/^c/ "@gt 0" "id:7,phase:1,pass,log"`},
		{"a constant that a macro's name may reach", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.h_x=1"
			SecRule ARGS_NAMES "@rx ^." "id:2,phase:1,pass,nolog,capture,setvar:tx.h_%{tx.0}=2"
			SecRule TX:h_x "@eq 2" "id:3,phase:1,pass,log"
			SecRule TX:h_x "@eq 1" "id:4,phase:1,pass,log"`},
		{"unset", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=1"
			SecRule ARGS "@streq attack" "id:2,phase:1,pass,nolog,setvar:tx.a=gone"
			SecRule TX:a "@streq gone" "id:3,phase:1,pass,log"
			SecRule ARGS "@streq attack" "id:4,phase:1,pass,nolog,setvar:!tx.a=0"
			SecRule &TX:a "@eq 0" "id:5,phase:1,pass,log"
			SecAction "id:6,phase:1,pass,nolog,setvar:tx.b=1"
			SecRule ARGS "@rx ^attack" "id:7,phase:1,pass,nolog,setvar:!tx.b=0"
			SecRule TX:b "@eq 1" "id:10,phase:1,pass,nolog,setvar:tx.c=1"
			SecRule ARGS_NAMES "@rx ^one" "id:8,phase:1,pass,nolog,capture,setvar:tx.h_%{tx.0}=1"
			SecRule ARGS_NAMES "@rx ^one" "id:9,phase:2,pass,nolog,capture,setvar:!tx.h_%{tx.0}=0"`},
		{"allow", `
			SecRule ARGS "@streq attack" "id:1,phase:1,allow,log"
			SecAction "id:2,phase:1,pass,nolog,setvar:tx.a=1"
			SecRule ARGS "@rx t" "id:3,phase:2,pass,log"`},
		{"allow of the phase", `
			SecRule ARGS "@streq attack" "id:1,phase:1,allow:phase,log"
			SecAction "id:2,phase:1,pass,nolog,setvar:tx.a=1"
			SecRule &TX:a "@eq 0" "id:3,phase:2,pass,log"`},
		{"allow of the request", `
			SecRule ARGS "@streq attack" "id:1,phase:1,allow:request,log"
			SecRule ARGS "@rx t" "id:2,phase:2,pass,log"
			SecRule RESPONSE_STATUS "@eq 200" "id:3,phase:3,pass,log"
			SecRule ARGS "@rx t" "id:4,phase:4,pass,log"`},
		{"allow of the request when it is over", `
			SecRule ARGS "@streq attack" "id:1,phase:3,allow:request,log"
			SecRule ARGS "@rx t" "id:2,phase:3,pass,log"
			SecRule ARGS "@rx t" "id:3,phase:4,pass,log"`},
		{"deny before constants", `
			SecRule ARGS "@streq attack" "id:1,phase:1,deny,log,status:418,severity:CRITICAL"
			SecAction "id:2,phase:1,pass,nolog,setvar:tx.a=1"
			SecAction "id:3,phase:3,pass,nolog,setvar:tx.b=1"
			SecRule &TX:a "@eq 0" "id:4,phase:5,pass,log"
			SecRule TX:b "@eq 1" "id:5,phase:5,pass,log"`},
		{"deny in the middle of a phase", `
			SecRule REMOTE_ADDR "@ipMatch 203.0.113.0/24" "id:1,phase:2,deny,log,chain"
			SecRule ARGS "@streq attack" "t:none"
			SecRule ARGS "@rx t" "id:2,phase:2,pass,log"`},
		{"redirect and drop", `
			SecRule ARGS:q "@streq attack" "id:1,phase:1,redirect:https://example.com/x,log,status:307"
			SecRule ARGS:form "@streq attack" "id:2,phase:2,drop,log"`},
		{"the engine is switched off", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,log,ctl:ruleEngine=Off"
			SecRule ARGS "@streq attack" "id:2,phase:1,deny,log"
			SecRule ARGS "@streq attack" "id:3,phase:2,deny,log"`},
		{"the engine only detects from here on", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,log,ctl:ruleEngine=DetectionOnly"
			SecRule ARGS "@streq attack" "id:2,phase:1,deny,log"
			SecRule ARGS "@rx tt" "id:3,phase:2,deny,log"
			SecRule ARGS "@rx tt" "id:4,phase:2,allow,log"
			SecRule ARGS "@rx t" "id:5,phase:2,pass,log"`},
		{"captures of several values", `
			SecRule ARGS_GET:one "@rx (a)(b)?(c)" "id:1,phase:1,pass,log,capture,msg:'%{tx.1}-%{tx.2}-%{tx.3}',setvar:tx.a=%{tx.0},setvar:tx.b=%{tx.2}"
			SecRule TX:1 "@streq a" "id:2,phase:1,pass,log"`},
		{"captures that an earlier rule left", `
			SecRule ARGS_GET:one "@rx (a)(b)(c)" "id:1,phase:1,pass,log,capture"
			SecRule ARGS_GET:one "@rx (b)" "id:2,phase:1,pass,log,capture"
			SecRule TX:2 "@rx ^" "id:3,phase:1,pass,log"
			SecAction "id:4,phase:1,pass,nolog,setvar:tx.1=other"
			SecRule ARGS_GET:one "!@rx (z)" "id:5,phase:1,pass,log,capture"
			SecRule TX:1 "@rx ^" "id:6,phase:1,pass,log"`},
		{"a negated operator that captures", `
			SecRule ARGS_GET:one "!@rx (a)c" "id:1,phase:1,pass,log,capture"
			SecRule TX:1 "@streq a" "id:2,phase:1,pass,log"`},
		{"a phrase that captures", `
			SecRule ARGS_GET:two "@pm hello world" "id:1,phase:1,pass,log,capture,logdata:'%{tx.0}',msg:'m',setvar:tx.a=%{tx.0}"`},
		{"multiMatch", `
			SecRule ARGS_GET:two "@contains o" "id:1,phase:1,pass,log,multiMatch,t:none,t:urlDecodeUni,t:lowercase,t:removeWhitespace,setvar:tx.a=+1"
			SecRule ARGS_GET:two "@rx ^hello" "id:2,phase:1,pass,log,multiMatch,t:none,t:urlDecodeUni,t:lowercase,t:removeWhitespace,setvar:tx.b=+1"`},
		{"multiMatch on one step alone", `
			SecRule ARGS_GET:two "@rx ^Hello World" "id:1,phase:1,pass,log,multiMatch,t:none,t:lowercase,t:removeWhitespace"
			SecRule ARGS_GET:two "@rx ^hello world" "id:2,phase:1,pass,log,multiMatch,t:none,t:lowercase,t:removeWhitespace"
			SecRule ARGS_GET:two "@rx ^helloworld" "id:3,phase:1,pass,log,multiMatch,t:none,t:lowercase,t:removeWhitespace"
			SecRule ARGS_GET:two "@rx ^hello world" "id:4,phase:1,pass,log,t:none,t:lowercase,t:removeWhitespace"
			SecRule ARGS_GET:two "@rx ^helloworld" "id:5,phase:1,pass,log,t:none,t:lowercase,t:removeWhitespace"`},
		{"chains that have steps in common", `
			SecRule ARGS "@streq helloworld" "id:1,phase:1,pass,log,t:none,t:lowercase,t:removeWhitespace"
			SecRule ARGS "@streq HelloWorld" "id:2,phase:1,pass,log,t:none,t:removeWhitespace"
			SecRule ARGS "@streq hello world" "id:3,phase:1,pass,log,t:none,t:lowercase,t:removeNulls"
			SecRule ARGS "@streq Hello World" "id:4,phase:1,pass,log,t:none,t:removeNulls"
			SecRule ARGS "@streq 61747461636b" "id:5,phase:1,pass,log,t:none,t:hexEncode,t:removeNulls"
			SecRule ARGS "@streq hello" "id:6,phase:1,pass,log,t:none,t:urlDecodeUni,t:lowercase"`},
		{"a step that fails", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,log,t:none,t:hexDecode"
			SecRule ARGS "@rx ^ATTACK$" "id:2,phase:1,pass,log,t:none,t:hexDecode,t:uppercase"
			SecRule ARGS "@rx ^$" "id:3,phase:1,pass,log,t:none,t:hexDecode"`},
		{"a step that changes a value and does not say so", `
			SecRule ARGS_GET:q "@streq �X" "id:1,phase:1,pass,log,t:none,t:removeWhitespace"
			SecRule ARGS_GET:q "@streq efbfbd58" "id:2,phase:1,pass,log,t:none,t:removeWhitespace,t:hexEncode"
			SecRule ARGS_GET:q "@streq ff58" "id:3,phase:1,pass,log,multiMatch,t:none,t:removeWhitespace,t:hexEncode"
			SecRule ARGS_GET:q "@streq efbfbd58" "id:4,phase:1,pass,log,multiMatch,t:none,t:removeWhitespace,t:hexEncode"`},
		{"matched variables in a chain", `
			SecRule ARGS "@rx t" "id:1,phase:2,pass,log,msg:'%{MATCHED_VAR} %{MATCHED_VAR_NAME}',chain"
			SecRule MATCHED_VARS "@streq attack" "chain,setvar:tx.a=+1"
			SecRule MATCHED_VARS_NAMES "@contains :" "chain,setvar:tx.b=+1"
			SecRule &MATCHED_VARS "@gt 1" "setvar:tx.c=+1"
			SecRule ARGS|ARGS_NAMES "@rx ." "id:2,phase:2,pass,log,chain"
			SecRule MATCHED_VARS:ARGS:q|&MATCHED_VARS_NAMES:/upper/ "@rx ." "t:none"`},
		{"exceptions and removed targets", `
			SecRule ARGS|!ARGS:q|!ARGS:/^f/ "@rx t" "id:1,phase:2,pass,log"
			SecRule REQUEST_METHOD "@streq POST" "id:2,phase:1,pass,nolog,ctl:ruleRemoveTargetById=3;ARGS:q"
			SecRule ARGS "@rx t" "id:3,phase:2,pass,log,chain"
			SecRule ARGS_NAMES "@rx ." "setvar:tx.a=+1"
			SecRule ARGS:form "@rx t" "id:4,phase:2,pass,nolog,ctl:ruleRemoveTargetByTag=late;ARGS:/^two$/"
			SecRule ARGS|ARGS_GET "@rx (?i)o" "id:5,phase:2,pass,log,tag:'late'"`},
		{"exceptions to counts, and for many rules", `
			SecRule &ARGS|!ARGS:q "@ge 0" "id:1,phase:1,pass,log"
			SecRule ARGS "@streq attack" "id:2,phase:1,pass,nolog,ctl:ruleRemoveTargetById=10-20;ARGS:one,ctl:ruleRemoveById=30-40,ctl:ruleRemoveTargetById=10-20;ARGS_NAMES:Upper,ctl:ruleRemoveTargetById=10-20;ARGS:Upper"
			SecRule &ARGS "@ge 0" "id:10,phase:2,pass,log"
			SecRule ARGS "@rx a" "id:15,phase:2,pass,log,chain"
			SecRule ARGS_GET|ARGS_NAMES|ARGS "@rx ." "t:none"
			SecRule ARGS|!ARGS:one "@rx a" "id:21,phase:2,pass,log,chain"
			SecRule ARGS|!ARGS:q "@rx ." "t:none"
			SecRule ARGS "@rx a" "id:35,phase:2,pass,log"
			SecRule ARGS "@rx a" "id:40,phase:2,pass,log"
			SecRule &ARGS_NAMES:Upper "@ge 0" "id:41,phase:1,pass,log,chain"
			SecRule ARGS_NAMES:Upper|ARGS_NAMES:upper|ARGS_NAMES:q "@rx ." "t:none"`},
		{"a rule that removes targets of its own", `
			SecRule REQUEST_URI|ARGS "@rx t" "id:1,phase:1,pass,log,ctl:ruleRemoveTargetById=1;ARGS"
			SecRule REQUEST_URI|ARGS "@rx t" "id:2,phase:1,pass,log,ctl:ruleRemoveTargetById=2;ARGS,chain"
			SecRule ARGS "@rx t" "setvar:tx.a=+1"
			SecRule REQUEST_URI|&ARGS "@rx [1-9t]" "id:3,phase:1,pass,log,ctl:ruleRemoveTargetById=3;ARGS"`},
		{"keys", `
			SecRule ARGS:Q "@rx ." "id:1,phase:1,pass,log"
			SecRule ARGS:q "@rx ." "id:2,phase:1,pass,log"
			SecRule ARGS_NAMES:Upper "@rx ." "id:3,phase:1,pass,log"
			SecRule ARGS_GET:UPPER "@rx ." "id:4,phase:1,pass,log"
			SecRule REQUEST_HEADERS:hOsT "@rx ." "id:5,phase:1,pass,log"
			SecRule ARGS:/^upper$/ "@rx ." "id:6,phase:1,pass,log"
			SecRule ARGS:/^Upper$/ "@rx ." "id:7,phase:1,pass,log"
			SecAction "id:8,phase:1,pass,log,msg:'%{ARGS.upper} %{ARGS.Upper} %{ARGS.none} %{REQUEST_HEADERS.Host} %{ARGS_NAMES.q}'"`},
		{"rules on one key beside rules on all", `
			SecRule ARGS "@rx tt" "id:1,phase:1,pass,log"
			SecRule ARGS:q "@rx ck$" "id:2,phase:1,pass,log"
			SecRule ARGS:/^q$/ "@rx ^at" "id:3,phase:1,pass,log"
			SecRule ARGS:Q "@streq attack" "id:4,phase:1,pass,log"
			SecRule ARGS_NAMES "@rx ^q" "id:5,phase:1,pass,log"
			SecRule ARGS_NAMES:q "@rx q$" "id:6,phase:1,pass,log"
			SecRule REQUEST_HEADERS:X-A "@rx ^2" "id:7,phase:1,pass,log"
			SecRule REQUEST_HEADERS "@rx ^[13]$" "id:8,phase:1,pass,log"
			SecRule REQUEST_HEADERS:/^x-/ "@rx [23]" "id:9,phase:1,pass,log"
			SecRule ARGS:one "!@rx ^abc" "id:10,phase:1,pass,log"`},
		{"counts", `
			SecRule &ARGS "@gt 2" "id:1,phase:1,pass,log"
			SecRule &ARGS_POST "@gt 0" "id:2,phase:1,pass,log"
			SecRule &ARGS_POST "@gt 0" "id:3,phase:2,pass,log"
			SecRule &REQUEST_HEADERS:X-A "@eq 3" "id:4,phase:1,pass,log"
			SecRule &ARGS:/o/ "@eq 2" "id:5,phase:1,pass,log"
			SecRule &RESPONSE_HEADERS "@ge 1" "id:6,phase:3,pass,log"`},
		{"comparisons with macros", `
			SecRule REQUEST_HEADERS:Host "@streq %{SERVER_NAME}" "id:1,phase:1,pass,log"
			SecRule ARGS_GET:one "@contains %{ARGS_GET.two}" "id:2,phase:1,pass,log"
			SecAction "id:3,phase:1,pass,nolog,setvar:tx.a=/attack/"
			SecRule ARGS "@within %{tx.a}" "id:4,phase:1,pass,log"
			SecRule ARGS "!@within %{tx.none}" "id:5,phase:1,pass,log"
			SecRule REQUEST_URI "@beginsWith /%{tx.gatehouse_application}" "id:6,phase:1,pass,log"`},
		{"fields of the gateway", `
			SecRule TX:gatehouse_path "@beginsWith /shop" "id:1,phase:1,pass,log"
			SecRule TX:gatehouse_host "@streq shop.example.com" "id:2,phase:1,pass,log,chain"
			SecRule TX:gatehouse_application "@rx ^shop$" "setvar:tx.a=1"
			SecRule TX:gatehouse_kind "!@streq form" "id:3,phase:1,pass,log"
			SecRule TX:gatehouse_now "@lt 1" "id:4,phase:1,pass,log"`},
		{"a field of the gateway that a rule writes", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,nolog,setvar:tx.gatehouse_path=/other"
			SecRule TX:gatehouse_path "@streq /other" "id:2,phase:1,pass,log"`},
		{"a field of the gateway that a macro's name may reach", `
			SecAction "id:1,phase:1,pass,nolog,setvar:tx.a=path"
			SecRule ARGS "@streq attack" "id:2,phase:1,pass,nolog,setvar:tx.gatehouse_%{tx.a}=/other"
			SecRule TX:gatehouse_path "@streq /other" "id:3,phase:1,pass,log"
			SecRule TX:gatehouse_host "@rx shop" "id:4,phase:1,pass,log"`},
		{"body variables before and after the body", `
			SecRule REQBODY_PROCESSOR "@streq URLENCODED" "id:1,phase:1,pass,log,ctl:requestBodyProcessor=TEXT"
			SecRule REQBODY_PROCESSOR "@streq TEXT" "id:2,phase:1,pass,log"
			SecRule REQUEST_BODY "@contains attack" "id:3,phase:2,pass,log"
			SecRule REQUEST_BODY_LENGTH "@gt 1" "id:4,phase:2,pass,log"
			SecRule ARGS_POST:body "@contains attack" "id:5,phase:2,pass,log"
			SecRule REQBODY_ERROR "@eq 0" "id:6,phase:1,pass,log"`},
		{"sums", `
			SecRule ARGS_GET:q "@rx ." "id:1,phase:1,pass,nolog,setvar:tx.a=7,setvar:tx.a=-3,setvar:tx.b=text,setvar:tx.b=+1"
			SecRule ARGS_GET:q "@rx ." "id:2,phase:1,pass,nolog,setvar:tx.c=+x,setvar:tx.d=+tx.a,setvar:tx.one=-5,setvar:tx.two=3,setvar:tx.two=-"
			SecRule ARGS_GET:q "@rx ." "id:3,phase:1,pass,nolog,setvar:tx.h_a=-%{tx.a},setvar:tx.h_b=+%{tx.none},setvar:tx.h_c=+%{tx.b}"
			SecAction "id:4,phase:2,pass,nolog,setvar:tx.h_d=2,setvar:tx.h_d=-5,setvar:tx.h_d=+1"`},
		{"a body that a rule forces", `
			SecRule ARGS_GET:q "@rx ." "id:1,phase:1,pass,log,ctl:forceRequestBodyVariable=On"
			SecRule REQBODY_PROCESSOR "@rx ." "id:2,phase:2,pass,log"
			SecRule ARGS_GET:q "@rx ." "id:3,phase:2,pass,log,ctl:requestBodyProcessor=JSON"
			SecRule REQBODY_PROCESSOR "@rx ." "id:4,phase:3,pass,log,chain"
			SecRule REQBODY_PROCESSOR "!@streq none" "t:none"`},
		{"a body that is not parsed", `
			SecRule REQUEST_METHOD "@streq POST" "id:1,phase:1,pass,nolog,ctl:requestBodyAccess=Off"
			SecRule ARGS_POST "@rx ." "id:2,phase:2,pass,log"
			SecRule &ARGS_POST "@eq 0" "id:3,phase:2,pass,log"`},
		{"the reply", `
			SecRule RESPONSE_BODY "!@contains secret" "id:1,phase:4,pass,nolog,skipAfter:END"
			SecAction "id:2,phase:4,pass,nolog,setvar:tx.a=1"
			SecRule RESPONSE_BODY "@rx s(e)cret" "id:3,phase:4,deny,log,capture,msg:'%{tx.1}'"
			SecMarker END
			SecRule RESPONSE_HEADERS:Content-Type "@contains html" "id:4,phase:3,pass,log"
			SecRule RESPONSE_STATUS "@rx ^2" "id:5,phase:4,pass,log"
			SecRule RESPONSE_CONTENT_LENGTH "@gt 0" "id:6,phase:4,pass,log"
			SecRule RESPONSE_CONTENT_TYPE "@rx ^[a-z/]*$" "id:7,phase:4,pass,log"`},
		{"severity", `
			SecRule ARGS "@rx t" "id:1,phase:1,pass,log,severity:WARNING"
			SecRule HIGHEST_SEVERITY "@eq 4" "id:2,phase:1,pass,log,severity:ERROR"
			SecRule HIGHEST_SEVERITY "@eq 3" "id:3,phase:2,pass,log,msg:'%{HIGHEST_SEVERITY} %{RULE.id} %{RULE.severity}'"
			SecRule ARGS "@rx t" "id:4,phase:2,pass,log,severity:NOTICE"
			SecRule HIGHEST_SEVERITY "@streq 3" "id:7,phase:1,pass,log,t:none,t:trim"
			SecRule ARGS "@rx t" "id:5,phase:2,pass,log,severity:CRITICAL,chain"
			SecRule ARGS "@streq no such value" "t:none"
			SecRule HIGHEST_SEVERITY "@eq 3" "id:6,phase:2,pass,log,chain"
			SecRule ARGS "@rx t" "setvar:tx.a=%{RULE.id}"`},
		{"updates of loaded rules", `
			SecRule ARGS "@rx t" "id:1,phase:2,pass,log"
			SecRule ARGS "@rx t" "id:2,phase:2,pass,log,tag:'x'"
			SecRuleUpdateTargetById 1 "!ARGS:q"
			SecRuleUpdateActionById 1 "deny,status:409"
			SecRuleRemoveByTag x`},
		{"sizes and names", `
			SecRule ARGS_COMBINED_SIZE "@gt 10" "id:1,phase:2,pass,log"
			SecRule REQUEST_COOKIES_NAMES "@streq session" "id:2,phase:1,pass,log"
			SecRule REQUEST_COOKIES:session "@rx ^(.)" "id:3,phase:1,pass,log,capture,setvar:tx.a=%{tx.1}"
			SecRule ARGS_POST_NAMES "@streq form" "id:4,phase:2,pass,log"`},
		{"a chain in which a link sets a message", `
			SecRule ARGS "@rx attack" "id:1,phase:2,pass,log,chain"
			SecRule ARGS "@rx o" "msg:'link %{MATCHED_VAR}',logdata:'data'"
			SecRule ARGS "@rx attack" "id:2,phase:2,pass,log,msg:'starter %{MATCHED_VAR}',chain"
			SecRule ARGS:two "@rx o" "msg:'link',setvar:tx.a=+1"`},
		{"messages of starters, links and actions", `
			SecAction "id:1,phase:1,pass,log,msg:'starter',logdata:'data',chain"
			SecRule ARGS_GET:q "@rx ." "msg:'link',logdata:'data of %{MATCHED_VAR}'"
			SecAction "id:2,phase:1,pass,log,chain"
			SecRule ARGS_GET:q "@rx ." "msg:'link %{MATCHED_VAR}',logdata:'data of %{MATCHED_VAR_NAME}'"
			SecAction "id:3,phase:1,pass,log,logdata:'data without a message',chain"
			SecRule ARGS_GET:q "@rx ." "msg:'first %{MATCHED_VAR}',logdata:'first data',chain"
			SecAction "msg:'second %{MATCHED_VAR}'"
			SecAction "id:4,phase:1,pass,log,msg:'starter',chain"
			SecRule ARGS_GET:q "@rx ." "msg:'link',logdata:'link data'"`},
		{"bodies of other types", `
			SecRule REQUEST_HEADERS:Content-Type "@contains xml" "id:1,phase:1,pass,log,ctl:requestBodyProcessor=XML"
			SecRule REQUEST_HEADERS:Content-Type "@contains json" "id:2,phase:1,pass,log,ctl:requestBodyProcessor=JSON"
			SecRule FILES|FILES_NAMES|FILES_SIZES "@rx ." "id:3,phase:2,pass,log"
			SecRule XML:/* "@rx attack" "id:4,phase:2,pass,log"
			SecRule XML://@* "@rx attack" "id:5,phase:2,pass,log"
			SecRule REQUEST_METHOD "@streq POST" "id:6,phase:1,pass,nolog,ctl:ruleRemoveTargetById=7;XML:/*"
			SecRule XML:/*|XML://@* "@rx attack" "id:7,phase:2,pass,log"
			SecRule TX:json_request_body "@contains attack" "id:8,phase:2,pass,log"
			SecRule ARGS|ARGS_NAMES "@rx ." "id:9,phase:2,pass,log"
			SecRule &FILES|FILES_COMBINED_SIZE|MULTIPART_FILENAME "@rx ." "id:10,phase:2,pass,log"
			SecRule MULTIPART_PART_HEADERS:q "@rx form" "id:11,phase:2,pass,log"`},
		{"exclusions and rules of our own", `
			SecRule ARGS "@streq attack" "id:1,phase:1,pass,log,tag:'gatehouse/exclusion:first',ctl:ruleRemoveById=3"
			SecRule ARGS "@streq attack" "id:2,phase:2,pass,nolog,tag:'gatehouse/exclusion:second',tag:'other'"
			SecRule ARGS "@rx a" "id:3,phase:2,pass,log"
			SecRule ARGS "@rx a" "id:4,phase:2,pass,log,tag:'gatehouse/internal'"
			SecAction "id:5,phase:1,pass,nolog,tag:'gatehouse/exclusion:always'"`},
		{"defaults", `
			SecDefaultAction "phase:2,log,deny,status:406"
			SecRule ARGS "@streq attack" "id:1,phase:2,block"
			SecRule ARGS "@streq none" "id:2,phase:2,deny"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var text strings.Builder
			for line := range strings.Lines(test.text) {
				text.WriteString(strings.TrimSpace(line) + "\n")
			}
			p := rules.Policy{Name: test.name, Sources: []rules.Source{
				{Name: "mode", Text: `SecRule TX:gatehouse_detect "@eq 1" "id:100000,phase:1,pass,nolog,tag:'gatehouse/internal',ctl:ruleEngine=DetectionOnly"` + "\n"},
				{Name: "text", Text: text.String() + probe},
			}}
			program, reference := load(t, engine.Options{Target: target}, p), load(t, engine.Options{Mode: engine.Reference, Target: target}, p)
			if c := program.(interface{ Coverage() engine.Coverage }).Coverage(); len(c.Reference) > 0 {
				t.Fatalf("not compiled: %v", c.Reference)
			}
			matched := 0
			for _, wire := range exchanges {
				for _, detect := range []bool{true, false} {
					for last := rules.PhaseRequestBody; last <= rules.PhaseResponseBody; last++ {
						got := judgeUntil(t, program, []byte(wire), detect, last)
						matched += len(got.Matches)
						if diff := differUntil(t, reference, []byte(wire), detect, last, got); diff != "" {
							t.Fatalf("detect=%v, the last phase %d (-reference +program):\n%s\n%q", detect, last, diff, wire)
						}
					}
				}
			}
			if matched == 0 && test.name != "a constant skip to no marker" {
				t.Error("nothing matched at all")
			}
		})
	}
}

// target shows what an engine says of the place of a value.
func target(variable, key, processor string) string { return variable + "|" + key + "|" + processor }

// exchanges are requests that the texts are tried on.
var exchanges = func() []string {
	headers := "Host: shop.example.com\r\nX-A: 1\r\nX-A: 2\r\nX-A: 3\r\nCookie: session=42; theme=dark\r\n"
	var out []string
	for _, query := range []string{"", "?q=attack&Upper=x&one=abc&two=Hello+World", "?q=fine&one=ac&two=%2568ello", "?x=1&one=attack&q=a", "?q=%ffX&two=Hello+world"} {
		out = append(out, "GET /shop/list"+query+" HTTP/1.1\r\n"+headers+"\r\n")
		for _, form := range []string{"form=attack", "form=fine&q=other+attack"} {
			out = append(out, fmt.Sprintf("POST /shop/list%s HTTP/1.1\r\n%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
				query, headers, len(form), form))
		}
	}
	for _, body := range []struct{ contentType, text string }{
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nattack\r\n" +
			"--b\r\nContent-Disposition: form-data; name=\"File\"; filename=\"Attack.txt\"\r\n\r\ntext\r\n--b--\r\n"},
		{"text/xml", "<a><b c=\"attack\">fine attack</b></a>"},
		{"application/json", `{"q":"attack","one":["a"]}`},
	} {
		out = append(out, fmt.Sprintf("POST /shop/list?Q=attack HTTP/1.1\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			headers, body.contentType, len(body.text), body.text))
	}
	return out
}()

// differ is how a result differs from all that the reference gives, which visits values in no certain order.
func differ(t testing.TB, reference rules.RuleSet, wire []byte, detect bool, got outcome) string {
	t.Helper()
	return differUntil(t, reference, wire, detect, rules.PhaseResponseBody, got)
}

func differUntil(t testing.TB, reference rules.RuleSet, wire []byte, detect bool, last rules.Phase, got outcome) string {
	t.Helper()
	diff := ""
	for range 8 {
		if diff = cmp.Diff(judgeUntil(t, reference, wire, detect, last), got); diff == "" {
			break
		}
	}
	return diff
}
