package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"gatehouse/proxy/proxytest"
)

// head is the start of a request whose framing is up to the case.
func headOf(line string, headers ...string) string {
	return line + "\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
}

// smuggledRequest stands where a gateway that reads another length takes it for a request.
const smuggledRequest = "GET /smuggled HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"

// framingAdvisories are about where a request ends, and about connections that change hands.
var framingAdvisories = []advisory{
	{ids: "CVE-2019-16276", what: "Go: a space before the colon", requests: []string{
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding : chunked", fmt.Sprintf("Content-Length: %d", len(smuggledRequest))) + smuggledRequest,
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Content-Length : 3") + "abc",
	}},
	{ids: "CVE-2022-1705", what: "Go: a Transfer-Encoding that is none", requests: []string{
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: xchunked") + "0\r\n\r\n" + smuggledRequest,
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: identity, chunked") + "0\r\n\r\n" + smuggledRequest,
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: \"chunked\"") + "0\r\n\r\n" + smuggledRequest,
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: chunked", "Transfer-Encoding: identity") + "0\r\n\r\n" + smuggledRequest,
	}},
	{ids: "CVE-2025-22871", what: "Go: a lone line feed behind a chunk's size", requests: []string{
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: chunked") + "3\nabc\r\n0\r\n\r\n",
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: chunked") + "3;x\nabc\r\n0\r\n\r\n",
	}},
	{ids: "CVE-2013-2028", what: "nginx: the size of a chunk overflows", requests: []string{
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: chunked") + "ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: chunked") + "10000000000000003\r\nabc\r\n0\r\n\r\n",
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: chunked") + "-1\r\nabc\r\n0\r\n\r\n",
	}},
	{ids: "CVE-2013-5705", what: "ModSecurity: Chunked with a capital letter hides a body", requests: []string{
		headOf("POST / HTTP/1.1", "Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: Chunked") + "28\r\nq=1%27+UNION+SELECT+password+FROM+users-\r\n0\r\n\r\n",
		headOf("POST / HTTP/1.1", "Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: CHUNKED") + "28\r\nq=1%27+UNION+SELECT+password+FROM+users-\r\n0\r\n\r\n",
	}},
	{ids: "CVE-2026-2833", what: "Pingora: bytes behind an Upgrade that nobody has agreed to", requests: []string{
		headOf("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: foo") + smuggledRequest,
		headOf("GET / HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket") + smuggledRequest,
	}},
	{ids: "CVE-2026-71324", what: "Traefik: CONNECT on a connection that others share", requests: []string{
		"CONNECT shop.example.com:80 HTTP/1.1\r\nHost: shop.example.com:80\r\n\r\n" + smuggledRequest,
		headOf("CONNECT / HTTP/1.1") + smuggledRequest,
	}},
	{ids: "CVE-2026-2835", what: "Pingora: HTTP/1.0 with Transfer-Encoding", requests: []string{
		headOf("POST / HTTP/1.0", "Content-Type: text/plain", "Connection: keep-alive", "Transfer-Encoding: chunked") + "0\r\n\r\n" + smuggledRequest,
		headOf("POST / HTTP/1.0", "Content-Type: text/plain", "Connection: keep-alive", "Transfer-Encoding: identity, chunked", "Content-Length: 5") + "0\r\n\r\n" + smuggledRequest,
	}},
	{ids: "CVE-2022-41721", what: "Go: h2c by Upgrade, with a body that is read as frames", requests: []string{
		headOf("POST / HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Content-Length: 24") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		headOf("GET / HTTP/1.1", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	}},
	{ids: "CVE-2025-4366", what: "Pingora: a body that nobody read is taken for the next request", requests: []string{
		"POST / HTTP/1.1\r\nHost: unknown.example.net\r\nContent-Type: text/plain\r\n" + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(smuggledRequest)) + smuggledRequest,
		headOf("POST /admin HTTP/1.1", "Content-Type: text/plain", fmt.Sprintf("Content-Length: %d", len(smuggledRequest))) + smuggledRequest,
	}},
	{ids: "CVE-2019-20372", what: "nginx: so is one behind a page of the gateway's own", requests: []string{
		headOf("GET /admin HTTP/1.1", fmt.Sprintf("Content-Length: %d", len(smuggledRequest))) + smuggledRequest,
		headOf("PUT /admin HTTP/1.1", fmt.Sprintf("Content-Length: %d", len(smuggledRequest))) + smuggledRequest,
	}},
	{ids: "CVE-2024-24791", what: "Go: Expect goes to an upstream that answers without 100", want: forwarded, requests: []string{
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Expect: 100-continue", "Content-Length: 3") + "abc",
	}, upstream: func(r proxytest.Received) string {
		if r.Parsed.Header.Get("Expect") != "" || string(r.Body) != "abc" {
			return "Expect, or no body"
		}
		return ""
	}},
	{ids: "CVE-2024-28869", what: "Traefik: a GET whose body never comes holds the gateway up", requests: []string{headOf("GET / HTTP/1.1", "Content-Length: 5")}},
	{
		ids: "CVE-2021-36221", what: "Go: an upstream that closes in the middle of its reply", want: survived, requests: []string{get("/"), get("/x")},
		answer: func(w io.Writer, _ *http.Request, _ []byte) {
			fmt.Fprint(w, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\nabc")
			w.(net.Conn).Close()
		},
		reply: func(r *http.Response, body string) string {
			if r.StatusCode == 200 && !strings.Contains(body, "unexpected EOF") {
				return "a cut reply looks complete"
			}
			return ""
		},
	},
	{ids: "CVE-2020-15586", what: "Go: an upstream that answers before it has the body", want: survived, requests: []string{
		headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Expect: 100-continue", "Content-Length: 3") + "abc",
	}, answer: func(w io.Writer, _ *http.Request, _ []byte) {
		fmt.Fprint(w, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		w.(net.Conn).Close()
	}},
	{ids: "CVE-2013-4547", what: "nginx: a space in the target hides where it ends", requests: []string{
		headOf("GET /a \x00.php HTTP/1.1"), headOf("GET /admin /../x HTTP/1.1"), headOf("GET /a  HTTP/1.1"),
	}},
	{ids: "CVE-2019-9741", what: "Go: line breaks out of a target", want: survived, requests: []string{
		headOf("GET /a%0d%0aX-Injected:1 HTTP/1.1"), headOf("GET /a?b=%0d%0aX-Injected:%201 HTTP/1.1"), headOf("GET /a\rX-Injected:1 HTTP/1.1"),
	}, upstream: func(r proxytest.Received) string {
		if r.Parsed.Header.Get("X-Injected") != "" {
			return "an injected header"
		}
		return ""
	}},
}

// readReply reads one reply, nil if there is none.
func readReply(c net.Conn) (*http.Response, string) {
	reader := bufio.NewReader(c)
	response, err := http.ReadResponse(reader, nil)
	for err == nil && response.StatusCode == http.StatusContinue {
		response, err = http.ReadResponse(reader, nil)
	}
	if err != nil {
		return nil, ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response, string(body)
}
