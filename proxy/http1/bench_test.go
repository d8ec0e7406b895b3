package http1

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// typical is a browser's request.
const typical = "GET /products/17?sort=price&page=2 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Connection: keep-alive\r\nCookie: session=0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nPriority: u=0, i\r\n\r\n"

// answer is what both servers run.
func answer(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = []string{"text/plain"}, []string{"5"}
	w.Write([]byte("hello"))
}

// keepAlive asks for the same again and again on one connection. It gives one exchange as a function.
func keepAlive(b *testing.B, address string) func() {
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	request, buffer := []byte(typical), make([]byte, 4096)
	exchange := func() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if n, err := c.Read(buffer); err != nil || string(buffer[n-5:n]) != "hello" {
			b.Fatalf("read %q, %v", buffer[:n], err)
		}
	}
	exchange()
	return exchange
}

// startOurs and startTheirs serve answer on loopback.
func startOurs(b *testing.B) string {
	l := listen(b)
	s := &Server{Handler: http.HandlerFunc(answer), HeaderTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second, BodyIdle: 30 * time.Second}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.NewConn(b.Context(), c, nil).Serve()
		}
	}()
	return l.Addr().String()
}

func startTheirs(b *testing.B) string {
	l := listen(b)
	s := &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second}
	go s.Serve(l)
	b.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func listen(b *testing.B) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

// BenchmarkKeepAlive is one request and its reply on a connection of loopback, client included.
func BenchmarkKeepAlive(b *testing.B) {
	for name, start := range map[string]func(*testing.B) string{"ours": startOurs, "net-http": startTheirs} {
		b.Run("server="+name, func(b *testing.B) {
			exchange := keepAlive(b, start(b))
			b.ReportAllocs()
			for b.Loop() {
				exchange()
			}
		})
	}
}

// BenchmarkKeepAliveRatio takes turns, a hundred requests each, and prints the time that ours takes for each unit of
// net/http's.
func BenchmarkKeepAliveRatio(b *testing.B) {
	ours, theirs := keepAlive(b, startOurs(b)), keepAlive(b, startTheirs(b))
	var spent [2]time.Duration
	for b.Loop() {
		for i, exchange := range []func(){ours, theirs} {
			begin := time.Now()
			for range 100 {
				exchange()
			}
			spent[i] += time.Since(begin)
		}
	}
	b.ReportMetric(float64(spent[0])/float64(spent[1]), "ours/net-http")
}

// BenchmarkInMemory is the same without sockets: what reading, handling and writing cost.
func BenchmarkInMemory(b *testing.B) {
	c := &endless{request: []byte(typical)}
	n := 0
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n > b.N {
			w.Header().Set("Connection", "close")
		}
		answer(w, r)
	})}
	b.ReportAllocs()
	b.ResetTimer()
	s.NewConn(b.Context(), c, nil).Serve()
}

// endless is a client that asks for the same for ever.
type endless struct {
	memory
	request []byte
}

func (e *endless) Read(p []byte) (int, error)  { return copy(p, e.request), nil }
func (e *endless) Write(p []byte) (int, error) { return len(p), nil }
