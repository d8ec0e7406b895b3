package coraza_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// readerFunc is a reader made of a function.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestErrorsAreNoVerdict shows that what breaks inside is an error, whatever the policy and the mode.
func TestErrorsAreNoVerdict(t *testing.T) {
	engine := coraza.New(coraza.Options{})
	set := mustLoad(t, engine, rules.Policy{Sources: []rules.Source{{Name: "base", Text: baseText + `
SecAction "id:1,phase:1,pass,log"
SecAction "id:5,phase:5,pass,log"`}}})
	for _, c := range []struct {
		name   string
		reader io.Reader
		want   string
	}{
		{"read error", readerFunc(func([]byte) (int, error) { return 0, errors.New("gone") }), "inspect request body: read the body: gone"},
		{"panic", readerFunc(func([]byte) (int, error) { panic("boom") }), "inspect request body: panic: boom"},
	} {
		for _, detect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/detect=%v", c.name, detect), func(t *testing.T) {
				r := request("POST", "/", "Content-Type: text/plain")
				r.Detect = detect
				tx := set.Begin(r)
				if i, err := tx.RequestHeaders(); i != nil || err != nil {
					t.Fatalf("phase 1: %v, %v", i, err)
				}
				i, err := tx.RequestBody(rules.Body{Reader: c.reader, Length: 5})
				if i != nil || err == nil || err.Error() != c.want {
					t.Errorf("got %v, %v; want %s", i, err, c.want)
				}
				if i, err := tx.ResponseHeaders(&rules.Response{Status: 200}); i != nil || err == nil {
					t.Errorf("after the error: %v, %v", i, err)
				}
				result := tx.Close()
				if result.Interruption != nil || len(result.Matches) != 1 {
					t.Errorf("got %+v", result)
				}
				if again := tx.Close(); again != result {
					t.Error("closing twice gives two results")
				}
			})
		}
	}
}

// TestPhaseFiveRunsOnce counts how often a rule of the last phase runs.
func TestPhaseFiveRunsOnce(t *testing.T) {
	set := mustLoad(t, coraza.New(coraza.Options{}), rules.Policy{Sources: []rules.Source{{Name: "s", Text: `
SecRule ARGS:stop "@rx ." "id:1,phase:1,deny,log"
SecAction "id:5,phase:5,pass,log,msg:'last'"`}}})
	for _, target := range []string{"/", "/?stop=1"} {
		for _, detect := range []bool{false, true} {
			r := request("GET", target)
			r.Detect = detect
			tx := set.Begin(r)
			if _, err := tx.RequestHeaders(); err != nil {
				t.Fatal(err)
			}
			tx.Close()
			result := tx.Close()
			n := 0
			for _, m := range result.Matches {
				if m.Rule == 5 {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s, detect %v: the last phase ran %d times", target, detect, n)
			}
		}
	}
}

// TestTruncatedBodies cuts bodies at every byte. Rules have to be told, and nothing else may be found wrong.
func TestTruncatedBodies(t *testing.T) {
	set := mustLoad(t, coraza.New(coraza.Options{}), rules.Policy{Sources: []rules.Source{{Name: "base", Text: baseText + `
SecRule INBOUND_DATA_ERROR "@eq 1" "id:1,phase:2,pass,log"
SecRule REQUEST_BODY_LENGTH "@eq 123456" "id:2,phase:2,pass,log"
SecRule ARGS_POST "@contains evil" "id:3,phase:2,pass,log"
SecRule OUTBOUND_DATA_ERROR "@eq 1" "id:4,phase:4,pass,log"`}}})
	for _, c := range []struct{ name, contentType, body string }{
		{"form", "application/x-www-form-urlencoded", "a=evil&b=%20two&c=three"},
		{
			"multipart", "multipart/form-data; boundary=xyz",
			"--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nevil\r\n" +
				"--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\nContent-Type: text/plain\r\n\r\nfile\r\n--xyz--\r\n",
		},
		{"text", "text/plain", "evil text \xff"},
		{"NDJSON", "application/x-ndjson", "{\"a\":\"evil\"}\n{\"b\":[1,2,\"\\u00e9\"]}\n"},
		{"binary", "application/octet-stream", "\x00evil\xff"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for n := range len(c.body) + 1 {
				tx := set.Begin(request("POST", "/", "Content-Type: "+c.contentType))
				if _, err := tx.RequestHeaders(); err != nil {
					t.Fatal(err)
				}
				i, err := tx.RequestBody(rules.Body{Reader: strings.NewReader(c.body[:n]), Truncated: true, Length: 123456})
				if i != nil || err != nil {
					t.Errorf("cut after %q: %v, %v", c.body[:n], i, err)
				}
				if _, err := tx.ResponseHeaders(&rules.Response{Status: 200}); err != nil {
					t.Fatal(err)
				}
				if _, err := tx.ResponseBody(rules.Body{Reader: strings.NewReader("x"), Truncated: true, Length: -1}); err != nil {
					t.Fatal(err)
				}
				result := tx.Close()
				want := []int{1, 2}
				if strings.Contains(c.body[:n], "evil") && c.name != "binary" && (c.name != "NDJSON" || strings.Contains(c.body[:n], `evil"`)) {
					want = append(want, 3)
				}
				want = append(want, 4)
				if got := ids(result); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("cut after %q: rules %v, want %v", c.body[:n], got, want)
				}
			}
		})
	}
}

func ids(r *rules.Result) []int {
	var all []int
	for _, m := range r.Matches {
		all = append(all, m.Rule)
	}
	return all
}

