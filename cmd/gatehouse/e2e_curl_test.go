//go:build e2e

package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/shop"
	"gatehouse/proxy/event"
)

const attackQuery = "/search?q=%3Cscript%3Ealert(1)%3C/script%3E"

// curlReply is what curl made of a response.
type curlReply struct {
	status  string
	version string // 1.0, 1.1, 2
	header  http.Header
	body    []byte
	verbose string // what -v and -sS print
}

// curl runs curl in the gateway's directory and wants it to succeed.
func (p *process) curl(t *testing.T, args ...string) curlReply {
	t.Helper()
	reply, err := p.tryCurl(t, args...)
	if err != nil {
		t.Fatalf("curl %q: %v\n%s", args, err, reply.verbose)
	}
	return reply
}

func (p *process) tryCurl(t *testing.T, args ...string) (curlReply, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	head, body := filepath.Join(dir, "head"), filepath.Join(dir, "body")
	cmd := exec.CommandContext(ctx, need(t, "curl", "curl"), append([]string{
		"-q", "-sS", "--noproxy", "*", "-D", head, "-o", body, "-w", "%{http_code} %{http_version}",
	}, args...)...)
	cmd.Dir = p.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	p.curls++
	err := cmd.Run()
	reply := curlReply{verbose: stderr.String()}
	reply.status, reply.version, _ = strings.Cut(stdout.String(), " ")
	if err != nil {
		return reply, err
	}
	if reply.body, err = os.ReadFile(body); err != nil && !os.IsNotExist(err) {
		return reply, err
	}
	text, err := os.ReadFile(head)
	if err != nil {
		return reply, err
	}
	// The last head, after those of informational replies.
	heads := strings.SplitAfter(strings.TrimRight(string(text), "\r\n")+"\r\n\r\n", "\r\n\r\n")
	last := heads[len(heads)-2]
	_, fields, _ := strings.Cut(last, "\r\n")
	reply.header, err = readHeader(fields)
	return reply, err
}

