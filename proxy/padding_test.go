package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/proxy/event"
	"gatehouse/proxy/proxytest"
)

// The limits of TestPadding's routes, in bytes.
const (
	padInspect = 256 << 10
	padMax     = 1280 << 10
)

// padded are the types of body of TestPadding: each gives what stands in front of the padding, between padding and value,
// and behind the value.
var padded = []struct {
	name, contentType   string
	front, middle, back string
	whole               bool // never cut: it is inspected up to max_bytes
}{
	{"form", "application/x-www-form-urlencoded", "p=", "&q=", "&r=1", false},
	{"multipart", "multipart/form-data; boundary=xyz", "--xyz\r\nContent-Disposition: form-data; name=\"p\"\r\n\r\n", "\r\n--xyz\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n", "\r\n--xyz--\r\n", false},
	{"text", "text/plain", "", "\n", "\n", false},
	{"JSON", "application/json", `{"p":"`, `","q":"`, `"}`, true},
	{"XML", "application/xml", "<a><p>", "</p><q>", "</q></a>", true},
}

// TestPadding puts an attack behind more and more harmless bytes. With oversize: reject it is refused wherever it stands.
// With inspect_prefix it is refused within what is inspected, and every byte beyond that is counted; over max_bytes the
// body is refused.
func TestPadding(t *testing.T) {
	upstream := proxytest.NewUpstream(t)
	limits := func(path, oversize string) string {
		return fmt.Sprintf("      - { path: %s, body: { max_bytes: %dKiB, inspect_bytes: %dKiB, oversize: %s } }\n", path, padMax>>10, padInspect>>10, oversize)
	}
	g := proxytest.Start(t, application(upstream.URL, "block", "    routes:\n"+limits("/reject", "reject")+limits("/prefix", "inspect_prefix")))
	const attack = "1+UNION+SELECT+password+FROM+users"
	sent := 0
	for k, b := range padded {
		if k%bodySample != 0 {
			continue
		}
		value := attack
		if b.name != "form" {
			value = strings.ReplaceAll(attack, "+", " ")
		}
		for _, offset := range []int{0, 8 << 10, 16 << 10, 64 << 10, 128 << 10, 1 << 20, padInspect - 1, padInspect + 1, padMax - 1, padMax + 1} {
			for i, path := range []string{"/reject", "/prefix"} {
				padding := max(0, offset-len(b.front)-len(b.middle))
				body := b.front + strings.Repeat("a", padding) + b.middle + value + b.back
				name := fmt.Sprintf("%s, %d bytes in front, %s", b.name, offset, path)
				end := len(b.front) + padding + len(b.middle) + len(value)
				seen := padInspect
				if b.whole {
					seen = padMax
				}
				before := uninspectedBytes(t, g)
				upstream.Forget()
				chunked := (offset+i)%2 == 1
				status, incident := postPadded(t, g.URL, path, b.contentType, body, chunked)
				sent++
				if status == 200 {
					proxytest.Eventually(t, name+": the bytes are counted", func() bool { return uninspectedBytes(t, g) > before })
				}
				counted := int(uninspectedBytes(t, g) - before)
				switch {
				case path == "/prefix" && len(body) <= padMax && end > seen:
					// A value that is cut may still be found.
					if status == 200 && (counted != len(body)-seen || len(upstream.Requests()) != 1) {
						t.Errorf("%s: %d bytes counted as uninspected, want %d", name, counted, len(body)-seen)
					} else if status != 200 && offset > seen {
						t.Errorf("%s: status %d", name, status)
					}
				case incident == "":
					t.Errorf("%s: status %d, want a refusal", name, status)
				default:
					if len(upstream.Requests()) != 0 && len(body) <= padMax {
						t.Errorf("%s: it was refused and reached the upstream", name)
					}
					e := waitIncident(t, g, incident)
					want := map[event.Reason]int{event.CRSScore: 403}
					if len(body) > padMax {
						want = map[event.Reason]int{event.BodyTooLarge: 413, event.BodyNotInspect: 413, event.CRSScore: 403}
					} else if path == "/reject" && len(body) > padInspect {
						want = map[event.Reason]int{event.BodyNotInspect: 413}
					}
					if want[e.Reason] != status {
						t.Errorf("%s: status %d, %s (%s)", name, status, e.Reason, e.Detail)
					}
				}
			}
		}
	}
	if bodySample == 1 && sent != 100 {
		t.Errorf("%d requests, want 100", sent)
	}
}

// uninspectedBytes are those counted so far for bodies that went on beyond inspect_bytes.
func uninspectedBytes(t *testing.T, g *proxytest.Gateway) float64 {
	t.Helper()
	_, page := g.Admin("/metrics")
	return metric(t, page, `gatehouse_uninspected_bytes_total{application="shop",cause="inspect_limit"}`)
}

// postPadded sends a body and gives the status and the incident. A gateway that has seen enough closes the connection, which
// may take the reply with it: then it is asked again.
func postPadded(t *testing.T, target, path, contentType, body string, chunked bool) (int, string) {
	t.Helper()
	request := headOf("POST "+path+" HTTP/1.1", "Content-Type: "+contentType, fmt.Sprintf("Content-Length: %d", len(body))) + body
	if chunked {
		request = headOf("POST "+path+" HTTP/1.1", "Content-Type: "+contentType, "Transfer-Encoding: chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	for range 10 {
		if response, _ := sendBytes(t, target, request); response != nil {
			return response.StatusCode, response.Header.Get("X-Gatehouse-Incident")
		}
		if len(body) <= padMax {
			break
		}
	}
	t.Errorf("%s: no reply to %d bytes", path, len(body))
	return 0, ""
}
