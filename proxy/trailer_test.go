package proxy_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"gatehouse/proxy/proxytest"
)

// TestRequestTrailer shows that the trailer of a gRPC request reaches the upstream without the fields that say who the
// client is, or that the gateway judges where they stand in a header. What no trailer may hold is refused before
// (TestHTTP2Refused, trailer with a field of the head).
func TestRequestTrailer(t *testing.T) {
	got := make(chan http.Header, 1)
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got <- r.Trailer.Clone()
		w.Header().Set("Content-Type", "application/grpc")
	}))
	upstream.Config.Protocols = new(http.Protocols)
	upstream.Config.Protocols.SetUnencryptedHTTP2(true)
	upstream.Start()
	defer upstream.Close()
	g := proxytest.Start(t, `listeners:
  - { name: http, address: "127.0.0.1:0", trusted_hops: 0, h2c: true }
`+application(upstream.URL, "block", "    routes:\n      - { path: /, traffic: [grpc] }\n"))

	transport := &http.Transport{Protocols: upstream.Config.Protocols}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/shop.Echo/Once", io.MultiReader(strings.NewReader("\x00\x00\x00\x00\x00")))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.example.com"
	r.Header.Set("Content-Type", "application/grpc")
	r.Trailer = http.Header{}
	for _, name := range []string{"X-Sum", "X_forwarded_for", "Client-Ip", "X-Original-Url", "Client-Cert", "X-Gatehouse-Client", "Content_type", "X-Request-Id"} {
		r.Trailer[name] = []string{spoofed}
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Fatalf("status %d, event %+v", response.StatusCode, g.Events())
	}
	trailer := <-got
	var names []string
	for name := range trailer {
		names = append(names, name)
	}
	if !slices.Equal(names, []string{"X-Sum"}) || trailer.Get("X-Sum") != spoofed {
		t.Errorf("the upstream got the trailer %v", trailer)
	}
}

const spoofed = "6.6.6.6"

// TestTrailersAreCounted shows that the trailer of a request that is not gRPC ends here, over both versions of HTTP and in
// both modes, and that it is counted: no rule has seen it.
func TestTrailersAreCounted(t *testing.T) {
	for _, mode := range []string{"block", "detect"} {
		for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
			t.Run(mode+", "+version, func(t *testing.T) {
				upstream := proxytest.NewUpstream(t)
				g := proxytest.Start(t, "listeners: [{ name: http, address: \"127.0.0.1:0\", trusted_hops: 0, h2c: true }]\n"+application(upstream.URL, mode, ""))
				transport := &http.Transport{Protocols: new(http.Protocols)}
				transport.Protocols.SetHTTP1(version == "HTTP/1.1")
				transport.Protocols.SetUnencryptedHTTP2(version == "HTTP/2")
				defer transport.CloseIdleConnections()
				for _, trailer := range []http.Header{nil, {"X-Sum": []string{"42"}}} {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/", io.MultiReader(strings.NewReader("hello")))
					if err != nil {
						t.Fatal(err)
					}
					r.Host, r.Trailer = "shop.example.com", trailer
					r.Header.Set("Content-Type", "text/plain")
					response, err := transport.RoundTrip(r)
					if err != nil {
						t.Fatal(err)
					}
					response.Body.Close()
					if response.StatusCode != 200 {
						t.Fatalf("status %d, events %+v", response.StatusCode, g.Events())
					}
					want := float64(len(trailer))
					proxytest.Eventually(t, "the count of trailers", func() bool {
						_, page := g.Admin("/metrics")
						return metric(t, page, `gatehouse_uninspected_requests_total{application="shop",cause="request_trailers"}`) == want
					})
				}
				requests := upstream.Requests()
				if len(requests) != 2 {
					t.Fatalf("%d requests arrived", len(requests))
				}
				if last := requests[1]; strings.Contains(last.Head, "Trailer") || strings.Contains(last.Head, "X-Sum") || len(last.Parsed.Trailer) > 0 || string(last.Body) != "hello" {
					t.Errorf("the upstream got %+v", last)
				}
			})
		}
	}
}
