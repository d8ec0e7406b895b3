package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// equal compares configurations; what is private to a prefix's address is compared by its text.
var equal = cmp.Options{
	cmp.Comparer(func(a, b Prefix) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

// write makes a file below dir and gives its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// certificate makes a self-signed certificate and its key, as PEM.
func certificate(t *testing.T, notAfter time.Time) (cert, private string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, NotBefore: notAfter.AddDate(-2, 0, 0), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// good copies the examples that load to a directory with a certificate, and lists them.
func good(t *testing.T) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	cert, private := certificate(t, testOptions.Now().AddDate(1, 0, 0))
	write(t, dir, "shop.pem", cert)
	write(t, dir, "shop.key", private)
	write(t, dir, "partners.txt", read(t, "testdata/good/partners.txt"))
	sources, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, s := range append(sources, "testdata/long.yaml", "testdata/long-short.yaml") {
		files = append(files, write(t, dir, filepath.Base(s), read(t, s)))
	}
	return dir, files
}

func load(t *testing.T, paths ...string) *Loaded {
	t.Helper()
	l, err := testOptions.Load(paths...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLongForm shows that the values of the long form are the defaults: without them the same comes out.
func TestLongForm(t *testing.T) {
	dir, _ := good(t)
	long, short := load(t, filepath.Join(dir, "long.yaml")), load(t, filepath.Join(dir, "long-short.yaml"))
	if diff := cmp.Diff(long.Config, short.Config, equal); diff != "" {
		t.Errorf("the long form differs from the defaults (-long +defaults):\n%s", diff)
	}
	if long.Digest != short.Digest {
		t.Error("equal configurations have different digests")
	}
}

func TestShortForm(t *testing.T) {
	l, err := LoadBytes("gatehouse.yaml", []byte("applications:\n  - hosts: [Shop.Example.com]\n    upstream: http://internal-alb.example.internal\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := l.Config
	if len(c.Listeners) != 1 || c.Listeners[0].Address != ":8080" || *c.Listeners[0].TrustedHops != 1 {
		t.Errorf("listeners %+v", c.Listeners)
	}
	a := c.Applications[0]
	if a.Name != "shop.example.com" || a.Mode != ModeDetect || a.Policy != "default" || a.Upstream != "internal-alb.example.internal:80" {
		t.Errorf("application %+v", a)
	}
	if len(a.Routes) != 1 || a.Routes[0].Path != "/" || a.Routes[0].Upstream != a.Upstream || a.Routes[0].Mode != "" {
		t.Errorf("routes %+v", a.Routes)
	}
	if u := c.Upstreams[0]; u.Name != a.Upstream || u.URL != "" || len(u.URLs) != 1 {
		t.Errorf("upstream %+v", u)
	}
	if p := c.Policies[0]; p.Name != "default" || p.CRS.Paranoia != 1 || p.CRS.InboundThreshold != 5 {
		t.Errorf("policy %+v", p)
	}
}

// TestDefaults shows the defaults that depend on other keys.
func TestDefaults(t *testing.T) {
	_, files := good(t)
	c := load(t, files[0]).Config
	if filepath.Base(files[0]) != "everything.yaml" {
		t.Fatal("everything.yaml is not the first example")
	}
	hops := []int{}
	for _, x := range c.Listeners {
		hops = append(hops, *x.TrustedHops)
	}
	names := []string{}
	for _, u := range c.Upstreams {
		names = append(names, u.Name+" "+strings.Join(u.URLs, " "))
	}
	bodies := map[string]Body{}
	for _, r := range c.Applications[0].Routes {
		bodies[r.Path] = r.Body
	}
	redirected := c.Applications[4].Routes[0]
	got := map[string]any{
		"hops": hops, "upstreams": names, "bodies": bodies, "hosts": c.Applications[1].Hosts, "redirect": redirected.Upstream,
		"health": c.Upstreams[0].Health, "access": c.Logs.Access, "shared": []string{c.Applications[1].Upstream, c.Applications[2].Upstream, c.Applications[3].Upstream},
		"strict": c.Policies[1].CRS, "partners": c.Lists[1].Addresses[1].Address.String(),
	}
	want := map[string]any{
		"hops": []int{1, 2, 0},
		"upstreams": []string{
			"web https://web-1.internal https://10.1.2.3:8443", "local http://127.0.0.1:3000", "api.internal:80 http://other.internal",
			"same.internal:80 http://same.internal", "old.internal:8080 http://old.internal:8080", "api.internal:80-2 http://api.internal",
		},
		"bodies": map[string]Body{
			"/":      {MaxBytes: 10 << 20, InspectBytes: 1 << 20, Oversize: InspectPrefix},
			"/ws":    {},
			"/grpc":  {MaxBytes: 4 << 20},
			"/api":   {MaxBytes: 2 << 20, InspectBytes: 2 << 20, Oversize: InspectPrefix},
			"/api2":  {MaxBytes: 2 << 20, InspectBytes: 64 << 10, Oversize: OversizeReject},
			"/up":    {MaxBytes: 2 << 30, InspectBytes: 1 << 20, Oversize: InspectPrefix},
			"/small": {MaxBytes: 100 << 10, InspectBytes: 100 << 10, Oversize: InspectPrefix},
			"/old":   {MaxBytes: 10 << 20, InspectBytes: 1 << 20, Oversize: InspectPrefix},
			"/v1":    {MaxBytes: 10 << 20, InspectBytes: 1 << 20, Oversize: InspectPrefix},
			"/v2":    {MaxBytes: 10 << 20, InspectBytes: 1 << 20, Oversize: InspectPrefix},
		},
		"hosts":    []string{"*.xn--bcher-kva.example", "2001:db8::1", "192.0.2.1", "my_service"},
		"redirect": "",
		"health":   Health{Path: "/healthz?deep=1", Interval: Duration(10 * time.Second), Healthy: 2, Unhealthy: 3},
		"access":   Sink{To: "/var/log/gatehouse/access.log", MaxSize: 100 << 20, Keep: 3},
		"shared":   []string{"api.internal:80-2", "api.internal:80-2", "same.internal:80"},
		"strict":   c.Policies[1].CRS, "partners": "2001:db8:1::/48",
	}
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if crs := c.Policies[1].CRS; crs.Version != "4.25.0" || crs.Paranoia != 2 || crs.InboundThreshold != 4 || crs.OutboundThreshold != 4 || crs.Setup != "stock" {
		t.Errorf("inherited CRS settings %+v", crs)
	}
}

// TestPrint shows that what Print gives loads to the same configuration, and prints the same again.
func TestPrint(t *testing.T) {
	dir, files := good(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			first := load(t, file)
			text := Print(first.Config)
			again := load(t, write(t, filepath.Join(dir, "elsewhere"), "printed.yaml", string(text)))
			if diff := cmp.Diff(first.Config, again.Config, equal); diff != "" {
				t.Errorf("the printed file differs (-first +again):\n%s\n%s", diff, text)
			}
			if diff := cmp.Diff(string(text), string(Print(again.Config))); diff != "" {
				t.Errorf("printed again (-first +again):\n%s", diff)
			}
			if first.Digest != again.Digest {
				t.Error("the digest of the printed file differs")
			}
		})
	}
}

// TestJSON shows that a configuration survives JSON, in which the API carries it.
func TestJSON(t *testing.T) {
	_, files := good(t)
	c := load(t, files[0]).Config
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var again Config
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, &again, equal); diff != "" {
		t.Errorf("after JSON (-want +got):\n%s", diff)
	}
	if !strings.Contains(string(data), `"max_bytes":"10MiB"`) || !strings.Contains(string(data), `"first_byte":"48h"`) {
		t.Errorf("sizes or durations have no units: %s", data)
	}
}

func TestSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "conf/10-apps.yaml", "version: 1\napplications:\n  - { hosts: [a.example], upstream: web }\nlogs: { access: none }\n")
	write(t, dir, "conf/20-more.yml", "version: 1\napplications:\n  - { hosts: [b.example], upstream: web, mode: block }\nlogs: { events: ./events.log }\nupstreams:\n  - { name: web, url: \"http://web.internal\" }\n")
	write(t, dir, "conf/.hidden.yaml", "not: read")
	write(t, dir, "conf/sub/deeper.yaml", "not: read")
	l := load(t, filepath.Join(dir, "conf"))
	c := l.Config
	if len(c.Applications) != 2 || c.Applications[1].Mode != ModeBlock || c.Logs.Access.To != "none" || c.Logs.Events.To != filepath.Join(dir, "conf/events.log") {
		t.Errorf("merged: %s", Print(c))
	}
	for path, want := range map[string]string{
		"applications[1].mode":                 "conf/20-more.yml:3:48",
		"applications[1].routes[0].body":       "conf/20-more.yml:3:5",
		"upstreams[0].urls[0]":                 "conf/20-more.yml:6:5",
		"applications[0].hosts[0]":             "conf/10-apps.yaml:3:15",
		"listeners[0].address":                 "conf/10-apps.yaml:1:1",
		"applications[0].exclusions[2].target": "conf/10-apps.yaml:3:5",
	} {
		file, line, column := l.Position(path)
		if got := strings.TrimPrefix(Place{file, line, column}.String(), dir+"/"); got != want {
			t.Errorf("Position(%s) = %s, want %s", path, got, want)
		}
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "conf/10-apps.yaml"), filepath.Join(dir, "conf/20-more.yml")}, l.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "conf")}, l.Dirs); diff != "" {
		t.Errorf("directories (-want +got):\n%s", diff)
	}
	one := load(t, filepath.Join(dir, "conf/20-more.yml"), filepath.Join(dir, "conf/10-apps.yaml"))
	if one.Config.Applications[0].Name != "b.example" {
		t.Error("files are not joined in the order given")
	}
	if _, err := Load(filepath.Join(dir, "conf"), filepath.Join(dir, "conf/10-apps.yaml")); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("a file given twice: %v", err)
	}
	if _, err := Load(); err == nil {
		t.Error("loading nothing gives no error")
	}
}

