package wiretest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// desyncData holds requests with their class (Compliant, Acceptable, Ambiguous, Severe) by aws/http-desync-guardian.
const desyncData = "../../../shared/data/desync"

// desyncCase is a request of that collection: a head without a body.
type desyncCase struct {
	Name    string `yaml:"name"`
	URI     string `yaml:"uri"`
	Method  string `yaml:"method"`
	Version string `yaml:"version"`
	Headers []struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	} `yaml:"headers"`
	Expected struct {
		Tier   string `yaml:"tier"`
		Reason string `yaml:"reason"`
	} `yaml:"expected"`
}

func readDesync(t *testing.T) []desyncCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(desyncData, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("no cases: ../shared/data/desync is not beside the repository")
	}
	var list []desyncCase
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []desyncCase
		if err := yaml.Unmarshal(data, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		list = append(list, cases...)
	}
	return list
}

// bytesOf gives the bytes of a text of the collection: characters up to U+00FF are bytes, others stand for themselves.
func bytesOf(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c <= 0xff {
			b.WriteByte(byte(c))
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// head is the case's head for a host.
func (c *desyncCase) head(host string) string {
	line := c.Method + " " + c.URI
	if c.Version != "" {
		line += " " + c.Version
	}
	var b strings.Builder
	b.WriteString(bytesOf(line) + "\r\nHost: " + host + "\r\n")
	for _, h := range c.Headers {
		b.WriteString(bytesOf(h.Name + ": " + h.Value + "\r\n"))
	}
	return b.String() + "\r\n"
}

// bodies are what follows the head: nothing, an empty chunked body, and as many bytes as Content-Length says.
func (c *desyncCase) bodies() []string {
	var list []string
	for _, h := range c.Headers {
		if n, err := strconv.Atoi(strings.TrimSpace(h.Value)); err == nil && n > 0 && n < 1<<20 {
			list = append(list, strings.Repeat("a", n))
		}
	}
	if len(list) == 1 && len(c.Headers) == 1 { // a length and nothing else: less than it would be waited for
		return list
	}
	return append(list, "", "0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n")
}

// TestDesync sends every case of the collection with several bodies, and a request behind it. It is refused, or what
// reaches the upstream is canonical: one length at most, no name that can be taken for one of the framing's, and on a
// connection of its own where the body has no defined meaning. What the collection calls Severe is refused. In every case
// the upstream saw no request that is not in the log.
func TestDesync(t *testing.T) {
	cases := readDesync(t)
	if len(cases) < 100 {
		t.Errorf("only %d cases", len(cases))
	}
	g := start(t)
	forwarded := map[string]int{}
	for _, c := range cases {
		t.Run(c.Expected.Tier+"/"+c.Name, func(t *testing.T) {
			for _, host := range hosts {
				for _, body := range c.bodies() {
					if g.desync(t, &c, host, body) {
						forwarded[c.Expected.Tier]++
					}
				}
			}
		})
	}
	g.checkLog(t)
	t.Logf("%d cases; forwarded, by class: %v", len(cases), forwarded)
	if forwarded["Compliant"] == 0 {
		t.Error("nothing was forwarded")
	}
}

// desync sends one case with one body and reports whether the upstream got it.
func (g *gateway) desync(t *testing.T, c *desyncCase, host, body string) (forwarded bool) {
	t.Helper()
	behind := fmt.Sprintf("GET /behind HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
	sent := c.head(host) + body + behind
	out, err := g.server.Send("", []byte(sent), 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	g.seen = append(g.seen, out.Upstream...)
	answered, whole := 0, 0
	for _, reply := range out.Replies {
		if reply.Status == 200 {
			answered++
		}
	}
	for _, r := range out.Upstream {
		switch {
		case r.Problem != "":
			t.Errorf("what reached the upstream is not canonical: %s: %q\n    sent %.300q", r.Problem, r.Raw, sent)
		case r.Cut:
		default:
			whole++
			forwarded = forwarded || r.Target != "/behind"
			g.isolated(t, r.Method, len(r.Body), r.Values("Connection"), sent)
		}
	}
	if whole != answered {
		t.Errorf("%d requests at the upstream, %d replies\n    sent %.300q", whole, answered, sent)
	}
	if forwarded && c.Expected.Tier == "Severe" {
		t.Errorf("a request of the class %s (%s) was forwarded: %q\n    sent %.300q", c.Expected.Tier, c.Expected.Reason, out.Upstream[0].Raw, sent)
	}
	return forwarded
}

// isolated holds a request whose body has no defined meaning against the rule that nothing comes after it.
func (g *gateway) isolated(t *testing.T, method string, body int, connection []string, sent string) {
	t.Helper()
	if (method == "GET" || method == "HEAD") && body > 0 && (len(connection) != 1 || connection[0] != "close") {
		t.Errorf("%s with a body does not close the connection\n    sent %.300q", method, sent)
	}
}
