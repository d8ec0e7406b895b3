package wiretest_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/wiretest"
)

// record sends bytes to a recorder and gives what it made of them, and its replies.
func record(t *testing.T, sent string) ([]*wiretest.Request, string) {
	t.Helper()
	recorder, err := wiretest.NewRecorder()
	if err != nil {
		t.Fatal(err)
	}
	defer recorder.Close()
	c, err := net.Dial("tcp", recorder.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, sent)
	c.(*net.TCPConn).CloseWrite()
	replies, _ := io.ReadAll(c) // a connection with unread bytes is reset
	return recorder.Take(), string(replies)
}

// TestRecorderRefuses shows that what is not canonical is noticed, and kept: a recorder that takes everything would find
// fault with no server.
func TestRecorderRefuses(t *testing.T) {
	for _, sent := range []string{
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
		"GET /\r\nHost: a\r\n\r\n",
		"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
		"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\rX: b\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: \r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX:  b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 05\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer--Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n05\r\nhello\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloo\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: b\r\n\r\n",
	} {
		got, _ := record(t, sent+"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n")
		if len(got) != 1 || got[0].Problem == "" || !strings.HasPrefix(sent, string(got[0].Raw)) && !strings.HasPrefix(string(got[0].Raw), sent) {
			t.Errorf("%q: got %+v", sent, got)
		}
	}
}

func TestRecorderTakes(t *testing.T) {
	const sent = "GET /a?b HTTP/1.1\r\nHost: a\r\nX: b\xe9\tc\r\nEmpty: \r\n\r\n" +
		"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" +
		"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n" +
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
	got, replies := record(t, sent)
	var raw, bodies strings.Builder
	for _, r := range got {
		raw.Write(r.Raw)
		bodies.Write(r.Body)
		if r.Problem != "" || r.Cut {
			t.Errorf("%q: %s", r.Raw, r.Problem)
		}
	}
	if raw.String() != sent || bodies.String() != "hellohello0123456789" || strings.Count(replies, "HTTP/1.1 200 OK") != 4 {
		t.Errorf("got %q, bodies %q, replies %q", raw.String(), bodies.String(), replies)
	}
	for _, cut := range []string{
		"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
		"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		if got, replies := record(t, cut); len(got) != 1 || !got[0].Cut || replies != "" {
			t.Errorf("%q: got %+v, replies %q", cut, got, replies)
		}
	}
}

func TestRecorderTunnel(t *testing.T) {
	got, replies := record(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbytes")
	if len(got) != 1 || string(got[0].Tunnel) != "bytes" || !strings.HasPrefix(replies, "HTTP/1.1 101 ") {
		t.Errorf("got %+v, replies %q", got, replies)
	}
}
