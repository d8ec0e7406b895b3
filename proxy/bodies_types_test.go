package proxy_test

import (
	"fmt"
	"strings"

	"gatehouse/proxy/event"
)

// typeCases are spellings of Content-Type.
func typeCases() []bodyCase {
	var list []bodyCase
	for _, group := range []struct {
		body  func(string) string
		types []string
	}{
		{asForm, []string{"Application/X-WWW-Form-URLEncoded", "application/x-www-form-urlencoded;boundary=xyz", "application/vnd.x-www-form-urlencoded", "image/x-www-form-urlencoded"}},
		{asJSON, []string{
			"APPLICATION/JSON", "application/json ;charset=utf-8", "text/json", "application/vnd.api+json", "application/problem+json",
			"application/ld+json", "application/graphql-response+json", "application/geo+json", "application/csp-report", "application/reports+json",
			"application/merge-patch+json", "application/json-patch+json", "image/json", "model/json", "text/x-json", "application/vnd.a.json",
		}},
		{asNDJSON, []string{"application/ndjson", "application/jsonl", "application/jsonlines", "application/X-NDJSON"}},
		{asXML, []string{
			"text/xml", "TEXT/XML", "application/soap+xml; action=\"urn:a\"", "application/atom+xml", "application/xhtml+xml", "image/svg+xml",
			"application/rss+xml", "application/xml-dtd+xml", "application/vnd.a+xml", "video/xml", "application/vnd.a-xml",
		}},
		{asText, []string{"text/html", "text/javascript", "text/x-unheard-of", "text/markdown", "text/css", "application/json-seq"}},
		{asMultipart, []string{
			"Multipart/Form-Data; boundary=xyz", `multipart/form-data; boundary="xyz"`, "multipart/form-data;boundary=xyz", "multipart/form-data; Boundary=xyz",
			"multipart/form-data; charset=utf-8; boundary=xyz", "multipart/mixed; boundary=xyz", "multipart/related; boundary=xyz",
		}},
	} {
		for _, contentType := range group.types {
			list = append(list, bodyCase{name: "type " + contentType, contentType: contentType, body: group.body})
		}
	}
	for _, contentType := range []string{
		"application/x-unheard-of", "nonsense", "/", "application/", "/json", "application/json, text/plain", "application/json text/plain",
		"application /json", "application/ json", "application/*", "*/*", "application/x-www-form-urlencoded, application/json",
		"application/x-www-form-urlencoded boundary=xyz", "application/json; a", "application/json; a=", "application/json; a=b c",
		"application/x-java-serialized-object", "application/javascript", "application/x-javascript", "application/yaml", "application/x-yaml", "application/graphql",
		"application/x-amf", "application/x-json", "application/x-www-form-urlencoded-a", "application/xml-external-parsed-entity", "application/sparql-query", "json", "form", "application/x-www-form-urlencoded/json",
		"multipart/form-data boundary=xyz", "multipart/form-data; boundary=xyz; boundary=abc", "application/x-httpd-php", "\"application/json\"", "application/json\\",
	} {
		list = append(list, bodyCase{
			name: "type " + contentType + ", refused", contentType: contentType, body: asForm, reasons: []event.Reason{event.ContentType},
		})
	}
	for _, contentType := range []string{ // which CRS takes for an attempt to confuse
		"application/json;", "application/x-www-form-urlencoded;", "application/x-www-form-urlencoded ; a=b", "application/JSON;odata=verbose",
		"application/hal+json; profile=\"a;b\"", "text/plain; format=flowed",
	} {
		list = append(list, bodyCase{name: "type " + contentType + ", odd", contentType: contentType, body: asText, reasons: []event.Reason{event.CRSScore, event.BodySyntax}})
	}
	for _, second := range []string{"application/json", "application/x-www-form-urlencoded", "", "text/plain"} {
		list = append(list, bodyCase{
			name: "two types, " + second, contentType: "application/x-www-form-urlencoded", headers: []string{"Content-Type: " + second},
			body: asForm, reasons: []event.Reason{event.ContentType},
		})
	}
	return append(list,
		bodyCase{
			name: "type with a parameter too many", contentType: "application/x-www-form-urlencoded" + parameters(17), body: asForm,
			reasons: []event.Reason{event.ContentType},
		},
		bodyCase{
			name: "type of 2 KiB", contentType: "application/x-www-form-urlencoded; a=" + strings.Repeat("x", 2<<10), body: asForm,
			reasons: []event.Reason{event.ContentType},
		},
		bodyCase{
			name: "multipart with a parameter too many", contentType: "multipart/form-data; boundary=xyz" + parameters(16), body: asMultipart,
			reasons: []event.Reason{event.ContentType},
		},
		bodyCase{name: "no type, a form", body: asForm, reasons: []event.Reason{event.ContentType, event.CRSScore}},
		bodyCase{name: "no type, JSON", body: asJSON, reasons: []event.Reason{event.ContentType, event.CRSScore}},
	)
}

