package managed

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules/crs"
	"gatehouse/rules/revision"
)

// awayDepot is a directory that can be away.
type awayDepot struct {
	revision.Dir
	away atomic.Bool
}

func (d *awayDepot) Get(ctx context.Context, name string, most int64) ([]byte, string, error) {
	if d.away.Load() {
		return nil, "", errors.New("the bucket is away")
	}
	return d.Dir.Get(ctx, name, most)
}

// polledGateway is a gateway that serves a polled configuration.
type polledGateway struct {
	*proxy.Server
	end func()
}

func runPolled(t *testing.T, o PolledOptions) (*polledGateway, error) {
	t.Helper()
	p, err := NewPolled(t.Context(), o)
	if err != nil {
		return nil, err
	}
	settings := proxy.Options{Load: p.Load, Logger: zap.NewNop(), Shared: proxytest.Compiled(t), DrainIdle: time.Millisecond, WatchInterval: time.Hour}
	s, err := proxy.New(settings)
	if err != nil && p.Fallback(err) {
		s, err = proxy.New(settings)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	s.Start()
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := p.Watch(ctx, s.Reload); err != nil {
			t.Error(err)
		}
	})
	g := &polledGateway{Server: s}
	g.end = sync.OnceFunc(func() {
		cancel()
		watching.Wait()
		http.DefaultClient.CloseIdleConnections()
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(g.end)
	return g, nil
}

func (g *polledGateway) get(t *testing.T) string {
	t.Helper()
	response, err := http.Get("http://" + g.Addr("").String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestPolled: a configuration in a bucket is followed, a bad one is left, and the last good one is served while the bucket is away
// or holds nothing that can be served.
func TestPolled(t *testing.T) {
	depot := &awayDepot{Dir: revision.Dir(t.TempDir())}
	put := func(text string) {
		t.Helper()
		_, tag, _ := depot.Dir.Get(t.Context(), "g.yaml", 1<<20)
		if err := depot.Replace(t.Context(), "g.yaml", tag, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	configured := func(upstream string) string { return string(configFor(upstream)[config.BundleMain]) }
	first, second := configured(upstreamOf(t, "first")), configured(upstreamOf(t, "second"))
	o := PolledOptions{
		Depot: depot, Name: "g.yaml", URL: "s3://bucket/g.yaml", Config: config.Options{CRSVersions: crs.Versions()}, Logger: zap.NewNop(),
		StateDir: filepath.Join(t.TempDir(), "state"), Every: 20 * time.Millisecond,
	}
	if _, err := runPolled(t, o); err == nil {
		t.Fatal("it serves nothing")
	}
	put(first)
	g, err := runPolled(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.get(t); got != "first" {
		t.Errorf("it serves %q", got)
	}
	put(second)
	eventually(t, "the second one is served", func() bool { return g.get(t) == "second" })
	put(strings.Replace(first, "mode: block", "mode: blok", 1))
	eventually(t, "the bad one is refused", func() bool {
		r := g.Status().LastReload
		return r != nil && strings.Contains(r.Error, `"blok" is not a mode`)
	})
	if got := g.get(t); got != "second" {
		t.Errorf("after a bad one it serves %q", got)
	}
	g.end()
	for _, x := range []struct {
		name  string
		spoil func()
	}{
		{"the bucket is away", func() { depot.away.Store(true) }},
		{"the bucket holds a bad one", func() { depot.away.Store(false) }},
		{"it loads and cannot be built", func() {
			put(strings.Replace(first, "{ name: default,", "{ name: default, seclang: \"SecRule ARGS \\\"@rx (\\\" \\\"id:1,phase:2,deny\\\"\",", 1))
		}},
	} {
		x.spoil()
		again, err := runPolled(t, o)
		if err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
		if got := again.get(t); got != "second" {
			t.Errorf("%s: it serves %q", x.name, got)
		}
		again.end()
	}
	depot.away.Store(true)
	o.URL = "s3://bucket/other.yaml"
	if _, err := runPolled(t, o); err == nil || !strings.Contains(err.Error(), "away") {
		t.Errorf("another configuration is served for it: %v", err)
	}
}
