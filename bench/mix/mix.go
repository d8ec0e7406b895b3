package mix

import (
	"bytes"
	"fmt"
	"math"
	"net/url"
	"strconv"
)

// Mix is a kind of traffic.
type Mix struct {
	Name  string
	Title string
	// Count is how many distinct requests there are.
	Count int
	// AttackPercent is the share of attacks, spread evenly.
	AttackPercent int
	// Hosts is the number of sites that requests are for; with 1, requests are for shop.example.com.
	Hosts int

	make func(s Source, i int, attack string) Request
}

// Host is that of requests of a mix of one site.
const Host = "shop.example.com"

// HostName is the name of site i of a mix of several.
func HostName(i int) string { return fmt.Sprintf("app-%04d.example.com", i) }

const (
	plenty  = 4000
	largest = 64 << 10 // bytes of JSON
)

// Mixes are all kinds of traffic.
func Mixes() []Mix {
	mixed := func(percent int) Mix {
		return Mix{
			Name: fmt.Sprintf("attacks%d", percent), Title: fmt.Sprintf("Shop with %d %% attacks", percent),
			Count: plenty, AttackPercent: percent, Hosts: 1, make: shop,
		}
	}
	return []Mix{
		{Name: "shop", Title: "Shop: 4 static GET, 3 search GET, 1 form POST, 2 JSON POST in 10", Count: plenty, Hosts: 1, make: shop},
		{Name: "api", Title: "API: JSON of 1 to 64 KiB", Count: 2000, Hosts: 1, make: api},
		{Name: "uploads", Title: "Uploads: multipart of 4 to 256 KiB", Count: 2000, Hosts: 1, make: uploads},
		mixed(1), mixed(10), mixed(50),
		{Name: "hosts", Title: "Shop, 1,000 sites", Count: plenty, Hosts: 1000, make: shop},
		{Name: "plain", Title: "Requests that paranoia level 4 lets pass", Count: plenty, Hosts: 1, make: plain},
	}
}

// Find is the mix of that name.
func Find(name string) (Mix, error) {
	for _, m := range Mixes() {
		if m.Name == name {
			return m, nil
		}
	}
	return Mix{}, fmt.Errorf("there is no mix %q", name)
}

// Sized is a mix of JSON documents of about so many bytes, of searches if none. There are fewer of large ones: 128 MiB in all.
func Sized(bytes int) Mix {
	m := Mix{Name: "sized", Title: fmt.Sprintf("JSON of %d bytes", bytes), Count: plenty, Hosts: 1}
	if bytes == 0 {
		m.Title, m.make = "searches, without a body", func(s Source, _ int, attack string) Request { return search(s, attack) }
		return m
	}
	const all = 128 << 20
	m.Count = min(m.Count, all/bytes)
	m.make = func(s Source, _ int, attack string) Request { return texts(s, attack, bytes) }
	return m
}

// Requests are those of the mix, others for another seed.
func (m Mix) Requests(seed uint64) []Request {
	s := NewSource(seed)
	out := make([]Request, m.Count)
	for i := range out {
		text := ""
		if m.attacks(i) {
			text = s.Attack()
		}
		r := m.make(s, i, text)
		r.Attack = text != ""
		if m.Hosts > 1 {
			r.set("Host", HostName(i%m.Hosts))
		}
		r.set("X-Forwarded-For", fmt.Sprintf("203.0.113.%d", 1+s.IntN(250)))
		r.set("X-Request-Id", s.Hex(16))
		out[i] = r
	}
	return out
}

// attacks says whether request i is an attack: the share of attacks among the first n requests is right for every n.
func (m Mix) attacks(i int) bool { return (i+1)*m.AttackPercent/100 > i*m.AttackPercent/100 }

// Attacks is how many of the first n requests are attacks when the mix is sent over and over.
func (m Mix) Attacks(n int) int {
	return n/m.Count*(m.Count*m.AttackPercent/100) + n%m.Count*m.AttackPercent/100
}

