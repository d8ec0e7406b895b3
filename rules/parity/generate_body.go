package parity

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// body is a request body with its Content-Type.
func (g *exchangeGenerator) body() (contentType, body string) {
	switch n := g.N(100); {
	case n < 30:
		contentType, body = pick(g.Choices, []string{"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-URLencoded"}), g.pairs("post", 6)
	case n < 50:
		contentType, body = pick(g.Choices, []string{"application/json", "application/json; charset=utf-8", "application/vnd.api+json", "text/json"}), g.json(3)
	case n < 70:
		contentType, body = g.multipart()
	case n < 83:
		contentType, body = pick(g.Choices, []string{"application/xml", "text/xml; charset=utf-8", "application/soap+xml"}), g.xml()
	case n < 88:
		contentType, body = "text/plain", g.value()
	case n < 91:
		contentType, body = "application/x-ndjson", g.json(1)+"\n"+g.json(1)+"\n"
	case n < 94:
		contentType, body = "application/octet-stream", g.noise(g.N(60))
	case n < 97:
		contentType, body = "", g.pairs("post", 3)
	default:
		contentType, body = pick(g.Choices, []string{"application/unknown", "text/plain; charset=utf-7", "x", "multipart/form-data"}), g.value()
	}
	if g.Chance(6) && body != "" { // broken
		at := g.N(len(body))
		switch g.N(3) {
		case 0:
			body = body[:at]
		case 1:
			body = body[:at] + string(rune(g.N(128))) + body[at:]
		default:
			body = body[:at] + body[min(at+1, len(body)):]
		}
	}
	return contentType, body
}

// json is a JSON document of some depth. Its strings may be no UTF-8.
func (g *exchangeGenerator) json(depth int) string {
	if depth == 0 || g.Chance(15) {
		return g.jsonScalar()
	}
	var b strings.Builder
	if g.Chance(25) {
		b.WriteByte('[')
		for i := range g.N(4) {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(g.json(depth - 1))
		}
		b.WriteByte(']')
		return b.String()
	}
	b.WriteByte('{')
	seen := make(map[string]bool)
	first := true
	for range g.N(5) {
		name := pick(g.Choices, []string{"a", "b", "A", "q", "id", "name", "user.name", "", "0", "é"})
		if g.unique && seen[strings.ToLower(name)] {
			continue
		}
		seen[strings.ToLower(name)] = true
		if !first {
			b.WriteByte(',')
		}
		first = false
		fmt.Fprintf(&b, "%s:%s", jsonString(name), g.json(depth-1))
	}
	b.WriteByte('}')
	return b.String()
}

func (g *exchangeGenerator) jsonScalar() string {
	switch g.N(8) {
	case 0:
		return pick(g.Choices, []string{"0", "1", "-5", "10", "1.5e3", "12345678901234567890", "-0.0"})
	case 1:
		return pick(g.Choices, []string{"true", "false", "null"})
	case 2:
		return `"` + strings.NewReplacer(`"`, `\u0022`, `\`, `\u005c`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\x00", `\u0000`).Replace(g.value()) + `"`
	}
	return jsonString(g.value())
}

func jsonString(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s) // cannot be: a string is always encoded
	}
	return string(b)
}

func (g *exchangeGenerator) multipart() (contentType, body string) {
	const boundary = "----xYzZY"
	end := "\r\n"
	if g.Chance(4) {
		end = "\n"
	}
	var b strings.Builder
	for range g.N(5) {
		name := strings.NewReplacer("\"", "", "\r", "", "\n", "", "\\", "").Replace(g.themed(argumentNames, func(t *theme) []string { return t.names }))
		if !g.fresh("argument", name) {
			continue
		}
		b.WriteString("--" + boundary + end)
		disposition := `Content-Disposition: form-data; name="` + name + `"`
		if g.Chance(30) {
			file := pick(g.Choices, []string{"a.txt", "shell.php", "a.php.jpg", "../x", "é.png", "", "a'b.txt", ".htaccess"})
			disposition += `; filename="` + file + `"` + end + "Content-Type: " + pick(g.Choices, []string{"text/plain", "image/png", "application/x-php"})
			if g.Chance(10) {
				disposition = strings.Replace(disposition, "filename=", "filename*=utf-8''x; filename=", 1)
			}
		}
		if g.Chance(10) {
			disposition += end + pick(g.Choices, []string{"X-Part: " + oneLine(g.value()), "content-disposition: form-data; name=\"q\"", "Content-Transfer-Encoding: base64"})
		}
		b.WriteString(disposition + end + end + g.value() + end)
	}
	b.WriteString("--" + boundary + "--" + end)
	return pick(g.Choices, []string{"multipart/form-data; boundary=" + boundary, "multipart/form-data; boundary=\"" + boundary + "\"", "multipart/form-data; charset=utf-8; boundary=" + boundary}), b.String()
}

func (g *exchangeGenerator) xml() string {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\"", "&quot;", "\x00", "").Replace
	var element func(depth int) string
	element = func(depth int) string {
		name := pick(g.Choices, []string{"a", "b", "item", "soap:Body"})
		var b strings.Builder
		b.WriteString("<" + name)
		if g.Chance(30) {
			fmt.Fprintf(&b, ` x="%s"`, escape(g.value()))
		}
		b.WriteByte('>')
		for range g.N(3) {
			switch {
			case depth > 0 && g.Chance(40):
				b.WriteString(element(depth - 1))
			case g.Chance(15):
				b.WriteString("<![CDATA[" + strings.ReplaceAll(g.value(), "]]>", "") + "]]>")
			default:
				b.WriteString(escape(g.value()))
			}
		}
		return b.String() + "</" + name + ">"
	}
	head := pick(g.Choices, []string{"", `<?xml version="1.0"?>`, `<?xml version="1.0" encoding="utf-8"?>`, "<!-- c -->", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>`})
	return head + element(2)
}
