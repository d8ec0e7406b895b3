package reply

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"net/url"
	"strconv"
	"strings"
)

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// pagePolicy allows the page its own style and script, by their hashes, and nothing else.
var pagePolicy = "default-src 'none'; style-src " + hashSource(pageStyle) + "; script-src " + hashSource(pageScript) +
	"; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// appendPage appends our own page. It is written by hand and not by a template: under attack it is made often.
func appendPage(b []byte, v view) []byte {
	add := func(parts ...string) {
		for _, s := range parts {
			b = append(b, s...)
		}
	}
	esc := html.EscapeString
	add(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>`, esc(v.Title), `</title>
<style>`, pageStyle, `</style>
</head>
<body>
<main>
<p class="status">`, strconv.Itoa(v.Status), ` <span>`, esc(statusText(v.Status)), `</span></p>
<h1>`, esc(v.Title), `</h1>
<p class="what">`, esc(v.Message), `</p>
`)
	if v.Incident != "" {
		add(`<section aria-labelledby="label">
<div><h2 id="label">Incident ID</h2>
<p><code id="id">`, esc(v.Incident), `</code></p></div>
<button id="copy" type="button" hidden>Copy</button>
<p id="said" class="said" role="status"></p>
</section>
`)
	}
	add("<dl>\n<div><dt>Time</dt><dd>", esc(v.Time), "</dd></div>\n")
	if v.Host != "" {
		add("<div><dt>Site</dt><dd>", esc(strings.ToValidUTF8(v.Host, "\ufffd")), "</dd></div>\n")
	}
	add("</dl>\n<p class=\"help\">", contactSentence(v), "</p>\n</main>\n")
	if v.Incident != "" {
		add("<script>", pageScript, "</script>\n")
	}
	add("</body>\n</html>\n")
	return b
}

// contactSentence says whom to ask, as HTML.
func contactSentence(v view) string {
	sentence := "If you think this is a mistake, contact "
	if v.Status >= 500 {
		sentence = "If this goes on, contact "
	}
	href, shown := contactLink(v.Contact, v.Incident)
	switch {
	case href != "":
		sentence += `<a href="` + html.EscapeString(href) + `">` + html.EscapeString(shown) + `</a>`
	case v.Contact != "":
		sentence += html.EscapeString(strings.TrimRight(strings.ToValidUTF8(v.Contact, "\ufffd"), " ."))
	default:
		sentence += "the people who run this site"
	}
	if v.Incident == "" {
		return sentence + "."
	}
	return sentence + ". Please give the incident ID."
}

// contactLink gives the link for a contact that is an e-mail address, a mailto: or an http(s): URL, and its text; for
// anything else nothing. A mail gets the incident ID as its subject.
func contactLink(contact, incident string) (href, shown string) {
	contact = strings.TrimSpace(contact)
	u, err := url.Parse(contact)
	if err != nil || strings.ContainsAny(contact, " \t\r\n<>\"") {
		return "", ""
	}
	switch strings.ToLower(u.Scheme) {
	case "https", "http":
		if u.Host == "" {
			return "", ""
		}
		return u.String(), strings.TrimSuffix(contact[len(u.Scheme)+len("://"):], "/")
	case "mailto":
	case "":
		local, domain, ok := strings.Cut(contact, "@")
		if !ok || local == "" || !strings.Contains(domain, ".") || strings.ContainsAny(contact, "/?#:\\") || strings.Contains(domain, "@") {
			return "", ""
		}
		contact = "mailto:" + contact
	default:
		return "", ""
	}
	shown, _, hasQuery := strings.Cut(contact[len("mailto:"):], "?")
	if incident != "" && !hasQuery {
		contact += "?subject=" + url.PathEscape("Incident "+incident)
	}
	return contact, shown
}
