package engine_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/engine"
)

func BenchmarkSearchGet(b *testing.B) {
	for _, pl := range []int{1, 4} {
		b.Run(fmt.Sprint("PL", pl), func(b *testing.B) {
			set := load(b, engine.Options{}, policyOf(b, pl))
			var reqs []*rules.Request
			for i := range 2000 {
				reqs = append(reqs, &rules.Request{
					ID: "test", Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
					Client: netip.MustParseAddrPort("203.0.113.7:40000"), Server: netip.MustParseAddrPort("192.0.2.1:443"),
					Method: "GET", Target: fmt.Sprintf("/search?q=blue+shoe+%d&page=%d&sort=price&category=women-%x", i*7919, i%10, i), Protocol: "HTTP/1.1",
					Headers: []rules.Header{
						{Name: "Host", Value: "shop.example.com"},
						{Name: "User-Agent", Value: fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36", 100+i%30)},
						{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"},
						{Name: "Accept-Language", Value: "en-US,en;q=0.5"},
						{Name: "Accept-Encoding", Value: "gzip, deflate, br"},
						{Name: "Referer", Value: fmt.Sprintf("https://shop.example.com/category/%d", i)},
						{Name: "Cookie", Value: fmt.Sprintf("session=%032x; theme=dark; cart=%d", i*104729, i)},
						{Name: "Upgrade-Insecure-Requests", Value: "1"},
						{Name: "Sec-Fetch-Dest", Value: "document"},
					},
					Host: "shop.example.com", Path: "/search", Application: "shop", Route: "all", Traffic: "auto",
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				tx := set.Begin(reqs[i%len(reqs)])
				tx.RequestHeaders()
				tx.RequestBody(rules.Body{Reader: bytes.NewReader(nil)})
				r := tx.Close()
				if len(r.Matches) > 0 && i == 0 {
					b.Log(r.Matches)
				}
			}
		})
	}
}
