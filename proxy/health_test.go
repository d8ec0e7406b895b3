package proxy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/proxy/proxytest"
)

// health is a state of a gateway and what it answers in it.
type health struct {
	name string
	// enter brings a gateway into the state.
	enter func(t *testing.T) *proxytest.Gateway
	// live and ready are the answers of /livez and /readyz, "" if nobody answers.
	live, ready string
	// request is sent meanwhile, and answered with status: readiness is not what a request meets.
	request string
	status  int
}

var healths = []health{
	{"serving", func(t *testing.T) *proxytest.Gateway {
		return proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "block", ""))
	}, "200 ok", "200 ready", get("/"), 200},
	{"stale policy", func(t *testing.T) *proxytest.Gateway { // a file that is refused changes nothing
		g := proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "block", ""))
		g.Configure("nonsense: 1\n")
		if g.Reload() == nil {
			t.Fatal("the configuration was taken")
		}
		return g
	}, "200 ok", "200 ready", get("/"), 200},
	{"configuration gone", func(t *testing.T) *proxytest.Gateway {
		g := proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "block", ""))
		if err := os.Remove(filepath.Join(g.Dir, "gatehouse.yaml")); err != nil {
			t.Fatal(err)
		}
		if g.Reload() == nil {
			t.Fatal("nothing was taken for a configuration")
		}
		return g
	}, "200 ok", "200 ready", get("/"), 200},
	{"upstreams all down", func(t *testing.T) *proxytest.Gateway {
		return proxytest.Start(t, application("http://127.0.0.1:1", "block", ""))
	}, "200 ok", "200 ready", get("/"), 502},
	{"upstreams fail their health checks", func(t *testing.T) *proxytest.Gateway {
		g := proxytest.Start(t, strings.Replace(application("http://127.0.0.1:1", "block", ""), "allow_loopback: true", "allow_loopback: true, health: { path: /health, interval: 1s, unhealthy: 1 }", 1))
		proxytest.Eventually(t, "ejected", func() bool {
			a := g.Status().Upstreams[0].Addresses
			return len(a) == 1 && a[0].State == "unhealthy"
		})
		return g
	}, "200 ok", "200 ready", get("/"), 502},
	{"upstream without an address", func(t *testing.T) *proxytest.Gateway {
		return proxytest.Start(t, application("http://nowhere.invalid", "block", ""), proxytest.Options{Change: func(o *proxyOptions) {
			hosts := filepath.Join(t.TempDir(), "hosts")
			if err := os.WriteFile(hosts, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			o.Resolver.Servers, o.Resolver.Hosts, o.Resolver.Timeout = []string{"127.0.0.1:1"}, hosts, 100*time.Millisecond
		}})
	}, "200 ok", "200 ready", get("/"), 502},
	{"overloaded", func(t *testing.T) *proxytest.Gateway {
		upstream, reached, release := holding(t)
		g := proxytest.Start(t, application(upstream.URL, "block", ""), admission(proxy.Admission{Requests: 1}))
		hold(t, g, reached, release, get("/hold"))
		return g
	}, "200 ok", "200 ready", get("/"), 503},
	{"no room for bodies", func(t *testing.T) *proxytest.Gateway {
		upstream, reached, release := holding(t)
		g := proxytest.Start(t, application(upstream.URL, "block", ""), admission(proxy.Admission{InflightBytes: 1000}))
		hold(t, g, reached, release, post("/hold", "text/plain", strings.Repeat("x", 900)))
		return g
	}, "200 ok", "200 ready", post("/", "text/plain", strings.Repeat("x", 900)), 503},
	{"disk full for bodies", func(t *testing.T) *proxytest.Gateway {
		temporary := t.TempDir()
		t.Setenv("TMPDIR", temporary)
		g := proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "block", ""))
		if err := os.RemoveAll(filepath.Join(temporary, fmt.Sprintf("gatehouse-spill-%d", os.Geteuid()))); err != nil {
			t.Fatal(err)
		}
		return g
	}, "200 ok", "200 ready", post("/", "text/plain", strings.Repeat("x", 600<<10)), 503},
	{"disk full for records", func(t *testing.T) *proxytest.Gateway {
		text := proxytest.Complete(application(proxytest.NewUpstream(t).URL, "block", ""))
		dir := t.TempDir()
		file := filepath.Join(dir, "full.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(text, "events: stdout", "events: records/events.log", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(dir, "records"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/full", filepath.Join(dir, "records", "events.log")); err != nil {
			t.Fatal(err)
		}
		g := proxytest.Start(t, "applications: []\n", proxytest.Options{Change: func(o *proxyOptions) { o.Load = loadFile(file) }})
		proxytest.Raw(t, g.URL, get("/?q=%3Cscript%3Ealert(1)%3C/script%3E"))
		proxytest.Eventually(t, "a record that was not written", func() bool {
			_, page := g.Admin("/metrics")
			return strings.Contains(page, `gatehouse_records_dropped_total{cause="write_error",record="event"}`)
		})
		return g
	}, "200 ok", "200 ready", get("/"), 200},
	{"certificate expired", func(t *testing.T) *proxytest.Gateway {
		certificate, key := expired(t)
		return proxytest.Start(t, `listeners:
  - { name: http, address: "127.0.0.1:0", trusted_hops: 0 }
  - { name: secure, address: "127.0.0.1:0", trusted_hops: 0, protocol: https }
certificates: [{ name: shop, cert_file: shop.pem, key_file: shop.key }]
`+application(proxytest.NewUpstream(t).URL, "block", ""), proxytest.Options{Files: map[string]string{"shop.pem": certificate, "shop.key": key}})
	}, "200 ok", "200 ready", get("/"), 200},
	{"engine broken", func(t *testing.T) *proxytest.Gateway {
		return proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "block", ""), proxytest.Options{Change: func(o *proxyOptions) {
			o.Engine = faulty{proxytest.Compiled(t)}
		}})
	}, "200 ok", "200 ready", get("/fail/headers"), 503},
	{"draining", func(t *testing.T) *proxytest.Gateway {
		g := proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "block", ""), proxytest.Options{
			NoClose: true, Change: func(o *proxyOptions) { o.DrainDelay = time.Minute },
		})
		ctx, cancel := context.WithCancel(context.Background())
		stopped := make(chan error)
		go func() { stopped <- g.Stop(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
		proxytest.Eventually(t, "draining", func() bool { return g.Status().Draining })
		return g
	}, "200 ok", "503 draining", get("/"), 200},
	{"stopped", func(t *testing.T) *proxytest.Gateway {
		g := proxytest.Start(t, application(proxytest.NewUpstream(t).URL, "block", ""), proxytest.Options{NoClose: true})
		if err := g.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		return g
	}, "", "", "", 0},
}

