package parity

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/proxy/config/configtest"
	"gatehouse/rules"
	"gatehouse/rules/rulestest"
	"gatehouse/rules/rulestest/rulestesting"
)

// TestFound holds both engines to every difference that was ever found.
func TestFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		engine rules.Engine
		runner rulestest.Runner
	}{
		{"reference", Reference(), rulestest.ReferenceEngine},
		{"candidate", Candidate(), rulestest.AnyEngine},
	} {
		t.Run(c.name, func(t *testing.T) {
			ran := rulestesting.Run(t, c.engine, "testdata/found", rulestesting.Options{Runner: c.runner})
			if ran.Cases == 0 {
				t.Error("no case ran")
			}
		})
	}
}

// TestRuleFiles compares the engines on every case of every test file of the repository. Where engines are known to differ,
// each is held to what the file says of it.
func TestRuleFiles(t *testing.T) {
	files, err := rulestest.Files(repository)
	if err != nil {
		t.Fatal(err)
	}
	var stats Stats
	cases, known := 0, 0
	f := failures{t: t, engines: engines}
	e := engines()
	const every = 1 + slower/2 // loading is slow with the race detector
	for i, name := range files {
		if i%every != 0 {
			continue
		}
		if filepath.Base(name) == "wrong.rules" {
			continue // expects what does not come: for the tests of those who run test files
		}
		file, err := rulestest.ReadFile(name)
		var mistake *rulestest.ParseError
		if errors.As(err, &mistake) {
			t.Logf("%s is not a test file: %v", name, err)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		p := rules.Policy{Name: name, Sources: file.Sources, Limits: file.Limits}
		if file.Configuration != "" {
			if p, err = configtest.Lower(file); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if len(p.Sources) == 0 {
			continue // for a gateway, with a configuration of its own
		}
		pair, err := e.Load(p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i := range file.Cases {
			c := &file.Cases[i]
			cases++
			if c.Reference != nil {
				known++
				differences, _ := rulestest.CheckCase(pair.Candidate, c, rulestest.AnyEngine)
				if candidateIsReference(pair) {
					differences, _ = rulestest.CheckCase(pair.Candidate, c, rulestest.ReferenceEngine)
				}
				for _, d := range differences {
					t.Error(d)
				}
				continue
			}
			x := caseExchange(name, c)
			for _, mode := range rulestest.Modes() {
				comparison := pair.Compare(x, mode, 60, 5)
				stats.Add(x, comparison)
				if comparison.Agreement == Different {
					f.report(Case{Draft: ParseDraft(p), Exchange: x, Mode: mode}, comparison, 30*time.Second)
				}
			}
		}
		if err := pair.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d cases, %d of them known differences\n%s", cases, known, &stats)
	if cases < 300/(every*every) {
		t.Errorf("only %d cases", cases)
	}
}

// candidateIsReference says whether the candidate is not there yet, and another reference stands in for it.
func candidateIsReference(pair *Pair) bool {
	return fmt.Sprintf("%T", pair.Reference) == fmt.Sprintf("%T", pair.Candidate)
}

// caseExchange is the request of a case as rulestest.Judge runs it.
func caseExchange(file string, c *rulestest.Case) *Exchange {
	x := &Exchange{Name: file + ": " + c.Name, Body: c.Request.Body}
	x.Request = NewRequest(c.Request.Method, c.Request.Target, c.Request.Headers...)
	x.Request.Protocol = c.Request.Protocol
	if c.Given.Client.IsValid() {
		x.Request.Client = netip.AddrPortFrom(c.Given.Client, x.Request.Client.Port())
	}
	if !c.Given.Time.IsZero() {
		x.Request.Time = c.Given.Time
	}
	if c.Given.Traffic != "" {
		x.Request.Traffic = c.Given.Traffic
	}
	if c.Given.Application != "" {
		x.Request.Application = c.Given.Application
	}
	x.Response = &rules.Response{Status: 200, Protocol: "HTTP/1.1"}
	if c.Response != nil {
		x.Response, x.ResponseBody = &c.Response.Response, c.Response.Body
	}
	x.HeadersOnly = c.Given.HeadersOnly
	return x
}

// TestFile writes random cases as test files, which have to read back, and to expect what the reference answers.
func TestFile(t *testing.T) {
	directory := t.TempDir()
	written, refused := 0, 0
	e := Reference()
	for seed := range uint64(150 / slower) {
		c := Seeded(seed)
		found := Case{Draft: c.Policy(), Before: []*Exchange{c.Exchange()}, Exchange: c.Exchange()}
		set, err := e.Load(found.Draft.Policy())
		if err != nil {
			continue
		}
		text, err := File("a random case", found)
		if err != nil {
			refused++
			continue
		}
		name := filepath.Join(directory, "case.rules")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := rulestest.ReadFile(name)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		written++
		// What depends on an order may come out differently from one run to the next.
		for try := 0; ; try++ {
			var differences []rulestest.Difference
			for i := range file.Cases {
				wrong, _ := rulestest.CheckCase(set, &file.Cases[i], rulestest.ReferenceEngine)
				differences = append(differences, wrong...)
			}
			if len(differences) == 0 {
				break
			}
			const tries = 20
			if try == tries {
				t.Fatalf("seed %d: %v\n%s", seed, differences, text)
			}
		}
		if err := set.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if written < 4*refused || written == 0 {
		t.Errorf("%d cases could be written, %d could not", written, refused)
	}
}
