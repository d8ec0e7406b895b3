package engine_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gatehouse/rules"
	"gatehouse/rules/engine"
)

// TestSeenAgain sends the same names and headers again and again, to two policies in turn whose rules have the same numbers:
// what is known of a value from before must be what looking at it comes to.
func TestSeenAgain(t *testing.T) {
	operators := []string{`@rx (?i)select.+from`, `@contains /etc/passwd`, `@pm sqlmap nikto`, `@rx [<>]`, `@streq items`, `@detectSQLi`, `!@rx ^[a-z]`, `@within itemsnikto`, `@gt 1`, `@lt 1`}
	policy := func(name string, turn int) rules.Policy {
		var text strings.Builder
		for i := range operators {
			fmt.Fprintf(&text, "SecRule ARGS_NAMES|REQUEST_HEADERS|REQUEST_HEADERS_NAMES|REQUEST_COOKIES_NAMES \"%s\" \"id:%d,phase:2,pass,log,capture,t:none,t:urlDecodeUni,t:lowercase,logdata:'%%{MATCHED_VAR_NAME}=%%{MATCHED_VAR} %%{TX.0}'\"\n",
				operators[(i+turn)%len(operators)], 1+i)
			fmt.Fprintf(&text, "SecRule ARGS_NAMES|REQUEST_HEADERS|&REQUEST_HEADERS:Accept \"%s\" \"id:%d,phase:2,pass,log,t:none,t:length\"\n",
				operators[(i+turn)%len(operators)], 101+i)
		}
		return rules.Policy{Name: name, Limits: rules.Limits{Arguments: 100, JSONDepth: 10}, Sources: []rules.Source{{Name: "text", Text: text.String()}}}
	}
	var programs, references []rules.RuleSet
	for turn := range 2 {
		p := policy(fmt.Sprint("policy ", turn), turn)
		programs, references = append(programs, load(t, engine.Options{Target: target}, p)), append(references, load(t, engine.Options{Mode: engine.Reference, Target: target}, p))
		compiled(t, programs[turn])
	}
	values := []string{
		"items", "sqlmap/1.7", "Mozilla/5.0 (X11)", "SELECT a FROM b", "%2fetc%2fpasswd", "<b>", "1' or 1=1 -- ", "", "nikto",
		strings.Repeat("x", 249) + "<script", strings.Repeat("x", 250) + "<script", strings.Repeat("y", 500) + " nikto",
	}
	matched := 0
	for round := range 4 {
		for _, v := range values {
			wire := []byte("GET /?" + url.QueryEscape(v) + "=1&items=2 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: " + v + "\r\nAuthorization: " + v +
				"\r\nAccept: " + v + "\r\nCookie: " + url.QueryEscape(v) + "=" + v + "\r\n\r\n")
			for i := range programs {
				got := judge(t, programs[i], wire, false)
				matched += len(got.Matches)
				if diff := differ(t, references[i], wire, false, got); diff != "" {
					t.Errorf("policy %d, round %d, %q (-reference +program):\n%s", i, round, v, diff)
				}
			}
		}
	}
	if matched < 100 {
		t.Errorf("%d rules matched in all", matched)
	}
}

// TestSeenByMany sends names that share the places in memory from many goroutines at once.
func TestSeenByMany(t *testing.T) {
	p := rules.Policy{Name: "many", Limits: rules.Limits{Arguments: 1000, JSONDepth: 10}, Sources: []rules.Source{{Name: "text", Text: `SecRule ARGS_NAMES "@rx ^bad[0-9]+$" "id:1,phase:2,pass,log"`}}}
	set := load(t, engine.Options{Target: target}, p)
	compiled(t, set)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				bad := (i+g)%3 == 0
				name := map[bool]string{true: "bad", false: "good"}[bad] + fmt.Sprint(i%500)
				result := judge(t, set, []byte("GET /?"+name+"=1 HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"), false)
				if (len(result.Matches) > 0) != bad {
					t.Errorf("%s: %v", name, result.Matches)
					return
				}
			}
		})
	}
	wg.Wait()
}
