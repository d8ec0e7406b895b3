package mix

import (
	"fmt"
	"strings"
)

// CustomRules are n rules of an operator in SecLang, of the kinds that operators write, none of which matches benign
// requests. Their ids are 1 to n.
func CustomRules(n int) string {
	s := NewSource(99)
	var b strings.Builder
	for i := range n {
		id := 1 + i
		w := s.Word() + s.Hex(4)
		action := fmt.Sprintf(`"id:%d,phase:%d,deny,status:403,log,t:none,msg:'custom %d'"`, id, 1+i%2, id)
		switch i % 10 {
		case 0:
			fmt.Fprintf(&b, "SecRule REMOTE_ADDR \"@ipMatch 198.18.%d.%d,2001:db8:%x::/48\" %s\n", s.IntN(256), s.IntN(256), i, action)
		case 1:
			fmt.Fprintf(&b, "SecRule REQUEST_METHOD \"@streq %s\" %s\n", strings.ToUpper(w), action)
		case 2:
			fmt.Fprintf(&b, "SecRule REQUEST_HEADERS:User-Agent \"@contains %sbot\" %s\n", w, action)
		case 3:
			fmt.Fprintf(&b, "SecRule REQUEST_FILENAME \"@beginsWith /%s/\" %s\n", w, action)
		case 4:
			fmt.Fprintf(&b, "SecRule ARGS \"@rx (?i)\\b%s\\s+(?:%s|%s)\\d{3,}\" %s\n", w, s.Word(), s.Word(), strings.Replace(action, "t:none", "t:none,t:urlDecodeUni", 1))
		case 5:
			fmt.Fprintf(&b, "SecRule ARGS|REQUEST_COOKIES \"@pm %s %s %s\" %s\n", w, w+"x", s.Hex(12), strings.Replace(action, "t:none", "t:none,t:lowercase", 1))
		case 6:
			fmt.Fprintf(&b, "SecRule REQUEST_HEADERS:X-%s \"@rx ^[a-f0-9]{%d}$\" %s\n", w, 8+i%24, action)
		case 7:
			fmt.Fprintf(&b, "SecRule REQUEST_URI \"@rx ^/%s/[0-9]+/%s(?:\\?|$)\" %s\n", w, s.Word(), action)
		case 8:
			fmt.Fprintf(&b, "SecRule ARGS_NAMES \"@streq %s\" %s\n", w, action)
		case 9:
			fmt.Fprintf(&b, "SecRule REQUEST_FILENAME \"@streq /%s\" \\\n    %s\n    SecRule ARGS:%s \"!@rx ^\\d+$\" \"t:none\"\n", w, strings.Replace(action, "t:none", "t:none,chain", 1), s.Word())
		}
	}
	return b.String()
}
