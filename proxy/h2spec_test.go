package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"gatehouse/proxy/proxytest"
)

// h2specExceptions are the cases that a gateway may fail, with the reason of each.
var h2specExceptions = map[string]string{
	"clear http2/3.5/2": "a listener in clear serves HTTP/1.1 too: what does not begin like HTTP/2 is answered with 400 in HTTP/1.1 before the connection closes",
}

// TestH2Spec runs every case of h2spec, the strict ones too, against a listener with TLS and one in clear.
func TestH2Spec(t *testing.T) {
	certificate, key := selfSigned(t)
	upstream := proxytest.NewUpstream(t)
	upstream.Answer = func(w io.Writer, _ *http.Request, _ []byte) { // long enough for the cases on flow control
		io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world")
	}
	g := proxytest.Start(t, `listeners:
  - { name: clear, address: "127.0.0.1:0", trusted_hops: 0, h2c: true }
  - { name: secure, address: "127.0.0.1:0", trusted_hops: 0, protocol: https }
certificates: [{ name: shop, cert_file: shop.pem, key_file: shop.key }]
`+application(upstream.URL, "detect", ""), proxytest.Options{Files: map[string]string{"shop.pem": certificate, "shop.key": key}})
	for _, listener := range []string{"clear", "secure"} {
		t.Run(listener, func(t *testing.T) {
			address := g.Addr(listener).(*net.TCPAddr)
			run := &h2spec{listener: listener, config: &config.Config{
				Host: "127.0.0.1", Port: address.Port, Path: "/", Timeout: 2 * time.Second, MaxHeaderLen: 4000, Strict: true,
				TLS: listener == "secure", Insecure: true,
			}}
			for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
				run.group(t, group)
			}
			if run.cases < 146 {
				t.Errorf("%d cases were run, want all", run.cases)
			}
		})
	}
}

type h2spec struct {
	listener string
	config   *config.Config
	cases    int
}

func (h *h2spec) group(t *testing.T, group *spec.TestGroup) {
	for i, c := range append(group.Tests, group.StrictTests...) {
		h.cases++
		name := fmt.Sprintf("%s/%d", group.ID(), i+1)
		conn, err := spec.Dial(h.config)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = c.Run(h.config, conn)
		conn.Close()
		_, excepted := h2specExceptions[h.listener+" "+name]
		var failure *spec.TestError
		switch {
		case err != nil && !excepted:
			if errors.As(err, &failure) {
				t.Errorf("%s: %s: %s: want %q, got %s", name, c.Desc, c.Requirement, failure.Expected, failure.Actual)
			} else {
				t.Errorf("%s: %s: %v", name, c.Desc, err)
			}
		case err == nil && excepted:
			t.Errorf("%s passes and is excepted", name)
		}
	}
	for _, g := range group.Groups {
		h.group(t, g)
	}
}
