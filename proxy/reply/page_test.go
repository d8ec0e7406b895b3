package reply

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gatehouse/proxy/event"
)

// elements gives the elements of a page, and fails if a tag is not closed where it should be.
func elements(t *testing.T, page string) []*html.Node {
	t.Helper()
	void := map[string]bool{"meta": true, "br": true, "link": true}
	var open []string
	tokens := html.NewTokenizer(strings.NewReader(page))
	for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
		name, _ := tokens.TagName()
		switch kind {
		case html.StartTagToken:
			if !void[string(name)] {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != string(name) {
				t.Fatalf("</%s> closes %v", name, open)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Fatalf("%v stay open", open)
	}
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var list []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			list = append(list, n)
		}
	}
	return list
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func TestPage(t *testing.T) {
	got := write(t, "GET", sample(), "Accept", "text/html")
	page := bodyOf(t, got)
	if len(page) >= 6<<10 {
		t.Errorf("the page has %d bytes, 6 KiB is the limit", len(page))
	}
	policy := got.Header.Get("Content-Security-Policy")
	inline := 0
	ids, labels := map[string]bool{}, []string{}
	for _, n := range elements(t, page) {
		for _, a := range n.Attr {
			switch {
			case a.Key == "src", a.Key == "srcset", a.Key == "action", a.Key == "style", strings.HasPrefix(a.Key, "on"):
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			case a.Key == "href" && !strings.HasPrefix(a.Val, "mailto:"):
				t.Errorf("a link to %q", a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			case a.Key == "aria-labelledby":
				labels = append(labels, a.Val)
			}
		}
		switch n.Data {
		case "html":
			if attribute(n, "lang") != "en" {
				t.Error("the page does not say its language")
			}
		case "script", "style":
			inline++
			sum := sha256.Sum256([]byte(text(n)))
			if source := n.Data + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, source) {
				t.Errorf("%s is not in the policy %s", source, policy)
			}
		case "link", "img", "iframe", "object", "form":
			t.Errorf("<%s> in the page", n.Data)
		}
	}
	for _, l := range labels {
		if !ids[l] {
			t.Errorf("nothing has the id %q", l)
		}
	}
	if inline != 2 || len(labels) == 0 || strings.Contains(policy, "unsafe") {
		t.Errorf("%d inline parts, %d labels, policy %s", inline, len(labels), policy)
	}
	for _, want := range []string{
		"GH-01HK-0Z7A-BC1D", "2026-07-01 12:34:56 UTC", "shop.example.com", "<title>This request was refused</title>", `<button id="copy" type="button" hidden>`,
		`<a href="mailto:security@shop.example.com?subject=Incident%20GH-01HK-0Z7A-BC1D">security@shop.example.com</a>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not in the page", want)
		}
	}
	if regexp.MustCompile(`url\(|@import|https?:`).MatchString(page) {
		t.Error("the page loads something")
	}
}

func TestPageEscapes(t *testing.T) {
	for i, hostile := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `javascript:alert(1)`, `' onmouseover='x`, "a\x00b\xff", `</title><b>`,
		`mailto:a@b.c"><b>`, `https://x/"><b>`, `x@y.z<b>`, "data:text/html,<b>", "https://x/%22%3E<b>", "JaVaScRiPt://x/%0aalert(1)", "\u202eevil",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			p := sample()
			p.Host, p.Contact, p.Incident, p.Detail = hostile, hostile, hostile, hostile
			clean := sample()
			page := bodyOf(t, write(t, "GET", p, "Accept", "text/html"))
			count := func(list []*html.Node) map[string]int {
				n := map[string]int{}
				for _, e := range list {
					n[e.Data]++
					if href := attribute(e, "href"); href != "" && !strings.HasPrefix(href, "mailto:") && !strings.HasPrefix(href, "https://") {
						t.Errorf("a link to %q", href)
					}
					for _, a := range e.Attr {
						if strings.HasPrefix(a.Key, "on") {
							t.Errorf("<%s %s>", e.Data, a.Key)
						}
					}
				}
				delete(n, "a") // a contact may be text
				return n
			}
			want, got := count(elements(t, bodyOf(t, write(t, "GET", clean, "Accept", "text/html")))), count(elements(t, page))
			if fmt.Sprint(want) != fmt.Sprint(got) {
				t.Errorf("elements %v, want %v", got, want)
			}
			problem := bodyOf(t, write(t, "GET", p))
			if strings.ContainsAny(problem, "<>\x00") || strings.IndexByte(problem, 0xff) >= 0 {
				t.Errorf("got %q", problem)
			}
		})
	}
}

func TestContact(t *testing.T) {
	for contact, want := range map[string]string{
		"help@example.com":              `<a href="mailto:help@example.com?subject=Incident%20GH-1">help@example.com</a>`,
		"mailto:help@example.com":       `<a href="mailto:help@example.com?subject=Incident%20GH-1">help@example.com</a>`,
		"mailto:help@example.com?cc=x":  `<a href="mailto:help@example.com?cc=x">help@example.com</a>`,
		"https://example.com/help?a&b":  `<a href="https://example.com/help?a&amp;b">example.com/help?a&amp;b</a>`,
		"https://example.com/":          `<a href="https://example.com/">example.com</a>`,
		"http://intranet/help":          `<a href="http://intranet/help">intranet/help</a>`,
		"the help desk, phone 555-0100": "the help desk, phone 555-0100",
		"the help desk.":                "the help desk",
		"a@b":                           "a@b",
		"a@b.c@d":                       "a@b.c@d",
		"javascript:alert(1)":           "javascript:alert(1)",
		"https:///nowhere":              "https:///nowhere",
		"":                              "the people who run this site",
	} {
		got := contactSentence(view{Contact: contact, Incident: "GH-1", Status: 403})
		if full := "If you think this is a mistake, contact " + want + ". Please give the incident ID."; got != full {
			t.Errorf("%q:\ngot  %s\nwant %s", contact, got, full)
		}
	}
	if got := contactSentence(view{Status: 502}); got != "If this goes on, contact the people who run this site." {
		t.Errorf("got %s", got)
	}
}

// TestContrast computes the contrast of each text on its ground as WCAG 2 does; AA asks for 4.5.
func TestContrast(t *testing.T) {
	themes := regexp.MustCompile(`:root\{([^}]*)\}`).FindAllStringSubmatch(pageStyle, -1)
	if len(themes) != 2 {
		t.Fatalf("%d themes", len(themes))
	}
	for i, theme := range themes {
		colors := map[string]float64{}
		for _, v := range regexp.MustCompile(`--(\w+):#([0-9a-f]+)`).FindAllStringSubmatch(theme[1], -1) {
			hex := v[2]
			if len(hex) == 3 {
				hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
			}
			l := 0.0
			for j, weight := range []float64{0.2126, 0.7152, 0.0722} {
				n, err := strconv.ParseUint(hex[2*j:2*j+2], 16, 8)
				if err != nil {
					t.Fatal(err)
				}
				c := float64(n) / 255
				if c <= 0.04045 {
					c /= 12.92
				} else {
					c = math.Pow((c+0.055)/1.055, 2.4)
				}
				l += weight * c
			}
			colors[v[1]] = l
		}
		for _, pair := range [][2]string{{"ink", "card"}, {"soft", "card"}, {"accent", "card"}, {"ink", "tint"}, {"soft", "tint"}, {"on", "accent"}} {
			a, b := colors[pair[0]], colors[pair[1]]
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("theme %d: %s on %s has a contrast of %.2f", i, pair[0], pair[1], ratio)
			}
		}
	}
}

