// Package proxytest runs real gateways in tests: sockets on 127.0.0.1, a configuration in a temporary directory, and
// the records that they write.
package proxytest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/event"
	"gatehouse/rules"
	"gatehouse/rules/crs"
	"gatehouse/rules/engine"
	"gatehouse/rules/policy"
)

// Gateway is a running gateway.
type Gateway struct {
	*proxy.Server
	// Dir holds gatehouse.yaml; other files that it names may be put there before Start by Files.
	Dir string
	// URL is the first listener's, such as http://127.0.0.1:41234.
	URL string

	t      testing.TB
	stdout lockedBuffer
}

// Options change how Start runs a gateway.
type Options struct {
	Files   map[string]string // written beside gatehouse.yaml
	Logger  *zap.Logger       // instead of the test's own
	Change  func(*proxy.Options)
	NoClose bool // the test calls Stop itself
}

// preamble makes every test's configuration one with its own ports and with records in memory.
const preamble = `version: 1
admin: { address: "127.0.0.1:0" }
logs: { access: stdout, events: stdout }
`

// plainListener is the listener of a configuration that has none.
const plainListener = `listeners:
  - { name: http, address: "127.0.0.1:0", trusted_hops: 0, h2c: true }
`

// Complete gives a whole configuration: the test's own text with ports, logs and, if it has no listeners, a listener.
func Complete(text string) string {
	if !strings.Contains(text, "listeners:") {
		text = plainListener + text
	}
	return preamble + text
}

// Start runs a gateway with the configuration text, to which admin, logs and, if it has none, a listener are added.
// The gateway is stopped at the end of the test.
func Start(t testing.TB, text string, opts ...Options) *Gateway {
	t.Helper()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	g := &Gateway{Dir: t.TempDir(), t: t}
	for name, content := range o.Files {
		g.Write(name, content)
	}
	g.Configure(text)
	if o.Logger == nil {
		o.Logger = zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel), zaptest.WrapOptions(zap.ErrorOutput(discard{})))
	}
	settings := proxy.Options{
		Load:   func() (*config.Loaded, error) { return Load(filepath.Join(g.Dir, "gatehouse.yaml")) },
		Logger: o.Logger, Stdout: &g.stdout, DrainTimeout: 10 * time.Second, DrainIdle: 50 * time.Millisecond,
		WatchInterval: 50 * time.Millisecond, Gateway: "test", Version: "test", Shared: Compiled(t),
	}
	if o.Change != nil {
		o.Change(&settings)
	}
	server, err := proxy.New(settings)
	if err != nil {
		t.Fatalf("start the gateway: %v", err)
	}
	g.Server = server
	server.Start()
	g.URL = "http://" + server.Addr("").String()
	if !o.NoClose {
		t.Cleanup(func() {
			http.DefaultClient.CloseIdleConnections()
			if err := server.Stop(context.Background()); err != nil {
				t.Errorf("stop the gateway: %v", err)
			}
		})
	}
	return g
}

// Compiled is an engine that keeps the default policy compiled, which takes a second, for all gateways of the process.
func Compiled(t testing.TB) *engine.Engine {
	t.Helper()
	c, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return c.engine
}

// compiledPolicy is an engine with a policy: as long as one is loaded, its patterns are kept.
type compiledPolicy struct {
	engine *engine.Engine
	set    rules.RuleSet
}

var compiled = sync.OnceValues(func() (c compiledPolicy, err error) {
	loaded, err := config.Options{CRSVersions: crs.Versions()}.LoadBytes("default.yaml", []byte("applications: [{ hosts: [a], upstream: \"http://192.0.2.1\" }]\n"))
	if err != nil {
		return c, err
	}
	text, err := proxy.Lower(loaded, &loaded.Config.Applications[0])
	if err != nil {
		return c, err
	}
	c.engine = engine.New(engine.Options{Target: policy.TargetOf})
	c.set, err = c.engine.Load(text)
	return c, err
})

// Load reads a configuration as the gateway's command does.
func Load(paths ...string) (*config.Loaded, error) {
	return config.Options{CRSVersions: crs.Versions()}.Load(paths...)
}

// Configure writes the configuration; a running gateway takes it up.
func (g *Gateway) Configure(text string) { g.Write("gatehouse.yaml", Complete(text)) }

// Write writes a file into the gateway's directory, in one step.
func (g *Gateway) Write(name, content string) {
	g.t.Helper()
	path := filepath.Join(g.Dir, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		g.t.Fatal(err)
	}
}

// AdminURL is the URL of a page of the admin listener.
func (g *Gateway) AdminURL(path string) string { return "http://" + g.AdminAddr().String() + path }

// Admin gets a page of the admin listener.
func (g *Gateway) Admin(path string) (int, string) {
	g.t.Helper()
	r, err := http.Get(g.AdminURL(path))
	if err != nil {
		g.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// Records are the lines written so far.
func (g *Gateway) Records() string { return g.stdout.String() }

// Events are the events written so far.
func (g *Gateway) Events() []*event.Event {
	g.t.Helper()
	var list []*event.Event
	for e, err := range event.ReadEvents(strings.NewReader(g.stdout.String()), nil) {
		if err != nil {
			g.t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// WaitEvents waits until there are at least n events and gives them all.
func (g *Gateway) WaitEvents(n int) []*event.Event {
	g.t.Helper()
	var list []*event.Event
	Eventually(g.t, "events", func() bool {
		list = g.Events()
		return len(list) >= n
	})
	return list
}

// Eventually waits up to 30 seconds for a condition.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// lockedBuffer is a buffer that one goroutine writes and others read.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// discard swallows what a logger cannot write once the test is over.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Sync() error                 { return nil }
