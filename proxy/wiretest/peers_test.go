//go:build peers

package wiretest_test

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/proxytest"
	"gatehouse/proxy/wiretest"
)

// peer is another gateway: a configuration and the command that runs it in the foreground.
type peer struct {
	name    string
	config  string // with {listen}, {upstream} and {dir} replaced
	command []string
}

var peers = []peer{
	{"nginx", `daemon off; master_process off; worker_processes 1; pid {dir}/pid; error_log {dir}/errors;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {
    listen {listen};
    location / { proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Connection ""; }
  }
}
`, []string{"nginx", "-c", "{dir}/config"}},
	{"haproxy", `global
  maxconn 256
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend front
  bind {listen}
  default_backend back
backend back
  server recorder {upstream}
`, []string{"haproxy", "-db", "-f", "{dir}/config"}},
	{"apache2", `ServerRoot {dir}
ServerName localhost
PidFile {dir}/pid
ErrorLog {dir}/errors
Mutex file:{dir}
User www-data
Group www-data
Listen {listen}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule unique_id_module /usr/lib/apache2/modules/mod_unique_id.so
LoadModule security2_module /usr/lib/apache2/modules/mod_security2.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
SecRuleEngine On
SecRequestBodyAccess On
ProxyPreserveHost On
ProxyPass / http://{upstream}/
`, []string{"apache2", "-DFOREGROUND", "-f", "{dir}/config"}},
	{"caddy", `{
  admin off
  auto_https off
}
http://:{port} {
  bind 127.0.0.1
  reverse_proxy {upstream}
}
`, []string{"caddy", "run", "--adapter", "caddyfile", "--config", "{dir}/config"}},
	{"traefik", `entryPoints: { web: { address: "{listen}" } }
providers: { file: { filename: "{dir}/routes.yaml" } }
`, []string{"traefik", "--configFile={dir}/config.yaml"}},
}

// TestPeers sends the cases to other gateways and prints what came of them. It asserts nothing about them: they are
// measured as they come, without any hardening that they could be given.
func TestPeers(t *testing.T) {
	cases := peerCases(t)
	t.Logf("%d requests each; refused: nothing reached the upstream; canonical: all that did was; smuggled: the request behind one that is to be refused did", len(cases))
	gatehouse := start(t)
	measure(t, "gatehouse", gatehouse.server, cases)
	recorder := newRecorder(t)
	measure(t, "httputil.ReverseProxy", &wiretest.Server{Recorder: recorder, Dial: dialer(reverseProxy(t, recorder.Addr()))}, cases)
	for _, p := range peers {
		if _, err := exec.LookPath(p.command[0]); err != nil {
			t.Logf("%-22s is not installed", p.name)
			continue
		}
		recorder := newRecorder(t)
		address := runPeer(t, p, recorder.Addr())
		measure(t, p.name, &wiretest.Server{Recorder: recorder, Dial: dialer(address)}, cases)
	}
}

// peerCases are our own cases and the collection's, as bytes.
func peerCases(t *testing.T) [][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := wiretest.Load(files...)
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for _, c := range cases {
		list = append(list, c.For(hosts[0]).Send)
	}
	for _, c := range readDesync(t) {
		list = append(list, []byte(c.head(hosts[0])+c.bodies()[0]))
	}
	return list
}

func newRecorder(t *testing.T) *wiretest.Recorder {
	t.Helper()
	recorder, err := wiretest.NewRecorder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(recorder.Close)
	return recorder
}

func dialer(address string) func(string) (net.Conn, error) {
	return func(string) (net.Conn, error) { return net.Dial("tcp", address) }
}

// reverseProxy is Go's own, as its documentation shows it.
func reverseProxy(t *testing.T, upstream string) string {
	t.Helper()
	transport := &http.Transport{}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Transport: transport, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: upstream})
			r.Out.Host = r.In.Host
		},
	})
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.Listener.Addr().String()
}

// runPeer starts a peer, waits until it listens, and stops it at the end of the test.
func runPeer(t *testing.T, p peer, upstream string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { // some change their user
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	fill := strings.NewReplacer("{dir}", dir, "{listen}", address, "{port}", port, "{upstream}", upstream)
	routes := fill.Replace("http: { routers: { all: { rule: 'PathPrefix(`/`)', service: up } }, services: { up: { loadBalancer: { servers: [{ url: 'http://{upstream}' }] } } } }\n")
	for name, text := range map[string]string{"config": fill.Replace(p.config), "config.yaml": fill.Replace(p.config), "routes.yaml": routes} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := slices.Clone(p.command)
	for i := range args {
		args[i] = fill.Replace(args[i])
	}
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(args[0], args[1:]...)
	command.Stdout, command.Stderr = output, output
	command.Env = append(os.Environ(), "HOME="+dir)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Signal(os.Interrupt)
		done := time.AfterFunc(5*time.Second, func() { command.Process.Kill() })
		command.Wait()
		done.Stop()
		output.Close()
	})
	proxytest.Eventually(t, p.name+" to listen", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}

// measure sends all cases and prints what came of them.
func measure(t *testing.T, name string, s *wiretest.Server, cases [][]byte) {
	t.Helper()
	refused, canonical, smuggled := 0, 0, 0
	problems := map[string]int{}
	for _, sent := range cases {
		out, err := s.Send("", sent, 100*time.Millisecond)
		if err != nil {
			t.Errorf("%s: %v: %.200q", name, err, sent)
			return
		}
		problem := ""
		for _, r := range out.Upstream {
			if problem == "" {
				problem = r.Problem
			}
			if r.Target == "/smuggled" {
				smuggled++
			}
		}
		switch {
		case len(out.Upstream) == 0:
			refused++
		case problem == "":
			canonical++
		default:
			problems[problem]++
			if os.Getenv("PEERS_VERBOSE") != "" {
				t.Logf("%s: %s\n    sent %.300q\n    got  %.300q", name, problem, sent, out.Upstream[0].Raw)
			}
		}
	}
	bad := len(cases) - refused - canonical
	t.Logf("%-22s refused %4d, canonical %4d, not canonical %4d; smuggled %4d", name, refused, canonical, bad, smuggled)
}