func readHeader(text string) (http.Header, error) {
	r, err := http.ReadResponse(bufio.NewReader(strings.NewReader("HTTP/1.1 204 No Content\r\n"+text)), nil)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return r.Header, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// testCurl sends clean requests of many shapes, that must arrive as they were sent, and an attack in each, that must not.
func (e *endToEnd) testCurl(t *testing.T) {
	need(t, "curl", "curl")
	p := e.start(t, shopConfig, "-drain-delay", "0s")

	note, attackNote := `{"note": "leave it at the door"}`, `{"note": "<script>alert(1)</script>"}`
	download, err := io.ReadAll(shop.NewDownload(2 << 20))
	if err != nil {
		t.Fatal(err)
	}
	p.write("note.json.gz", gzipped(t, note))
	p.write("attack.json.gz", gzipped(t, attackNote))
	p.write("picture.bin", download)

	echo := p.url + "/echo"
	for _, tt := range []struct {
		name    string
		args    []string
		status  string // 200 if empty
		version string // 1.1 if empty
		method  string // of an echoed request
		body    []byte // of an echoed request, as it was sent
		check   func(*testing.T, curlReply)
		attack  []string // the same with an attack; answered with 403
	}{
		{
			name: "page", args: []string{p.url + "/search?q=teapot"}, attack: []string{p.url + attackQuery},
			check: func(t *testing.T, r curlReply) {
				if _, direct := p.get(p.addresses["SHOP"] + "/search?q=teapot"); direct != string(r.body) {
					t.Errorf("the page is not the shop's: %d bytes, want %d", len(r.body), len(direct))
				}
			},
		},
		{name: "HTTP/1.0", args: []string{"--http1.0", p.url + "/api/products"}, version: "1", attack: []string{"--http1.0", p.url + attackQuery}},
		{name: "h2c with prior knowledge", args: []string{"--http2-prior-knowledge", p.url + "/search?q=teapot"}, version: "2", attack: []string{"--http2-prior-knowledge", p.url + attackQuery}},
		{
			name: "h2c POST", args: []string{"--http2-prior-knowledge", "-H", "Content-Type: application/json", "-d", note, echo}, version: "2", method: "POST", body: []byte(note),
			attack: []string{"--http2-prior-knowledge", "-H", "Content-Type: application/json", "-d", attackNote, echo},
		},
		{
			name: "form", args: []string{"-d", "email=ann@example.com&password=correct+horse", echo}, method: "POST", body: []byte("email=ann@example.com&password=correct+horse"),
			attack: []string{"-d", "email=ann@example.com' OR 1=1--&password=x", echo},
		},
		{
			name: "PUT", args: []string{"-X", "PUT", "-H", "Content-Type: application/json", "-d", note, echo}, method: "PUT", body: []byte(note),
			attack: []string{"-X", "PUT", "-H", "Content-Type: application/json", "-d", attackNote, echo},
		},
		{
			name: "PATCH", args: []string{"-X", "PATCH", "-H", "Content-Type: application/json", "-d", note, echo}, method: "PATCH", body: []byte(note),
			attack: []string{"-X", "PATCH", "-H", "Content-Type: application/json", "-d", attackNote, echo},
		},
		{name: "DELETE", args: []string{"-X", "DELETE", echo + "?order=7"}, method: "DELETE", body: []byte{}, attack: []string{"-X", "DELETE", p.url + "/echo?order=7'%20OR%201=1--"}},
		{
			name: "gzip", args: []string{"-H", "Content-Type: application/json", "-H", "Content-Encoding: gzip", "--data-binary", "@note.json.gz", echo}, method: "POST", body: gzipped(t, note),
			attack: []string{"-H", "Content-Type: application/json", "-H", "Content-Encoding: gzip", "--data-binary", "@attack.json.gz", echo},
		},
		{
			name: "chunked", args: []string{"-H", "Transfer-Encoding: chunked", "-H", "Content-Type: application/json", "-d", note, echo}, method: "POST", body: []byte(note),
			attack: []string{"-H", "Transfer-Encoding: chunked", "-H", "Content-Type: application/json", "-d", attackNote, echo},
		},
		{
			name: "Expect: 100-continue", args: []string{"-v", "-H", "Content-Type: application/octet-stream", "--data-binary", "@picture.bin", echo}, method: "POST", body: download,
			check: func(t *testing.T, r curlReply) {
				for _, want := range []string{"> Expect: 100-continue", "< HTTP/1.1 100 Continue"} {
					if !strings.Contains(r.verbose, want) {
						t.Errorf("%q is not in\n%s", want, r.verbose)
					}
				}
			},
			attack: []string{"-H", "Content-Type: application/octet-stream", "--data-binary", "@picture.bin", echo + "?q=%3Cscript%3Ealert(1)%3C/script%3E"},
		},
		{
			name: "upload", args: []string{"-H", "Accept: application/json", "-F", "picture=@picture.bin;type=image/png", "-F", "caption=our kettle", p.url + "/upload"},
			check: func(t *testing.T, r curlReply) {
				var got struct{ Parts []shop.UploadedPart }
				if err := json.Unmarshal(r.body, &got); err != nil || len(got.Parts) != 2 {
					t.Fatalf("%v: %s", err, r.body)
				}
				if picture := got.Parts[0]; picture.SHA256 != digest(download) || picture.File != "picture.bin" || picture.ContentType != "image/png" {
					t.Errorf("picture: %+v", picture)
				}
				if caption := got.Parts[1]; caption.SHA256 != digest([]byte("our kettle")) {
					t.Errorf("caption: %+v", caption)
				}
			},
			attack: []string{"-F", "picture=@note.json.gz;type=image/png", "--form-string", "caption=<script>alert(1)</script>", p.url + "/upload"},
		},
		{
			name: "HEAD", args: []string{"-I", p.url + "/download?bytes=100000"}, attack: []string{"-I", p.url + attackQuery},
			check: func(t *testing.T, r curlReply) {
				if got := r.header.Get("Content-Length"); got != "100000" {
					t.Errorf("Content-Length %q", got)
				}
			},
		},
		{
			name: "range", args: []string{"-r", "70000-70099", p.url + "/download?bytes=100000"}, status: "206", attack: []string{"-r", "0-9", p.url + attackQuery},
			check: func(t *testing.T, r curlReply) {
				if !bytes.Equal(r.body, download[70000:70100]) || r.header.Get("Content-Range") != "bytes 70000-70099/100000" {
					t.Errorf("%d bytes, Content-Range %q", len(r.body), r.header.Get("Content-Range"))
				}
			},
		},
		{
			name: "download over h2c", args: []string{"--http2-prior-knowledge", p.url + "/download?bytes=2097152"}, version: "2",
			check: func(t *testing.T, r curlReply) {
				if !bytes.Equal(r.body, download) {
					t.Errorf("%d bytes are not those of the shop", len(r.body))
				}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := p.curl(t, tt.args...)
			if want := or(tt.status, "200"); r.status != want || r.version != or(tt.version, "1.1") {
				t.Fatalf("got %s by HTTP/%s, want %s by HTTP/%s\n%.500s", r.status, r.version, want, or(tt.version, "1.1"), r.body)
			}
			if tt.body != nil {
				var got shop.Echo
				if err := json.Unmarshal(r.body, &got); err != nil {
					t.Fatalf("%v: %s", err, r.body)
				}
				if got.Method != tt.method || got.Body.SHA256 != digest(tt.body) {
					t.Errorf("the upstream received %s with %+v, want %s with %d bytes", got.Method, got.Body, tt.method, len(tt.body))
				}
			}
			if tt.check != nil {
				tt.check(t, r)
			}
			if tt.attack == nil {
				return
			}
			refused := p.curl(t, tt.attack...)
			incident := refused.header.Get("X-Gatehouse-Incident")
			if refused.status != "403" || incident == "" {
				t.Fatalf("attack: got %s, incident %q\n%.500s", refused.status, incident, refused.body)
			}
			if got := p.event(incident); got.Verdict != event.Block || got.Reason != event.CRSScore {
				t.Errorf("event %s: %s %s", incident, got.Verdict, got.Reason)
			}
		})
	}

	t.Run("too large", func(t *testing.T) {
		p.write("large.bin", make([]byte, 11<<20))
		r := p.curl(t, "-v", "--data-binary", "@large.bin", "-H", "Content-Type: application/octet-stream", echo)
		incident := r.header.Get("X-Gatehouse-Incident")
		if r.status != "413" || strings.Contains(r.verbose, "100 Continue") {
			t.Fatalf("%s\n%s", r.status, r.verbose)
		}
		if got := p.event(incident); got.Reason != event.BodyTooLarge || !strings.Contains(got.Detail, "max_bytes") {
			t.Errorf("event %s: %s, %s", incident, got.Reason, got.Detail)
		}
	})
	t.Run("one connection", func(t *testing.T) {
		// Three requests, of which the second is refused, on one connection.
		out, err := exec.CommandContext(t.Context(), "curl", "-q", "-sS", "--noproxy", "*", "-w", "%{http_code} %{num_connects}\n",
			"-o", os.DevNull, p.url+"/", "-o", os.DevNull, p.url+attackQuery, "-o", os.DevNull, p.url+"/").CombinedOutput()
		if err != nil || string(out) != "200 1\n403 0\n200 0\n" {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("page for people", func(t *testing.T) {
		r := p.curl(t, "-H", "Accept: text/html", p.url+attackQuery)
		if incident := r.header.Get("X-Gatehouse-Incident"); incident == "" || !bytes.Contains(r.body, []byte(incident)) || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
			t.Errorf("%v\n%s", r.header, r.body)
		}
	})
	p.eventually("one access record a request", func() bool { return strings.Count(p.read("access.jsonl"), `"record":"access"`) == p.curls+3 })
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// testCurlTLS connects by names with certificates of their own.
func (e *endToEnd) testCurlTLS(t *testing.T) {
	need(t, "curl", "curl")
	authority := newAuthority(t)
	other := newAuthority(t)
	p := e.prepare(t)
	for name, host := range map[string]string{"a": "a.example.com", "b": "*.b.example.com"} {
		cert, key := authority.issue(t, host)
		p.write(name+".pem", []byte(cert))
		p.write(name+".key", []byte(key))
	}
	p.write("ca.pem", []byte(authority.pem))
	p.write("other.pem", []byte(other.pem))
	p.launch(e, strings.Replace(shopConfig, "admin:", `  - { name: https, address: "${HTTPS}", protocol: https, trusted_hops: 0 }
certificates:
  - { name: a, cert_file: a.pem, key_file: a.key }
  - { name: b, cert_file: b.pem, key_file: b.key }
admin:`, 1), "-drain-delay", "0s")

	_, port, err := net.SplitHostPort(p.addresses["HTTPS"])
	if err != nil {
		t.Fatal(err)
	}
	at := func(host, path string) []string {
		return []string{"--resolve", host + ":" + port + ":127.0.0.1", "https://" + host + ":" + port + path}
	}
	subject := regexp.MustCompile(`subject: CN=(\S+)`)
	for _, tt := range []struct {
		name, host, subject, version string
		args                         []string
	}{
		{"HTTP/2 by ALPN", "a.example.com", "a.example.com", "2", []string{"--http2"}},
		{"HTTP/1.1 by ALPN", "a.example.com", "a.example.com", "1.1", []string{"--http1.1"}},
		{"no ALPN", "a.example.com", "a.example.com", "1.1", []string{"--no-alpn"}},
		{"wildcard certificate", "x.b.example.com", "*.b.example.com", "2", []string{"--http2"}},
		{"another name of it", "y.b.example.com", "*.b.example.com", "2", nil},
		{"TLS 1.2", "x.b.example.com", "*.b.example.com", "2", []string{"--tls-max", "1.2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-v", "--cacert", "ca.pem"}, tt.args...)
			r := p.curl(t, append(args, at(tt.host, "/search?q=teapot")...)...)
			if r.status != "200" || r.version != tt.version {
				t.Errorf("%s by HTTP/%s, want HTTP/%s", r.status, r.version, tt.version)
			}
			if m := subject.FindStringSubmatch(r.verbose); m == nil || m[1] != tt.subject {
				t.Errorf("certificate %q, want %s", m, tt.subject)
			}
			refused := p.curl(t, append(args, at(tt.host, attackQuery)...)...)
			if refused.status != "403" || refused.header.Get("X-Gatehouse-Incident") == "" {
				t.Errorf("attack: %s", refused.status)
			}
		})
	}
	for _, tt := range []struct {
		name, host, ca string
	}{
		{"a name without a certificate", "c.example.com", "ca.pem"},
		{"another authority", "a.example.com", "other.pem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r, err := p.tryCurl(t, append([]string{"--cacert", tt.ca}, at(tt.host, "/")...)...); err == nil {
				t.Errorf("curl was answered with %s", r.status)
			}
		})
	}
	t.Run("a renewed certificate", func(t *testing.T) {
		cert, key := authority.issue(t, "a.example.com")
		serial := func() string {
			c, err := tls.Dial("tcp", p.addresses["HTTPS"], &tls.Config{ServerName: "a.example.com", RootCAs: authority.pool})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
		}
		before := serial()
		p.write("a.pem", []byte(cert))
		p.write("a.key", []byte(key))
		p.eventually("the new certificate is served without a restart", func() bool { return serial() != before })
		if r := p.curl(t, append([]string{"--cacert", "ca.pem"}, at("a.example.com", "/")...)...); r.status != "200" {
			t.Errorf("after the renewal: %s", r.status)
		}
	})
}

