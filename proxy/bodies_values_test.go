package proxy_test

import (
	"fmt"
	"strings"

	"gatehouse/proxy/event"
)

// xmlCases are ways to write XML.
func xmlCases() []bodyCase {
	var list []bodyCase
	add := func(name string, body func(string) string, reasons ...event.Reason) {
		list = append(list, bodyCase{name: "XML, " + name, contentType: "application/xml", body: body, reasons: reasons})
	}
	split := func(v, by string) string { // in the middle of a word of the attack
		at := strings.Index(v, "NION")
		if at < 0 {
			at = len(v) / 2
		}
		return xmlEscape(v[:at]) + by + xmlEscape(v[at:])
	}
	in := func(text string) string { return "<a><q>" + text + "</q></a>" }
	add("a comment inside", func(v string) string { return in(split(v, "<!-- x -->")) })
	add("CDATA inside", func(v string) string { return in(split(v, "<![CDATA[]]>")) })
	add("all in CDATA", func(v string) string { return in("<![CDATA[" + v + "]]>") })
	add("CDATA in pieces", func(v string) string {
		return in("<![CDATA[" + v[:5] + "]]><![CDATA[" + v[5:9] + "]]>" + xmlEscape(v[9:]))
	})
	add("an element inside", func(v string) string { return in(split(v, "<x/>")) })
	add("a processing instruction inside", func(v string) string { return in(split(v, "<?x y?>")) })
	add("an attribute", func(v string) string { return `<a q="` + xmlEscape(v) + `"/>` })
	add("an attribute in single quotes", func(v string) string { return `<a q='` + strings.ReplaceAll(xmlEscape(v), "'", "&#39;") + `'/>` })
	add("an attribute with references", func(v string) string { return `<a q="` + references(v, "&#%d;") + `"/>` })
	add("an attribute with a prefix", func(v string) string { return `<a xmlns:x="urn:x" x:q="` + xmlEscape(v) + `"/>` })
	add("an attribute deep inside", func(v string) string { return "<a><b><c d='1'><e f=\"" + xmlEscape(v) + "\">x</e></c></b></a>" })
	add("a namespace", func(v string) string { return `<a xmlns:q="` + xmlEscape(v) + `"/>` })
	add("a comment", func(v string) string { return "<a><!--" + strings.ReplaceAll(v, "--", "- ") + "--></a>" })
	add("a processing instruction", func(v string) string { return "<a><?x " + v + "?></a>" })
	add("references", func(v string) string { return in(references(v, "&#%d;")) })
	add("hexadecimal references", func(v string) string { return in(references(v, "&#x%x;")) })
	add("references with zeros", func(v string) string { return in(references(v, "&#x000%X;")) })
	add("prefixes", func(v string) string { return `<x:a xmlns:x="urn:x"><x:q>` + xmlEscape(v) + "</x:q></x:a>" })
	add("a declaration", func(v string) string { return `<?xml version="1.0" encoding="UTF-8"?>` + asXML(v) })
	add("a declaration in single quotes", func(v string) string { return `<?xml version='1.0' encoding='utf-8' standalone='yes'?>` + asXML(v) })
	add("a mark in front", func(v string) string { return "\xef\xbb\xbf" + asXML(v) })
	add("SOAP", func(v string) string {
		return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><m:q xmlns:m="urn:m">` + xmlEscape(v) + "</m:q></s:Body></s:Envelope>"
	})
	add("XML-RPC", func(v string) string {
		return "<methodCall><methodName>a</methodName><params><param><value><string>" + xmlEscape(v) + "</string></value></param></params></methodCall>"
	})
	for _, encoding := range []string{"us-ascii", "ISO-8859-1", "windows-1252"} {
		add("declared as "+encoding, func(v string) string { return `<?xml version="1.0" encoding="` + encoding + `"?>` + asXML(v) })
	}
	for _, encoding := range []string{
		"UTF-16", "utf-16le", "UTF-16BE", "UTF-32", "UTF-7", "IBM037", "ibm500", "cp1047", "EBCDIC-CP-US", "shift_jis", "gb18030", "big5", "hz-gb-2312", "iso-2022-jp",
		"x-unheard-of", "ISO-10646-UCS-4", "utf-8 ", "UTF-8\" encoding=\"UTF-7",
	} {
		add("declared as "+encoding, func(v string) string { return `<?xml version="1.0" encoding="` + encoding + `"?>` + asXML(v) }, event.Charset, event.BodySyntax)
	}
	add("declared with spaces as UTF-7", func(v string) string { return "<?xml version='1.0'\n encoding \n=\n 'UTF-7' ?>" + asXML(v) }, event.Charset, event.BodySyntax)
	for name, prolog := range map[string]string{
		"an internal entity":      `<!DOCTYPE a [<!ENTITY e "1' UNION SELECT 1">]>`,
		"an external entity":      `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>`,
		"a parameter entity":      `<!DOCTYPE a [<!ENTITY % p SYSTEM "http://192.0.2.1/p"> %p;]>`,
		"an external subset":      `<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd">`,
		"a public identifier":     `<!DOCTYPE a PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://192.0.2.1/a.dtd">`,
		"a bare document type":    `<!DOCTYPE a>`,
		"a lower-case doctype":    `<!doctype a [<!ENTITY e "x">]>`,
		"billions of laughs":      `<!DOCTYPE a [<!ENTITY e "ha"><!ENTITY f "&e;&e;&e;&e;">]>`,
		"a default attribute":     `<!DOCTYPE a [<!ATTLIST a q CDATA "1' UNION SELECT 1">]>`,
		"a doctype past comments": `<?xml version="1.0"?><!-- x --><?p y?><!DOCTYPE a [<!ENTITY e "x">]>`,
	} {
		add(name, func(v string) string { return prolog + "<a>&e;" + xmlEscape(v) + "</a>" }, event.Doctype, event.BodySyntax)
	}
	add("a document type inside", func(v string) string { return "<a><!DOCTYPE a [<!ENTITY e 'x'>]>" + xmlEscape(v) + "</a>" }, event.Doctype, event.BodySyntax)
	add("an entity inside", func(v string) string { return "<a><!ENTITY e 'x'>" + xmlEscape(v) + "</a>" }, event.BodySyntax)
	add("an unknown entity", func(v string) string { return in("&unheard;" + xmlEscape(v)) }, event.BodySyntax)
	add("an open element", func(v string) string { return "<a><q>" + xmlEscape(v) + "</q>" }, event.BodySyntax)
	add("an end without a start", func(v string) string { return "<a>" + xmlEscape(v) + "</b></a>" }, event.BodySyntax)
	add("elements that overlap", func(v string) string { return "<a><b>" + xmlEscape(v) + "</a></b>" }, event.BodySyntax)
	add("two roots", func(v string) string { return asXML("1") + asXML(v) }, event.BodySyntax)
	add("text behind the root", func(v string) string { return asXML("1") + v }, event.BodySyntax)
	add("text in front of the root", func(v string) string { return v + asXML("1") }, event.BodySyntax)
	add("no element", asText, event.BodySyntax)
	add("an attribute without quotes", func(string) string { return "<a q=x>1</a>" }, event.BodySyntax)
	add("an attribute without a value", func(string) string { return "<a q>1</a>" }, event.BodySyntax)
	add("an attribute twice", func(v string) string { return `<a q="1" q="` + xmlEscape(v) + `"/>` }, event.BodySyntax)
	add("invalid UTF-8", func(v string) string { return in("\xc0\xbc" + xmlEscape(v)) }, event.BodySyntax)
	add("a control character", func(v string) string { return in("\x01" + xmlEscape(v)) }, event.BodySyntax)
	add("a NUL", func(v string) string { return in("\x00" + xmlEscape(v)) }, event.BodySyntax)
	add("a reference to NUL", func(v string) string { return in("&#0;" + xmlEscape(v)) }, event.BodySyntax)
	add("deep elements", func(v string) string {
		return strings.Repeat("<a>", 2000) + xmlEscape(v) + strings.Repeat("</a>", 2000)
	}, event.BodySyntax)
	add("many elements", func(v string) string {
		return "<a>" + strings.Repeat("<b>x</b>", 2500) + "<q>" + xmlEscape(v) + "</q></a>"
	}, event.Arguments)
	add("many attributes", func(v string) string {
		var b strings.Builder
		for i := range 2500 {
			fmt.Fprintf(&b, " a%d='x'", i)
		}
		return "<a" + b.String() + ` q="` + xmlEscape(v) + `"/>`
	}, event.Arguments)
	return list
}

// references writes every byte as a character reference.
func references(v, format string) string {
	var b strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&b, format, v[i])
	}
	return b.String()
}