// parameters writes n parameters of a Content-Type.
func parameters(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "; p%d=x", i)
	}
	return b.String()
}

// part writes a multipart part with header lines.
func part(value string, headers ...string) string {
	return "--xyz\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + value + "\r\n"
}

const (
	fieldQ = `Content-Disposition: form-data; name="q"`
	fileQ  = `Content-Disposition: form-data; name="q"; filename="a.txt"`
	last   = "--xyz--\r\n"
)

// multipartCases are ways to write multipart/form-data that parsers read differently.
func multipartCases() []bodyCase {
	const plain = "multipart/form-data; boundary=xyz"
	var list []bodyCase
	add := func(name, contentType string, body func(string) string, reasons ...event.Reason) {
		list = append(list, bodyCase{name: "multipart, " + name, contentType: contentType, body: body, reasons: reasons})
	}
	field := func(headers ...string) func(string) string {
		return func(v string) string { return part(v, headers...) + last }
	}
	add("a field with a type", plain, field(fieldQ, "Content-Type: text/plain"))
	add("a field with a charset that is read", plain, field(fieldQ, "Content-Type: text/plain; charset=utf-8"))
	add("header names in lower case", plain, field(strings.ToLower(fieldQ)))
	add("binary transfer encoding", plain, field(fieldQ, "Content-Transfer-Encoding: binary"), event.CRSScore)
	add("8bit transfer encoding", plain, field(fieldQ, "Content-Transfer-Encoding: 8BIT"), event.CRSScore)
	add("the attack second", plain, func(v string) string {
		return part("1", `Content-Disposition: form-data; name="a"`) + part(v, fieldQ) + last
	})
	add("boundary with signs", `multipart/form-data; boundary="a'()+_,-./:=?z"`, func(v string) string {
		return strings.ReplaceAll(field(fieldQ)(v), "--xyz", "--a'()+_,-./:=?z")
	})
	add("boundary of digits and dashes", "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW", func(v string) string {
		return strings.ReplaceAll(field(fieldQ)(v), "--xyz", "------WebKitFormBoundary7MA4YWxkTrZu0gW")
	})
	add("a line like the boundary inside", plain, field(fieldQ+"\r\n\r\n--xy"))
	add("a longer boundary inside", plain, field(fieldQ+"\r\n\r\n--xyzz"), event.BodySyntax)
	add("a name that is no token, without quotes", plain, field(`Content-Disposition: form-data; name=q(`), event.BodySyntax)
	for _, charset := range []string{"utf-7", "utf-16", "UTF-16LE", "utf-32", "ibm037", "ibm500", "cp1047", "x-user-defined", "shift_jis", "iso-2022-jp", "hz-gb-2312"} {
		add("part charset "+charset, plain, field(fieldQ, "Content-Type: text/plain; charset="+charset), event.BodySyntax)
	}
	add("part charset in quotes", plain, field(fieldQ, `Content-Type: text/plain; charset="utf-7"`), event.BodySyntax)
	add("part charset in capitals", plain, field(fieldQ, `content-type: text/plain; CHARSET=UTF-7`), event.BodySyntax)
	add("part charset of the first part", plain, func(v string) string {
		return part("1", `Content-Disposition: form-data; name="a"`, "Content-Type: text/plain; charset=utf-7") + part(v, fieldQ, "Content-Type: text/plain; charset=utf-8") + last
	}, event.BodySyntax)
	add("part charset of the last part", plain, func(v string) string {
		return part(v, fieldQ, "Content-Type: text/plain; charset=utf-8") + part("1", `Content-Disposition: form-data; name="a"`, "Content-Type: text/plain; charset=utf-7") + last
	}, event.BodySyntax)
	add("part type twice", plain, field(fieldQ, "Content-Type: text/plain", "Content-Type: text/plain; charset=utf-7"), event.BodySyntax)
	add("_charset_", plain, func(v string) string {
		return part("utf-7", `Content-Disposition: form-data; name="_charset_"`) + part(v, fieldQ) + last
	}, event.BodySyntax)
	for _, encoding := range []string{"base64", "quoted-printable", "BASE64", "x-uuencode", "7bit, base64", "gzip"} {
		add("transfer encoding "+encoding, plain, field(fieldQ, "Content-Transfer-Encoding: "+encoding), event.BodySyntax)
	}
	add("part with a content encoding", plain, field(fieldQ, "Content-Encoding: gzip"), event.BodySyntax)
	for _, d := range []string{
		`form-data; name="a"; name="q"`, `form-data; name=q; NAME=a`, `form-data; name="q`, `form-data; name="q"x`, `form-data; name ="q"`, `form-data; name= "q"`,
		`form-data; name*=utf-8''q`, `form-data; name*0="q"`, `attachment; name="q"`, `inline; name="q"`, `form-data name="q"`,
		`form-data; name="q"; filename="a"; filename="b"`, `form-data; name="q"; filename*="utf-8''a"`, `form-data; name="q"; filename*=a`,
		`form-data; name="q"; filename*0="a"; filename*1="b"`, `form-data; name="q"; filename ="a"`, `form-data; name="q"; filename*=utf-8''%zz`,
		`form-data; name="q"; filename`, `form-data; name="q"; filename="a`, `form-data; name='q'; filename="`,
		`form-data; "name"="q"`, `form-data; na(x)me="q"`, `form-data, name="q"`, `; name="q"`,
	} {
		add("disposition "+d, plain, field("Content-Disposition: "+d), event.BodySyntax)
	}
	for name, headers := range map[string][]string{
		"disposition folded":        {"Content-Disposition: form-data;\r\n name=\"q\""},
		"disposition twice":         {fieldQ, fileQ},
		"space before the colon":    {`Content-Disposition : form-data; name="q"`},
		"a header without a colon":  {fieldQ, "nonsense"},
		"a header without a name":   {": x", fieldQ},
		"a NUL in a header":         {"Content-Disposition: form-data; name=\"q\x00\""},
		"a line feed in the header": {"X: y\n" + fieldQ},
		"a carriage return inside":  {"X: y\r" + fieldQ},
		"a space before the name":   {" " + fieldQ},
		"too many headers":          {strings.Repeat("X: y\r\n", 40) + fieldQ},
	} {
		add(name, plain, field(headers...), event.BodySyntax)
	}
	add("no disposition", plain, field("X: y"), event.BodySyntax)
	add("no headers", plain, func(v string) string { return "--xyz\r\n\r\n" + v + "\r\n" + last }, event.BodySyntax)
	add("no end", plain, func(v string) string { return part(v, fieldQ) }, event.BodySyntax)
	add("no empty line", plain, func(v string) string { return "--xyz\r\n" + fieldQ + "\r\n" + v + "\r\n" + last }, event.BodySyntax)
	add("bytes in front", plain, func(v string) string { return v + "\r\n" + part("1", fieldQ) + last }, event.BodySyntax)
	add("an empty line in front", plain, func(v string) string { return "\r\n" + part(v, fieldQ) + last })
	add("bytes behind", plain, func(v string) string { return part("1", fieldQ) + last + part(v, fieldQ) + last }, event.BodySyntax)
	add("line feeds alone", plain, func(v string) string { return strings.ReplaceAll(field(fieldQ)(v), "\r\n", "\n") }, event.BodySyntax)
	add("line feeds around the boundary", plain, func(v string) string { return "--xyz\n" + fieldQ + "\r\n\r\n" + v + "\n" + last }, event.BodySyntax)
	add("a line feed before a boundary inside", plain, func(v string) string {
		return part("1\n--xyz\r\nContent-Disposition: form-data; name=\"r\"\r\n\r\n"+v, fieldQ) + last
	}, event.BodySyntax)
	add("a carriage return before a boundary", plain, func(v string) string { return part("1\r--xyz\r\n"+fieldQ+"\r\n\r\n"+v, fieldQ) + last })
	add("space behind the boundary", plain, func(v string) string { return strings.Replace(field(fieldQ)(v), "--xyz\r", "--xyz \r", 1) }, event.BodySyntax)
	add("bytes behind the boundary", plain, func(v string) string { return strings.Replace(field(fieldQ)(v), "--xyz\r", "--xyzabc\r", 1) }, event.BodySyntax)
	add("bytes behind the end", plain, func(v string) string { return part(v, fieldQ) + "--xyz--abc\r\n" }, event.BodySyntax)
	add("another boundary", plain, func(v string) string { return strings.ReplaceAll(field(fieldQ)(v), "--xyz", "--abc") }, event.BodySyntax)
	add("a boundary in another case", plain, func(v string) string { return strings.ReplaceAll(field(fieldQ)(v), "--xyz", "--XYZ") }, event.BodySyntax)
	add("no boundary", "multipart/form-data", field(fieldQ), event.BodySyntax, event.ContentType)
	add("an empty boundary", `multipart/form-data; boundary=""`, func(v string) string { return strings.ReplaceAll(field(fieldQ)(v), "--xyz", "--") }, event.BodySyntax, event.ContentType)
	add("a boundary of 71 bytes", "multipart/form-data; boundary="+strings.Repeat("x", 71), func(v string) string {
		return strings.ReplaceAll(field(fieldQ)(v), "--xyz", "--"+strings.Repeat("x", 71))
	}, event.BodySyntax)
	add("a boundary that ends in space", `multipart/form-data; boundary="xyz "`, field(fieldQ), event.BodySyntax, event.ContentType)
	add("a boundary with a semicolon", `multipart/form-data; boundary="xyz;a"`, func(v string) string { return strings.ReplaceAll(field(fieldQ)(v), "--xyz", "--xyz;a") }, event.BodySyntax, event.ContentType)
	add("an escaped boundary", `multipart/form-data; boundary="x\yz"`, field(fieldQ), event.BodySyntax, event.ContentType)
	add("a boundary in extended form", "multipart/form-data; boundary*=utf-8''xyz", field(fieldQ), event.ContentType)
	add("a boundary in pieces", "multipart/form-data; boundary*0=x; boundary*1=yz", field(fieldQ), event.ContentType)
	add("a boundary in pieces as a decoy", "multipart/form-data; boundary=abc; boundary*0=x; boundary*1=yz", field(fieldQ), event.ContentType)
	add("a file", plain, func(v string) string { return part("x", strings.Replace(fileQ, "a.txt", v, 1)) + last })
	add("a file's field", plain, func(v string) string { return part("x", strings.Replace(fileQ, `name="q"`, `name="`+v+`"`, 1)) + last })
	add("a file in extended form", plain, func(v string) string {
		return part("x", `Content-Disposition: form-data; name="q"; filename="a"; filename*=utf-8''`+formEscape(v)) + last
	})
	add("a nested multipart", plain, func(v string) string {
		return part("--abc\r\n"+fieldQ+"\r\n\r\n"+v+"\r\n--abc--", fieldQ, "Content-Type: multipart/mixed; boundary=abc") + last
	})
	for i := range list { // these carry the value in a name, of which fewer rules look at
		if strings.Contains(list[i].name, "a file") {
			list[i].attack = "/../../../../etc/passwd.php.jsp;sleep 5"
		}
	}
	return list
}