// hold sends a request that the upstream answers at the end of the test, and waits until it is there.
func hold(t *testing.T, g *proxytest.Gateway, reached, release chan struct{}, request string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		proxytest.Raw(t, g.URL, request)
	}()
	t.Cleanup(func() {
		close(release)
		<-done
	})
	<-reached
}

// expired is a certificate whose time is over.
func expired(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example.com"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// TestHealth brings a gateway into every state and asks how it is: only what makes this instance unable to serve fails
// readiness, and it says so on the admin listener as on the health path.
func TestHealth(t *testing.T) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(t *testing.T, url string) string {
		response, err := client.Get(url)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil {
			return ""
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		return fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(text)))
	}
	for _, tt := range healths {
		t.Run(tt.name, func(t *testing.T) {
			g := tt.enter(t)
			if got := ask(t, g.AdminURL("/livez")); got != tt.live {
				t.Errorf("/livez: %q, want %q", got, tt.live)
			}
			if got := ask(t, g.AdminURL("/readyz")); got != tt.ready {
				t.Errorf("/readyz: %q, want %q", got, tt.ready)
			}
			if got := ask(t, g.URL+"/.gatehouse/ready"); got != tt.ready {
				t.Errorf("health path: %q, want %q", got, tt.ready)
			}
			if tt.request == "" {
				return
			}
			if status, text := exchange(t, g.URL, tt.request); status != tt.status {
				t.Errorf("a request: %d, want %d: %s", status, tt.status, text)
			}
		})
	}
	t.Run("no policy", func(t *testing.T) { // a gateway that has none does not begin to serve
		reserved, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := reserved.Addr().String()
		reserved.Close()
		file := filepath.Join(t.TempDir(), "gatehouse.yaml")
		text := "admin: { address: \"" + address + "\" }\n" + application("http://127.0.0.1:1", "block", "    policy: missing\n")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := proxy.New(proxy.Options{Load: loadFile(file), Logger: zap.NewNop()}); err == nil {
			t.Error("a gateway without a policy")
		}
		if got := ask(t, "http://"+address+"/livez"); got != "" {
			t.Errorf("/livez: %s", got)
		}
	})
}

// loadFile loads one file, whichever configuration the gateway was started with.
func loadFile(file string) func() (*config.Loaded, error) {
	return func() (*config.Loaded, error) { return proxytest.Load(file) }
}