// testH2load sends many requests on few connections, in parallel streams.
func (e *endToEnd) testH2load(t *testing.T) {
	h2load := need(t, "h2load", "nghttp2-client")
	p := e.start(t, shopConfig, "-drain-delay", "0s")
	for _, tt := range []struct {
		name, path string
		args       []string
		want       string
	}{
		{"h2c", "/search?q=teapot", nil, "status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx"},
		{"HTTP/1.1", "/search?q=teapot", []string{"--h1"}, "status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx"},
		{"h2c, attacks", attackQuery, nil, "status codes: 0 2xx, 0 3xx, 2000 4xx, 0 5xx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-n", "2000", "-c", "4", "-m", "10"}, tt.args...)
			out, err := exec.CommandContext(t.Context(), h2load, append(args, p.url+tt.path)...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "2000 total, 2000 started, 2000 done") || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	if got := p.metric(`gatehouse_requests_total{answered_by="gateway",application="shop",code="403",route="/"}`); got != 2000 {
		t.Errorf("%v attacks are counted", got)
	}
	p.eventually("all requests are recorded", func() bool { return strings.Count(p.read("access.jsonl"), "\n") == 6000 })
	if n := strings.Count(p.read("events.jsonl"), "\n"); n != 2000 {
		t.Errorf("%d events", n)
	}
	if text := p.stderr.String(); strings.Contains(text, "error") {
		t.Errorf("log: %s", text)
	}
}
