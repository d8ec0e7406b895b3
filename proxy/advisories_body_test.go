package proxy_test

import (
	"fmt"
	"strings"
)

// bodyAdvisories are about bodies that rules see otherwise than the application, or not at all.
func bodyAdvisories() []advisory {
	const injection = "1' UNION SELECT password FROM users -- "
	const encoded = "1%27+UNION+SELECT+password+FROM+users+--+"
	const form, xml, json = "application/x-www-form-urlencoded", "application/xml", "application/json"
	return []advisory{
		{ids: "GHSA-6jp8-c2w2-x7wr", what: "CRS: attributes of XML", requests: []string{
			post("/", xml, `<a q="`+injection+`"/>`), post("/", xml, `<a><b c="1"/><b c="`+injection+`">x</b></a>`),
			post("/", xml, `<a q="&#60;script&#62;alert(1)&#60;/script&#62;"/>`), post("/", xml, `<a q=";cat /etc/passwd|sh"/>`),
			post("/", xml, `<a q="../../../../etc/passwd"/>`), post("/", xml, `<a q="&lt;?php system($_GET['a']); ?>"/>`),
			post("/", "application/soap+xml", `<s:a xmlns:s="urn:s" s:q="`+injection+`"/>`),
		}},
		{ids: "CVE-2013-1915", what: "ModSecurity: external entities of XML", requests: []string{
			post("/", xml, `<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>`),
			post("/", "text/xml", `<?xml version="1.0"?><!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd"><a/>`),
		}},
		{ids: "CVE-2025-52891", what: "ModSecurity: an empty element of XML ends the process", want: forwarded, requests: []string{
			post("/", xml, `<a><b></b><c/></a>`), post("/", xml, `<a></a>`), post("/", xml, `<a/>`),
		}},
		{ids: "CVE-2021-42717", what: "ModSecurity: JSON that is nested without end", requests: []string{
			post("/", json, strings.Repeat("[", 50_000)), post("/", json, strings.Repeat(`{"a":`, 20_000)), post("/", json, strings.Repeat("[", 500)+strings.Repeat("]", 500)),
		}},
		{ids: "GHSA-6gcq-wc29-5xf2", what: "Coraza: JSON that takes the stack", requests: []string{
			post("/", json, strings.Repeat(`[[[[{"a":`, 100_000)), post("/", "application/vnd.api+json", strings.Repeat("[", 900_000)),
		}},
		{ids: "GHSA-5gj4-9gm7-2fx2", what: "Coraza: a key of JSON hides another", requests: []string{
			post("/", json, `{"q":"`+injection+`","q":"x"}`), post("/", json, `{"q":"x","\u0071":"`+injection+`"}`),
			post("/", json, `{"a":{"b":"`+injection+`"},"a.b":"x"}`), post("/", json, `{"a.b":"`+injection+`","a":{"b":"x"}}`),
			post("/", json, `{"a":["`+injection+`"],"a.0":"x"}`), post("/", json, `{"json.a":"`+injection+`","a":"x"}`),
		}},
		{ids: "GHSA-3ww9-vw83-9w5x", what: "Coraza: arguments beyond the limit are dropped", requests: []string{
			post("/", form, strings.Repeat("a=1&", 1000)+"q="+encoded), get("/?" + strings.Repeat("a=1&", 1000) + "q=" + encoded),
			post("/", json, "["+strings.Repeat("1,", 1000)+`"`+injection+`"]`),
		}},
		{ids: "CVE-2023-40586", what: "Coraza: a Content-Type that cannot be read ends the process", requests: []string{
			post("/", "multipart/form-data; boundary=a; boundary=b", "--a--\r\n"), post("/", "multipart/form-data; a;;=", "x"), post("/", "multipart/form-data; boundary=\"", "x"),
		}},
		{ids: "CVE-2013-2765", what: "ModSecurity: a body of a type that nobody knows", requests: []string{
			post("/", "application/x-unheard-of", "q="+encoded), headOf("POST / HTTP/1.1", fmt.Sprintf("Content-Length: %d", len("q="+encoded))) + "q=" + encoded,
		}},
		{ids: "CVE-2025-27110", what: "ModSecurity: references with zeros in front", requests: []string{
			post("/", form, "q="+formEscape("&#0000000060;script&#0000062;alert(1)&#00060;/script&#00062;")), get("/?q=" + formEscape("&#x00003c;script&#x00003e;alert(1)&#x3c;/script&#x3e;")),
		}},
		{ids: "CVE-2020-22669", what: "CRS: comments and variables in SQL", requests: []string{
			get("/?id=" + formEscape("1' union/**/select @a:=password/**/from users -- ")), get("/?id=" + formEscape("-1'/*!50000union*/ select @x:=1,2 -- ")),
		}},
	}
}

