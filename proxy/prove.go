package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatehouse/rules"
)

// proofBudget is how long one proof request may take: far more than any real one needs.
const proofBudget = 5 * time.Second

// proofRequests are what every rule set is proven on before it may serve: a request that no rule of ours may refuse,
// and attacks that must be noticed.
var proofRequests = []struct {
	name, target string
	attack       bool
}{
	{"an ordinary request", "/?page=2", false},
	{"a script in a parameter", "/?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E", true},
	{"SQL injection in a parameter", "/?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20-", true},
}

// prove runs known requests through a rule set that is about to serve: an attack that leaves no trace, an ordinary
// request that the score refuses, an error or a crawl mean that the configuration must not be served.
func (s *Server) prove(app *application) error {
	set := app.rules
	if counted, ok := set.(interface{ Uncounted() rules.RuleSet }); ok { // metrics count traffic
		set = counted.Uncounted()
	}
	for _, p := range proofRequests {
		result, took, err := fastest(set, app, p.target)
		if err != nil {
			return fmt.Errorf("self-test with %s: %w", p.name, err)
		}
		if took > proofBudget {
			return fmt.Errorf("self-test with %s took %v, more than %v: a rule is too expensive", p.name, took, proofBudget)
		}
		noticed := result.Interruption != nil || len(result.Matches) > 0 || result.Scores.Inbound > 0
		if p.attack && !noticed && !result.Uninspected {
			return fmt.Errorf("self-test: %s leaves no trace: the rules and exclusions of this application switch inspection off", p.name)
		}
		if !p.attack && result.Interruption != nil && isScore(result.Interruption.Rule) {
			return fmt.Errorf("self-test: %s is refused by its score: a rule or threshold refuses everything", p.name)
		}
	}
	return nil
}

// fastest judges a request up to three times until it is within the budget: a host under load may take a break in the
// middle of one.
func fastest(set rules.RuleSet, app *application, target string) (result *rules.Result, took time.Duration, err error) {
	for range 3 {
		start := time.Now()
		if result, err = judge(set, target, app.config.Name, app.config.Hosts[0]); err != nil {
			return nil, 0, err
		}
		if took = time.Since(start); took <= proofBudget {
			break
		}
	}
	return result, took, nil
}

func isScore(rule int) bool { return rule == 949110 || rule == 949111 }

// judge runs a GET of target through phases 1, 2 and 5.
func judge(set rules.RuleSet, target, app, host string) (*rules.Result, error) {
	path, _, _ := strings.Cut(target, "?")
	host = strings.Replace(host, "*", "selftest", 1)
	tx := set.Begin(&rules.Request{
		ID: "self-test", Time: time.Now(), Client: netip.MustParseAddrPort("192.0.2.1:1024"), Server: netip.MustParseAddrPort("192.0.2.2:80"),
		Method: "GET", Target: target, Protocol: "HTTP/1.1", Traffic: "auto",
		Headers: []rules.Header{{Name: "Host", Value: host}, {Name: "User-Agent", Value: "gatehouse-self-test"}, {Name: "Accept", Value: "*/*"}},
		Host:    host, Path: path, Application: app, Route: "/",
	})
	interruption, err := tx.RequestHeaders()
	if err == nil && interruption == nil {
		_, err = tx.RequestBody(rules.Body{})
	}
	result := tx.Close()
	if err != nil {
		return nil, err
	}
	if result == nil {
		return nil, errors.New("the transaction gave no result")
	}
	return result, nil
}