// jsonCases are ways to write JSON.
func jsonCases() []bodyCase {
	var list []bodyCase
	add := func(name string, body func(string) string, reasons ...event.Reason) {
		list = append(list, bodyCase{name: "JSON, " + name, contentType: "application/json", body: body, reasons: reasons})
	}
	in := func(format string) func(string) string {
		return func(v string) string { return strings.ReplaceAll(format, "$", jsonString(v)) }
	}
	add("escapes", func(v string) string { return `{"q":"` + references(v, `\u%04x`) + `"}` })
	add("escapes in capitals", func(v string) string { return `{"q":"` + references(v, `\u%04X`) + `"}` })
	add("a key", in(`{$:1}`))
	add("an escaped key", func(v string) string { return `{"` + references(v, `\u%04x`) + `":1}` })
	add("an array", in(`[1,[2,[$]]]`))
	add("a lone string", in(`$`))
	add("deep", in(strings.Repeat(`{"a":[`, 40)+`$`+strings.Repeat(`]}`, 40)))
	add("white space", in("\r\n\t {\r\n\t \"q\" \r\n\t : \r\n\t $ \r\n\t } \r\n\t "))
	add("an empty key", in(`{"":$}`))
	for name, format := range map[string]string{
		"a key twice":                 `{"q":1,"q":$}`,
		"a key twice, escaped":        `{"q":1,"\u0071":$}`,
		"a key twice inside":          `{"a":{"q":$,"q":1}}`,
		"trailing data":               `{"q":1}$`,
		"two documents":               `{"q":1}{"q":$}`,
		"a document behind a newline": "{\"q\":1}\n{\"q\":$}",
		"a trailing comma":            `{"q":$,}`,
		"a trailing comma in a list":  `[$,]`,
		"a comment":                   `{"q":/* x */$}`,
		"a line comment":              "{\"q\":$}// x",
		"keys without quotes":         `{q:$}`,
		"single quotes":               `{'q':$}`,
		"NaN":                         `{"a":NaN,"q":$}`,
		"Infinity":                    `{"a":-Infinity,"q":$}`,
		"a hexadecimal number":        `{"a":0x1F,"q":$}`,
		"a leading zero":              `{"a":01,"q":$}`,
		"a leading plus":              `{"a":+1,"q":$}`,
		"a bare point":                `{"a":.5,"q":$}`,
		"capitals":                    `{"a":TRUE,"q":$}`,
		"a bad escape":                `{"a":"\x41","q":$}`,
		"a short escape":              `{"a":"\u41","q":$}`,
		"a newline in a string":       "{\"a\":\"\n\",\"q\":$}",
		"a NUL":                       "{\"a\":\"\x00\",\"q\":$}",
		"a NUL behind":                "{\"q\":$}\x00",
		"a mark in front":             "\xef\xbb\xbf{\"q\":$}",
		"invalid UTF-8":               "{\"a\":\"\xff\",\"q\":$}",
		"overlong UTF-8":              "{\"a\":\"\xc0\xbcscript\xc0\xbe\",\"q\":$}",
		"a surrogate in UTF-8":        "{\"a\":\"\xed\xa0\x80\",\"q\":$}",
		"a vertical tab":              "{\"q\":\v$}",
		"an open string":              `{"q":$,"a":"`,
		"an open object":              `{"q":$`,
		"a prefix":                    `)]}',{"q":$}`,
		"a function":                  `f({"q":$})`,
		"too deep":                    strings.Repeat(`[`, 200) + `$` + strings.Repeat(`]`, 200),
		"a long key":                  `{"` + strings.Repeat("k", 5000) + `":1,"q":$}`,
	} {
		add(name, in(format), event.BodySyntax)
	}
	add("many values", func(v string) string { return `[` + strings.Repeat("1,", 1000) + jsonString(v) + `]` }, event.Arguments)
	add("many keys", func(v string) string {
		var b strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&b, `"k%d":1,`, i)
		}
		return "{" + b.String() + `"q":` + jsonString(v) + "}"
	}, event.Arguments)
	add("many empty lists", func(v string) string { return `[` + strings.Repeat("[],", 1000) + jsonString(v) + `]` }, event.Arguments)
	add("a very deep document", func(string) string { return strings.Repeat(`[`, 100_000) }, event.BodySyntax)
	return list
}