// multipartAdvisories are about multipart/form-data, which the upstream reads otherwise than the rules.
func multipartAdvisories() []advisory {
	const injection = "1' UNION SELECT password FROM users -- "
	parts := func(text string) string { return post("/", "multipart/form-data; boundary=xyz", text) }
	field := func(disposition string) string {
		return parts(part(injection, "Content-Disposition: form-data; "+disposition) + last)
	}
	charset := func(name, value string) string {
		return part(value, fmt.Sprintf("Content-Disposition: form-data; name=%q", name), "Content-Type: text/plain; charset="+map[string]string{"a": "utf-7", "b": "utf-8"}[name])
	}
	const utf7 = "+ADw-script+AD4-alert(1)+ADw-/script+AD4-"
	return []advisory{
		{ids: "CVE-2026-21876", what: "CRS: of all charsets of parts the last one counts", requests: []string{
			parts(charset("a", utf7) + charset("b", "x") + last), parts(charset("b", "x") + charset("a", utf7) + last), parts(charset("b", "x") + charset("a", utf7) + charset("b", "y") + last),
		}},
		{ids: "CVE-2022-39956", what: "CRS: parts in a charset or encoding", requests: []string{
			parts(part(utf7, fieldQ, "Content-Type: text/plain; charset=utf-7") + last), parts(part("PHNjcmlwdD4=", fieldQ, "Content-Transfer-Encoding: base64") + last),
			parts(part("=3Cscript=3E", fieldQ, "content-transfer-encoding: quoted-printable") + last), parts(part(utf7, fieldQ, "Content-Type: text/plain; Charset=\"UTF-7\"") + last),
		}},
		{ids: "CVE-2009-5031", what: "ModSecurity: a quote makes a field a file", requests: []string{
			field(`name='a;filename="b'`), field(`name="a'; filename='b";`), field(`name=';filename="';name="q"`),
		}},
		{ids: "CVE-2012-2751", what: "ModSecurity: a quote in the middle of a name", requests: []string{
			field(`name="q;filename='a.txt"`), field(`name=q';filename=';`), field(`name="q"; filename='a;b"`),
		}},
		{ids: "CVE-2012-4528", what: "ModSecurity: an invalid part in front of the attack", requests: []string{
			parts("--xyz\r\n--xyz\r\n" + fieldQ + "\r\n\r\n" + injection + "\r\n" + last), parts("--xyz\r\n\r\n\r\n" + part(injection, fieldQ) + last),
			parts("--xyz\r\nX\r\n\r\n" + part(injection, fieldQ) + last), parts("--xyz--\r\n" + part(injection, fieldQ) + last),
		}},
		{ids: "CVE-2022-48279", what: "ModSecurity: multipart that is read in more than one way", requests: []string{
			field(`name="a"; name="q"`), field(`name="q"; filename="a"; filename*=utf-8''b; filename="c"`), parts("--xyz\n" + fieldQ + "\n\n" + injection + "\n--xyz--\n"),
			parts(strings.Replace(part(injection, fieldQ)+last, "--xyz\r\n", "--xyz abc\r\n", 1)), parts(part("x", fieldQ, "Content-Disposition: form-data; name=\"q\"; filename=\"a\"") + last),
		}},
		{ids: "CVE-2023-24021", what: "ModSecurity: a NUL ends what rules see of a part", requests: []string{
			parts(part("a\x00"+injection, fieldQ) + last), parts(part("x", "Content-Disposition: form-data; name=\"q\"; filename=\"a.php\x00.txt\"") + last),
			parts(part(injection, "Content-Disposition: form-data; name=\"q\x00\"") + last),
		}},
		{ids: "CVE-2022-41725 CVE-2023-24536", what: "Go: a body of many parts", requests: []string{
			parts(strings.Repeat(part("x", fieldQ), 1200) + last), parts(strings.Repeat(part("x", fileQ), 1200) + last),
		}},
		{ids: "CVE-2023-24534", what: "Go: a part of many header lines", requests: []string{parts(part("x", fieldQ, strings.TrimSuffix(strings.Repeat("X: y\r\n", 10_000), "\r\n")) + last)}},
		{ids: "CVE-2023-45290", what: "Go: a part with a very long line", requests: []string{parts("--xyz\r\n" + fieldQ + strings.Repeat("x", 900_000))}},
	}
}