// TestReferencedFiles shows that every file that is referred to is listed, covered by the digest and kept.
func TestReferencedFiles(t *testing.T) {
	build := func(dir string) string {
		cert, private := certificate(t, testOptions.Now().AddDate(1, 0, 0))
		for name, text := range map[string]string{
			"tls/shop.pem": cert, "tls/shop.key": private, "tls/both.pem": cert + private, "tls/ca.pem": cert,
			"page.html": "<p>no</p>", "office.txt": "198.51.100.0/24\n", "own.conf": "SecAction \"id:7,phase:1,pass,nolog\"\n",
		} {
			write(t, dir, name, text)
		}
		return write(t, dir, "gatehouse.yaml", `
listeners: [{ protocol: https }]
certificates:
  - { name: shop, cert_file: tls/shop.pem, key_file: tls/shop.key }
  - { name: both, secret: "file:tls/both.pem" }
upstreams: [{ name: web, url: "https://web.internal", tls: { ca_file: tls/ca.pem, client_certificate: both } }]
applications: [{ hosts: [a.example], upstream: web, replies: { html_file: page.html } }]
policies: [{ name: default, seclang_file: own.conf }]
lists: [{ name: office, file: office.txt }]
`)
	}
	dir := t.TempDir()
	file := build(dir)
	l := load(t, file)
	var names []string
	for _, f := range l.Files {
		if _, ok := l.Content(f); !ok {
			t.Errorf("no content of %s", f)
		}
		names = append(names, strings.TrimPrefix(f, dir+"/"))
	}
	want := []string{"gatehouse.yaml", "office.txt", "own.conf", "page.html", "tls/both.pem", "tls/ca.pem", "tls/shop.key", "tls/shop.pem"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	copied := t.TempDir()
	for _, name := range want {
		write(t, copied, name, read(t, filepath.Join(dir, name)))
	}
	write(t, copied, "gatehouse.yaml", "# moved\n"+read(t, file))
	if load(t, filepath.Join(copied, "gatehouse.yaml")).Digest != l.Digest {
		t.Error("the digest depends on the place or the comments of the file")
	}
	for _, change := range []struct{ name, text string }{
		{"page.html", "<p>never</p>"}, {"own.conf", "SecAction \"id:8,phase:1,pass,nolog\"\n"}, {"office.txt", "198.51.100.0/25\n"},
	} {
		before := read(t, filepath.Join(dir, change.name))
		write(t, dir, change.name, change.text)
		if load(t, file).Digest == l.Digest {
			t.Errorf("the digest does not cover %s", change.name)
		}
		write(t, dir, change.name, before)
	}
	_, other := certificate(t, testOptions.Now().AddDate(1, 0, 0))
	write(t, dir, "tls/shop.key", other)
	if _, err := testOptions.Load(file); err == nil || !strings.Contains(err.Error(), "private key does not match") {
		t.Errorf("a key of another certificate: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	old, oldKey := certificate(t, testOptions.Now().AddDate(0, 0, -1))
	early, earlyKey := certificate(t, testOptions.Now().AddDate(3, 0, 0))
	write(t, dir, "old.pem", old+oldKey)
	write(t, dir, "early.pem", early+earlyKey)
	l := load(t, write(t, dir, "g.yaml", `
certificates: [{ name: old, secret: "file:old.pem" }, { name: early, secret: "file:early.pem" }]
applications:
  - hosts: [a.example]
    upstream: http://a.internal
    routes: [{ traffic: [api], body: { oversize: reject } }]
    exclusions:
      - { name: past, rules: [942100], path: /x, targets: "json:a", reason: r, expires: 2026-06-30 }
      - { name: today, rules: [942100], path: /x, targets: "json:a", reason: r, expires: 2026-07-01 }
lists: [{ name: l, addresses: [{ address: 10.0.0.1, expires: 2020-01-01 }] }]
`))
	var got []string
	for _, w := range l.Warnings {
		got = append(got, strings.TrimPrefix(w.String(), dir+"/"))
	}
	want := []string{
		`g.yaml:2:1: policies[0].crs.version: is not set, so the newest embedded release 4.25.0 is used; name it to keep it when the program is upgraded`,
		`g.yaml:2:37: certificates[0].secret: the certificate expired on 2026-06-30`,
		`g.yaml:2:78: certificates[1].secret: the certificate is not valid before 2027-07-01`,
		`g.yaml:6:50: applications[0].routes[0].body.oversize: has no effect: inspect_bytes is max_bytes 10MiB, and longer bodies are refused always`,
		`g.yaml:8:89: applications[0].exclusions[0].expires: "past" expired on 2026-06-30 and has no effect`,
		`g.yaml:10:32: lists[0].addresses[0]: 10.0.0.1 expired on 2020-01-01 and has no effect`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestNoEffectWarnings: what never acts is said, with its place.
func TestNoEffectWarnings(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "own.conf", "# ours\nSecAction \"id:7,phase:4,pass,nolog,tag:'own/tag'\"\nSecAction \"id:8,phase:2,pass,nolog\"\n")
	l := load(t, write(t, dir, "g.yaml", `
policies:
  - { name: base, crs: { version: 4.25.0 }, seclang_file: own.conf }
  - name: own
    extends: base
    crs: { version: 4.25.0 }
    seclang: |
      SecRule RESPONSE_STATUS "@streq 500" \
        "id:20,phase:3,deny,status:503"
    exclusions:
      - { name: misspelt, tags: [attack-sqlli], hosts: [a.example], path: /x, targets: "json:a", reason: r }
applications:
  - name: quiet
    hosts: [a.example]
    upstream: http://a.internal
    policy: own
    routes: [{}, { path: /a, response: { inspect: false } }]
    exclusions:
      - { name: nosuch, tags: [attack-sqli, nosuchtag, own/tag], path: "/a/.*", targets: "json:a", reason: r }
      - { name: anchored, rules: [942100], path: "/a$", targets: "json:a", reason: r }
      - { name: pattern, rules: [942100], path: "/a/(b|c)", targets: "json:a", reason: r }
      - { name: class, rules: [942100], path: "/a/[0-9]/c", targets: "json:a", reason: r }
      - { name: fine, rules: [942100], path: "/a.b/*.*/**", targets: "json:a", reason: r }
      - { name: fine2, rules: [942100], path: "/odata/Items(1)/x+y", targets: "json:a", reason: r }
  - name: speaking
    hosts: [b.example]
    upstream: http://a.internal
    policy: own
    routes: [{}, { path: /a, response: { inspect: true } }]
  - name: off
    hosts: [c.example]
    mode: disabled
    upstream: http://a.internal
    policy: own
`))
	var got []string
	for _, w := range l.Warnings {
		got = append(got, strings.TrimPrefix(w.String(), dir+"/"))
	}
	want := []string{
		`g.yaml:8:7: policies[1].seclang: rule 20 is of phase 3 and never runs for application quiet: no route of it has response: { inspect: true }`,
		`g.yaml:11:34: policies[1].exclusions[0].tags[0]: has no effect: no rule has the tag "attack-sqlli"; did you mean "attack-sqli"?`,
		`g.yaml:19:45: applications[0].exclusions[0].tags[1]: has no effect: no rule has the tag "nosuchtag"`,
		`g.yaml:19:72: applications[0].exclusions[0].path: "/a/.*" looks like a regular expression, and "/.*" stands for itself here; * is one segment or a part of it, ** is the rest of the path`,
		`g.yaml:20:50: applications[0].exclusions[1].path: "/a$" looks like a regular expression, and "$" stands for itself here; * is one segment or a part of it, ** is the rest of the path`,
		`g.yaml:21:49: applications[0].exclusions[2].path: "/a/(b|c)" looks like a regular expression, and "|" stands for itself here; * is one segment or a part of it, ** is the rest of the path`,
		`g.yaml:22:47: applications[0].exclusions[3].path: "/a/[0-9]/c" looks like a regular expression, and "[0-9]" stands for itself here; * is one segment or a part of it, ** is the rest of the path`,
		`own.conf:2: policies[0].seclang_file: rule 7 is of phase 4 and never runs for application quiet: no route of it has response: { inspect: true }`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestProblemsError(t *testing.T) {
	_, err := LoadBytes("shop.yaml", []byte("applications:\n  - hosts: [a.example]\n    upstream: http://a.internal\n    mode: blok\n"))
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("error is %T", err)
	}
	want := "shop.yaml:4:11: applications[0].mode: \"blok\" is not a mode; did you mean \"block\"? (disabled, detect, block)\n1 problem; nothing was loaded"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if diff := cmp.Diff(Problem{Place{"shop.yaml", 4, 11}, "applications[0].mode", problems[0].Message}, problems[0]); diff != "" {
		t.Error(diff)
	}
}

// TestHugeAndOddFiles shows that what is no ordinary file is not read.
func TestHugeAndOddFiles(t *testing.T) {
	if _, err := Load("/dev/zero"); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a device: %v", err)
	}
	huge := write(t, t.TempDir(), "huge.yaml", "")
	if err := os.Truncate(huge, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(huge); err == nil || !strings.Contains(err.Error(), "longer than 64MiB") {
		t.Errorf("a huge file: %v", err)
	}
	deep := "policies: [{ name: a, rules: [{ name: b, then: block, when: " + strings.Repeat("{ not: ", 3000) + "{ path: /x }" + strings.Repeat("}", 3000) + " }] }]"
	if _, err := LoadBytes("deep.yaml", []byte(deep)); err == nil || !strings.Contains(err.Error(), "nested too deeply") {
		t.Errorf("a deep file: %v", err)
	}
}