// formCases are ways to write forms.
func formCases() []bodyCase {
	var list []bodyCase
	add := func(name, attack string, body func(string) string, reasons ...event.Reason) {
		list = append(list, bodyCase{name: "form, " + name, contentType: "application/x-www-form-urlencoded", body: body, attack: attack, reasons: reasons})
	}
	const script = "<script>alert(document.cookie)</script>"
	add("plus signs", "", func(v string) string { return "q=" + strings.ReplaceAll(v, " ", "+") })
	add("every byte escaped", "", func(v string) string { return "q=" + references(v, "%%%02x") })
	add("escaped in capitals", "", func(v string) string { return "q=" + references(v, "%%%02X") })
	add("escaped twice", script, func(v string) string { return "q=" + strings.ReplaceAll(references(v, "%%%02x"), "%", "%25") })
	add("escaped twice in the same digits", script, func(v string) string { return "q=" + references(v, "%%25%02x") })
	add("Microsoft's escapes", script, func(v string) string { return "q=" + references(v, "%%u%04x") })
	add("HTML references", script, func(v string) string { return "q=" + formEscape(references(v, "&#%d;")) })
	add("the name", "", func(v string) string { return formEscape(v) + "=1" })
	add("a name without a value", "", func(v string) string { return formEscape(v) })
	add("no name", "", func(v string) string { return "=" + formEscape(v) })
	add("an escaped name", script, func(v string) string { return references(v, "%%%02x") + "=1" })
	add("a name in brackets", "", func(v string) string { return "a[b][]=" + formEscape(v) })
	add("a repeated name", "", func(v string) string { return "q=1&q=" + formEscape(v) })
	add("the first of a repeated name", "", func(v string) string { return "q=" + formEscape(v) + "&q=1" })
	add("the last of as many as there may be", "", func(v string) string { return strings.Repeat("a=1&", 999) + "q=" + formEscape(v) })
	add("ampersands", "", func(v string) string { return "&&&q=" + formEscape(v) + "&&&" })
	add("semicolons", "", func(v string) string { return "a=1;q=" + formEscape(v) })
	add("bytes that are no escape", "", func(v string) string { return "a=%zz%&q=" + formEscape(v) })
	add("a line break", "", func(v string) string { return "q=" + formEscape(v) + "\r\n" })
	add("the limit and one", "", func(v string) string { return strings.Repeat("a=1&", 1000) + "q=" + formEscape(v) }, event.Arguments)
	add("the limit and one, empty", "", func(v string) string { return strings.Repeat("a&", 1000) + formEscape(v) }, event.Arguments)
	add("a NUL", "", func(v string) string { return "q=%00" + formEscape(v) }, event.CRSScore)
	add("_charset_", "", func(v string) string { return "_charset_=utf-7&q=" + formEscape(v) }, event.Charset, event.BodySyntax, event.CRSScore)
	overlong := func(format string) func(string) string {
		return func(v string) string {
			var b strings.Builder
			for i := range len(v) {
				if c := v[i]; c == '<' || c == '>' || c == '\'' {
					fmt.Fprintf(&b, format, c>>6, c&0x3f|0x80)
				} else {
					b.WriteString(formEscape(v[i : i+1]))
				}
			}
			return "q=" + b.String() + "%c0%a0"
		}
	}
	add("overlong UTF-8 of two bytes", "<script>", overlong("%%c%x%%%02x"))
	add("overlong UTF-8 of three bytes", "<script>", func(v string) string {
		return strings.ReplaceAll(overlong("%%e0%%8%x%%%02x")(v), "%c0%a0", "%e0%80%a0")
	})
	add("overlong UTF-8 of four bytes", "<script>", func(v string) string {
		return strings.ReplaceAll(overlong("%%f0%%80%%8%x%%%02x")(v), "%c0%a0", "%f0%80%80%a0")
	})
	add("UTF-7", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-", func(v string) string { return "q=" + formEscape(v) })
	return list
}
