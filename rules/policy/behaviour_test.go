package policy_test

import (
	"bytes"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"

	"gatehouse/rules"
	"gatehouse/rules/coraza"
	"gatehouse/rules/policy"
)

// suite is one file of testdata: a policy and requests with what has to come of them.
type suite struct {
	Policy struct {
		CRS        policy.CRS         `yaml:"crs"`
		Rules      []policy.Rule      `yaml:"rules"`
		SecLang    string             `yaml:"seclang"`
		Exclusions []policy.Exclusion `yaml:"exclusions"`
	} `yaml:"policy"`
	Application struct {
		Rules      []policy.Rule      `yaml:"rules"`
		Exclusions []policy.Exclusion `yaml:"exclusions"`
	} `yaml:"application"`
	Lists map[string][]string `yaml:"lists"`
	Cases []testCase          `yaml:"cases"`
}

// testCase is one request: "METHOD target", and what has to come of it in mode block and in detect.
type testCase struct {
	Name    string            `yaml:"name"`
	Request string            `yaml:"request"`
	Type    string            `yaml:"type"` // Content-Type
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
	Client  string            `yaml:"client"`
	Host    string            `yaml:"host"`
	Traffic string            `yaml:"traffic"`
	Now     time.Time         `yaml:"now"`

	Want        string   `yaml:"want"` // pass or deny
	Status      int      `yaml:"status"`
	By          int      `yaml:"by"`        // the rule that interrupts
	Rules       []int    `yaml:"rules"`     // among the matches
	InDetect    []int    `yaml:"in_detect"` // among the matches in detect, not in block
	Not         []int    `yaml:"not"`       // not among the matches
	Tags        []string `yaml:"tags"`      // among the tags of matches
	Exclusions  []string `yaml:"exclusions"`
	Uninspected bool     `yaml:"uninspected"`
	Threshold   int      `yaml:"threshold"`
}

func TestBehaviour(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	engine := coraza.New(coraza.Options{Target: policy.TargetOf})
	ran := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			s := readSuite(t, file)
			set := loadSuite(t, engine, s)
			for _, c := range s.Cases {
				t.Run(c.Name, func(t *testing.T) {
					for _, detect := range []bool{false, true} {
						for _, problem := range c.problems(c.run(t, set, detect), detect) {
							t.Errorf("detect=%v: %s", detect, problem)
						}
						ran++
					}
				})
			}
		})
	}
	if ran < 400 {
		t.Errorf("%d cases ran, want at least 400", ran)
	}
}

func readSuite(t *testing.T, file string) suite {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s suite
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(s.Cases) == 0 {
		t.Fatalf("%s has no cases", file)
	}
	return s
}

