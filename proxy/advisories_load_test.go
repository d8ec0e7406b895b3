package proxy_test

import (
	"fmt"
	"strings"
)

// loadAdvisories are about small requests that cost much. Each is answered in time, and the gateway goes on.
func loadAdvisories() []advisory {
	const form, json = "application/x-www-form-urlencoded", "application/json"
	forms := func(list ...string) []string {
		for i, text := range list {
			list[i] = post("/", form, "q="+formEscape(text))
		}
		return list
	}
	many := strings.Repeat
	return []advisory{
		{ids: "GHSA-f5qm-3h4p-8qhg", what: "CRS: an expression that backtracks, in evasions of shells", want: survived, requests: forms(
			many("a=b ", 5000)+"!", many("\\", 20_000)+"x", many("$@", 10_000), many("''", 10_000)+"cat", many("x=1;", 5000)+"\"", many("`", 5000)+many("{", 5000), many("env ", 5000)+"#",
		)},
		{ids: "CVE-2019-11387 CVE-2019-11388 CVE-2019-11389", what: "CRS: expressions that backtrack, in SQL", want: survived, requests: forms(
			many("'like'", 5000), "next#"+many("9", 20_000), many("or 1 ", 5000)+"!", many("(select ", 5000), many("'+'", 5000)+"x", many("/*!", 5000), many("\"\\", 8000)+"select",
		)},
		{ids: "CVE-2019-11390 CVE-2019-11391", what: "CRS: expressions that backtrack, in PHP", want: survived, requests: forms(
			"set_error_handler#"+many("a", 20_000), "$a#"+many("a(", 10_000), many("$_GET[", 5000), "$x"+many("[0]", 8000)+"(", many("/**/", 5000)+"eval("+many("(", 5000),
		)},
		{ids: "CVE-2020-15598", what: "ModSecurity: expressions that match again and again", want: survived, requests: forms(many("<a ", 8000), many("=\"", 12_000), many("javascript:", 3000))},
		{ids: "CVE-2023-38285", what: "ModSecurity: transformations that copy at every byte", want: survived, requests: append(forms(many("\x00", 20_000), many(" ", 60_000)+"x", many("/*x*/", 12_000), many("\\\"", 10_000)),
			post("/", "text/plain", many(" ", 900_000)+"x"))},
		{ids: "CVE-2025-47947", what: "ModSecurity: masking costs the square of the arguments", want: survived, requests: []string{
			post("/", json, `{"password":[`+strings.TrimSuffix(many(`"<script>alert(1)</script>",`, 900), ",")+`]}`),
		}},
		{ids: "CVE-2025-48866", what: "ModSecurity: so does masking arguments by name", want: survived, requests: []string{post("/", form, many("password=%3Cscript%3E&", 900)), post("/", form, numbered(900))}},
		{ids: "CVE-2021-31525", what: "Go: a long header", requests: []string{get("/", "X-Long: "+many("a", 200_000)), get("/", "Connection: "+many("a,", 100_000))}},
		{ids: "CVE-2023-29013", what: "Traefik: a header of many fields", requests: []string{get("/", strings.TrimSuffix(many("X-Many: a\r\n", 20_000), "\r\n"))}},
		{ids: "CVE-2023-39326", what: "Go: extensions of chunks that are longer than the chunks", requests: []string{
			headOf("POST / HTTP/1.1", "Content-Type: text/plain", "Transfer-Encoding: chunked") + many("1;"+many("x", 3000)+"\r\na\r\n", 100) + "0\r\n\r\n",
		}},
		{ids: "CVE-2016-4450", what: "nginx: a body that is kept in a file ends the process", want: survived, requests: []string{
			post("/", "text/plain", many("some words; ", 40_000)),
			headOf("POST / HTTP/1.1", "Content-Type: application/octet-stream", "Transfer-Encoding: chunked") + many("2000\r\n"+many("a", 8192)+"\r\n", 100) + "0\r\n\r\n",
		}},
	}
}

// numbered is a form of n parameters that are masked.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "token%d=%%3Cscript%%3E&", i)
	}
	return b.String()
}