// TestTransactionsAreIndependent runs requests with and without a run-time exclusion side by side. The rule has as many
// exceptions of its own as leave room in memory for one more.
func TestTransactionsAreIndependent(t *testing.T) {
	for _, own := range []int{0, 1, 2, 3, 5, 6, 7} {
		var exceptions strings.Builder
		for i := range own {
			fmt.Fprintf(&exceptions, "|!ARGS:own%d", i)
		}
		set := mustLoad(t, coraza.New(coraza.Options{}), rules.Policy{Sources: []rules.Source{{Name: "s", Text: `
SecRule REQUEST_FILENAME "@streq /notes" "id:1,phase:1,pass,nolog,ctl:ruleRemoveTargetById=9;ARGS:note"
SecRule REQUEST_FILENAME "@streq /other" "id:2,phase:1,pass,nolog,ctl:ruleRemoveTargetById=9;ARGS:title"
SecRule REQUEST_METHOD "@streq GET" "id:9,phase:2,deny,log,chain"
    SecRule ARGS` + exceptions.String() + ` "@rx evil" "t:none,t:lowercase"
SecRule ARGS` + exceptions.String() + ` "@rx evil" "id:10,phase:2,pass,nolog"`}}})
		var work sync.WaitGroup
		for _, c := range []struct {
			target  string
			blocked bool
		}{
			{"/notes?note=evil", false}, {"/other?note=evil", true}, {"/notes?title=evil", true}, {"/other?title=evil", false},
		} {
			work.Go(func() {
				for range 200 {
					_, seen := inspect(t, set, request("GET", c.target), rules.Body{})
					if (seen != nil) != c.blocked {
						t.Errorf("%d exceptions: %s: %v", own, c.target, seen)
						return
					}
				}
			})
		}
		work.Wait()
	}
}

// TestPooledTransactionIsFresh shows that nothing of a request is left for the next.
func TestPooledTransactionIsFresh(t *testing.T) {
	set := mustLoad(t, coraza.New(coraza.Options{}), crsPolicy(t, ""))
	clean := request("GET", "/?q=shoes")
	before, _ := inspect(t, set, clean, rules.Body{})
	for range 5 {
		inspect(t, set, request("POST", "/?id=1%27+union+select+1,2,3--", "Content-Type: application/json", "Cookie: a=<script>"), body(`{"a":"${jndi:ldap://x}"}`))
		after, _ := inspect(t, set, clean, rules.Body{})
		if fmt.Sprint(ids(before), before.Scores) != fmt.Sprint(ids(after), after.Scores) {
			t.Fatalf("got %v %+v, want %v %+v", ids(after), after.Scores, ids(before), before.Scores)
		}
	}
}

// TestTargets shows what the function that names targets is asked.
func TestTargets(t *testing.T) {
	engine := coraza.New(coraza.Options{Target: func(variable, key, processor string) string {
		return variable + "/" + key + "/" + processor
	}})
	set := mustLoad(t, engine, rules.Policy{Sources: []rules.Source{{Name: "base", Text: baseText + `
SecRule ARGS "@rx evil" "id:1,phase:2,deny,log,severity:CRITICAL,tag:'a',tag:'b'"`}}})
	result, _ := inspect(t, set, request("POST", "/", "Content-Type: application/json"), body(`{"Items":["evil"]}`))
	if len(result.Matches) != 1 || len(result.Matches[0].Targets) != 1 {
		t.Fatalf("got %+v", result)
	}
	m := result.Matches[0]
	if got, want := m.Targets[0], (rules.MatchedTarget{Variable: "ARGS:json.Items.0", Target: "ARGS_POST/json.Items.0/JSON", Value: "evil"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if m.Severity != "CRITICAL" || !m.Disruptive || len(m.Tags) != 2 || m.Phase != 2 {
		t.Errorf("got %+v", m)
	}
}

// TestResponseOfATypeThatTextNames goes through Coraza's own response buffer.
func TestResponseOfATypeThatTextNames(t *testing.T) {
	for _, text := range []string{"", "SecResponseBodyMimeType text/html\n", `SecAction "id:9,phase:1,pass,nolog,ctl:forceResponseBodyVariable=On"` + "\n"} {
		set := mustLoad(t, coraza.New(coraza.Options{}), rules.Policy{Sources: []rules.Source{{
			Name: "s",
			Text: text + `SecRule RESPONSE_BODY "@streq <p>fine</p>" "id:1,phase:4,deny,log"`,
		}}})
		if _, seen := inspect(t, set, request("GET", "/"), rules.Body{}); seen == nil {
			t.Errorf("with %q the reply is not seen", text)
		}
	}
}

// TestRulesLogByDefault shows that a rule is shown unless it says nolog, whether or not the text has default actions.
func TestRulesLogByDefault(t *testing.T) {
	const text = `
SecAction "id:1,phase:1,pass"
SecAction "id:2,phase:2,pass"
SecAction "id:3,phase:3,pass"
SecAction "id:4,phase:4,pass"
SecAction "id:6,phase:1,pass,nolog"
SecAction "id:9,phase:4,pass,nolog"
`
	for _, defaults := range []string{
		"", "SecDefaultAction \"phase:1,log,auditlog,pass\"\nSecDefaultAction \"phase:4,pass,log\"\n",
	} {
		set := mustLoad(t, coraza.New(coraza.Options{}), rules.Policy{Sources: []rules.Source{{Name: "s", Text: defaults + text}}})
		result, _ := inspect(t, set, request("GET", "/"), rules.Body{})
		if got := fmt.Sprint(ids(result)); got != "[1 2 3 4]" {
			t.Errorf("with %q: rules %s", defaults, got)
		}
	}
}