func TestTemplate(t *testing.T) {
	own, err := ParseTemplate("own.html", `<p title="{{.Host}}">{{.Incident}}|{{.Time}}|{{.Status}}|{{.Title}}|{{.Message}}|<a href="{{.Contact}}">x</a>`)
	if err != nil {
		t.Fatal(err)
	}
	p := sample()
	p.Template, p.Host, p.Contact = own, `"><b>`, "javascript:alert(1)"
	got := write(t, "GET", p, "Accept", "text/html")
	want := `<p title="&#34;&gt;&lt;b&gt;">GH-01HK-0Z7A-BC1D|2026-07-01 12:34:56 UTC|403|This request was refused|` +
		`The request looked as if it could harm this site, so it was stopped.|<a href="#ZgotmplZ">x</a>`
	if page := bodyOf(t, got); page != want {
		t.Errorf("got  %s\nwant %s", page, want)
	}
	if policy := got.Header.Get("Content-Security-Policy"); policy != templatePolicy {
		t.Errorf("policy %q", policy)
	}
	if typ := write(t, "GET", p).Header.Get("Content-Type"); typ != "application/problem+json" {
		t.Errorf("a program got %s", typ)
	}
}

func TestTemplateFallsBack(t *testing.T) {
	own, err := ParseTemplate("own.html", `{{if eq .Status 599}}{{index .Host 1000000}}{{end}}x`)
	if err != nil {
		t.Fatal(err)
	}
	p := sample()
	p.Template, p.Status, p.Reason = own, 599, event.Rule
	got := write(t, "GET", p, "Accept", "text/html")
	if page := bodyOf(t, got); !strings.Contains(page, p.Incident) || got.Header.Get("Content-Security-Policy") != pagePolicy {
		t.Errorf("got %s", page)
	}
}

func TestTemplateErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"syntax":        {"<p>\n{{.Incident\n</p>", "own.html:3: "},
		"unknown field": {"<p>\n\n{{.Rule}}</p>", "own.html:3:2: executing \"own.html\" at <.Rule>: can't evaluate field Rule"},
		"unknown call":  {"\n{{exec}}", `own.html:2: function "exec" not defined`},
		"open tag":      {"<a href='{{.Host}}", "own.html: "},
		"open quote":    {"\n<a href=\"x{{if .Host}}\"{{end}}>", "own.html:2"},
		"empty":         {" \n", "own.html: the page is empty"},
		"says nothing":  {"{{/* nothing */}}", "own.html: the page is empty"},
		"without host":  {"\n{{slice .Host 0 3}}", "own.html:2:2: "},
		"too large":     {"{{range 2000}}" + strings.Repeat("x", 1000) + "{{end}}", "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseTemplate("own.html", c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func BenchmarkPage(b *testing.B) {
	p := sample()
	b.ReportAllocs()
	for b.Loop() {
		if len(appendPage(nil, p.view())) == 0 {
			b.Fatal("empty")
		}
	}
}