func (s suite) lower(t *testing.T) rules.Policy {
	t.Helper()
	set := policy.Set{Name: "test", CRS: s.Policy.CRS, Rules: s.Policy.Rules, Exclusions: s.Policy.Exclusions}
	if s.Policy.SecLang != "" {
		set.SecLang = []rules.Source{{Name: "custom.conf", Text: s.Policy.SecLang}}
	}
	lists := map[string]policy.List{}
	for name, entries := range s.Lists {
		lists[name] = nil
		for _, e := range entries {
			network, expires, _ := strings.Cut(e, " until ")
			lists[name] = append(lists[name], policy.ListEntry{Prefix: netip.MustParsePrefix(network), Expires: policy.Date(expires)})
		}
	}
	p, err := policy.Lower(set, policy.Application{Name: "app", Rules: s.Application.Rules, Exclusions: s.Application.Exclusions}, lists)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func loadSuite(t *testing.T, engine *coraza.Engine, s suite) rules.RuleSet {
	t.Helper()
	set, err := engine.Load(s.lower(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	})
	return set
}

// run sends the request through the rule set.
func (c testCase) run(t *testing.T, set rules.RuleSet, detect bool) *rules.Result {
	t.Helper()
	method, target, ok := strings.Cut(c.Request, " ")
	if !ok {
		t.Fatalf("request %q is not METHOD target", c.Request)
	}
	raw, _, _ := strings.Cut(target, "?")
	path, err := url.PathUnescape(raw)
	if err != nil {
		t.Fatal(err)
	}
	host := or(c.Host, "shop.example.com")
	r := &rules.Request{
		ID: "test", Time: c.Now, Method: method, Target: target, Protocol: "HTTP/1.1",
		Client: netip.AddrPortFrom(netip.MustParseAddr(or(c.Client, "203.0.113.9")), 4711),
		Server: netip.MustParseAddrPort("192.0.2.1:8080"),
		Host:   host, Path: path, Application: "app", Route: "/", Detect: detect, Traffic: or(c.Traffic, "auto"),
	}
	if r.Time.IsZero() {
		r.Time = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	}
	add := func(name, value string) { r.Headers = append(r.Headers, rules.Header{Name: name, Value: value}) }
	add("Host", host)
	add("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	add("Accept", "*/*")
	if c.Type != "" {
		add("Content-Type", c.Type)
	}
	var names []string
	for name := range c.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "User-Agent" || name == "Accept" {
			r.Headers = slices.DeleteFunc(r.Headers, func(h rules.Header) bool { return h.Name == name })
		}
		add(name, c.Headers[name])
	}
	body := rules.Body{Length: 0}
	if c.Body != "" {
		add("Content-Length", itoa(len(c.Body)))
		body = rules.Body{Reader: strings.NewReader(c.Body), Length: int64(len(c.Body))}
	}
	tx := set.Begin(r)
	stop := false
	step := func(i *rules.Interruption, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if i != nil && detect {
			t.Errorf("detect interrupted: %+v", i)
		}
		stop = stop || i != nil
	}
	step(tx.RequestHeaders())
	if !stop {
		step(tx.RequestBody(body))
	}
	if !stop {
		step(tx.ResponseHeaders(&rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{{Name: "Content-Type", Value: "text/html"}}}))
	}
	if !stop {
		step(tx.ResponseBody(rules.Body{}))
	}
	return tx.Close()
}

// problems says in what a result is not what the case wants.
func (c testCase) problems(r *rules.Result, detect bool) []string {
	var out []string
	add := func(s string) { out = append(out, s) }
	var ids []int
	var tags []string
	for _, m := range r.Matches {
		ids = append(ids, m.Rule)
		tags = append(tags, m.Tags...)
		for _, tag := range m.Tags {
			if strings.HasPrefix(tag, policy.TagExclusion) || tag == policy.TagInternal {
				add("a rule of ours is shown: " + tag)
			}
		}
	}
	switch c.Want {
	case "pass":
		if r.Interruption != nil {
			add("refused by " + itoa(r.Interruption.Rule) + ", matches " + cmp.Diff(nil, ids))
		}
	case "deny":
		switch {
		case r.Interruption == nil:
			add("not refused, matches " + cmp.Diff(nil, ids))
		case c.By != 0 && r.Interruption.Rule != c.By:
			add("refused by " + itoa(r.Interruption.Rule) + ", want " + itoa(c.By))
		case c.Status != 0 && r.Interruption.Status != c.Status:
			add("status " + itoa(r.Interruption.Status) + ", want " + itoa(c.Status))
		}
	default:
		add("want: is neither pass nor deny")
	}
	for _, id := range c.Rules {
		if !slices.Contains(ids, id) {
			add("rule " + itoa(id) + " did not match")
		}
	}
	for _, id := range c.InDetect {
		if slices.Contains(ids, id) != detect {
			add("rule " + itoa(id) + " matches in detect alone, got otherwise")
		}
	}
	for _, id := range c.Not {
		if slices.Contains(ids, id) {
			add("rule " + itoa(id) + " matched")
		}
	}
	for _, tag := range c.Tags {
		if !slices.Contains(tags, tag) {
			add("no match has the tag " + tag)
		}
	}
	if diff := cmp.Diff(c.Exclusions, r.Exclusions, cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
		add("exclusions (-want +got):\n" + diff)
	}
	if r.Uninspected != c.Uninspected {
		add("uninspected is not as wanted")
	}
	if c.Threshold != 0 && r.Scores.InboundThreshold != c.Threshold {
		add("threshold " + itoa(r.Scores.InboundThreshold))
	}
	return out
}