// shop is request i of a shop's visitors. Attacks are where there is something to put them into.
func shop(s Source, i int, attack string) Request {
	if attack != "" {
		return [](func(Source, string) Request){search, login, checkout}[s.IntN(3)](s, attack)
	}
	switch i % 10 {
	case 0, 1, 2, 3:
		return static(s, "")
	case 4, 5, 6:
		return search(s, "")
	case 7:
		return login(s, "")
	}
	return checkout(s, "")
}

func login(s Source, attack string) Request {
	v := url.Values{
		"username": {or(attack, s.Word()+"."+s.Hex(5))}, "password": {s.Word() + "-" + s.Hex(6) + "-" + s.Word()}, "remember": {"on"},
		"next": {"/account/" + s.Word()}, "csrf_token": {s.Hex(40)},
	}
	return s.Request("POST", "/login", "application/x-www-form-urlencoded", []byte(v.Encode()))
}

func checkout(s Source, attack string) Request {
	line := func() map[string]any {
		return map[string]any{"sku": "SKU-" + strconv.Itoa(s.IntN(10_000)), "qty": 1 + s.IntN(9), "price": float64(s.IntN(20_000)) / 100}
	}
	first, last := s.Word(), s.Word()
	body := document(map[string]any{
		"order_id": "A-" + strconv.Itoa(s.IntN(100_000)),
		"customer": map[string]any{
			"name": first + " " + last, "email": first + s.Hex(3) + "@example.com",
			"address": map[string]any{"street": fmt.Sprintf("%d %s street", 1+s.IntN(300), s.Word()), "city": s.Word(), "zip": fmt.Sprintf("%05d", s.IntN(100_000))},
		},
		"items": []any{line(), line()},
		"note":  or(attack, s.Text(6+s.IntN(19))),
	})
	return s.Request("POST", "/api/orders", "application/json", body)
}

// api is a JSON document; as many are of 1 to 2 KiB as of 32 to 64. Large ones have longer texts rather than ever more
// fields: some engines take no more than 1,000.
func api(s Source, _ int, attack string) Request {
	return texts(s, attack, s.between(1200, largest-2<<10))
}

// texts is a JSON document of about so many bytes.
func texts(s Source, attack string, size int) Request {
	const most, empty = 50, 150 // items, and bytes of one without a note
	items := make([]any, 1+min(most, size/512))
	room := max(0, size/len(items)-empty)
	for i := range items {
		items[i] = s.item(s.Sized(room))
	}
	items[s.IntN(len(items))] = s.item(or(attack, s.Sized(room)))
	body := document(map[string]any{"order": s.Hex(16), "items": items})
	return s.Request("POST", "/api/orders", "application/json", body)
}

func uploads(s Source, _ int, attack string) Request {
	return upload(s, attack, s.between(4<<10, 256<<10))
}

// between is a number of bytes, of which the logarithm is spread evenly.
func (s Source) between(least, most int) int {
	return int(float64(least) * math.Pow(float64(most)/float64(least), s.Float64()))
}

// plain is a request of letters, digits and dashes only: paranoia level 4 minds everything else, and words that begin as
// the name of pip does.
func plain(s Source, i int, attack string) Request {
	for {
		r := plainAny(s, i, attack)
		r.set("Referer", "https://"+Host+"/")
		if !bytes.Contains(r.Wire(), []byte("pip")) {
			return r
		}
	}
}

func plainAny(s Source, i int, attack string) Request {
	switch i % 10 {
	case 0, 1, 2, 3:
		return s.Request("GET", fmt.Sprintf("/assets/%s/%s-%s.js", s.Word(), s.Word(), s.Hex(6)), "", nil)
	case 4, 5, 6:
		q := url.Values{"q": {or(attack, s.Word())}, "page": {strconv.Itoa(1 + s.IntN(30))}, "sort": {s.Word()}}
		return s.Request("GET", "/search?"+q.Encode(), "", nil)
	}
	v := url.Values{"username": {or(attack, s.Word())}, "token": {s.Hex(8)}, "remember": {"on"}, "city": {s.Word()}, "street": {s.Word()}}
	return s.Request("POST", "/login", "application/x-www-form-urlencoded", []byte(v.Encode()))
}
