package proxy_test

import (
	"net/http"
	"strings"

	"gatehouse/proxy/proxytest"
)

// pathAdvisories are about targets that the gateway and what is behind it read in two ways: those of the application are
// to stay out of /admin.
func pathAdvisories() []advisory {
	targets := func(list ...string) []string {
		for i, target := range list {
			list[i] = get(target)
		}
		return list
	}
	return []advisory{
		{ids: "CVE-2025-29914", what: "Coraza: //host/ is taken for a host", requests: targets("//admin/x", "//x/../admin/x", "///admin/x", "//uploads/..//admin/x")},
		{ids: "CVE-2024-1019", what: "ModSecurity: an escaped question mark ends the path for the rules", requests: targets(
			"/x%3f/../admin", "/a%3F/../../etc/passwd", "/x%3f%3Cscript%3Ealert(1)%3C/script%3E", "/%3f<script>alert(1)</script>",
		)},
		{ids: "CVE-2025-32431", what: "Traefik: an escaped slash goes around a route", requests: targets("/x/..%2fadmin", "/x/..%2Fadmin/y", "/x%2f..%2fadmin", "/x/%2e%2e%2fadmin")},
		{ids: "CVE-2025-66490", what: "Traefik: escaped characters go around a route", requests: targets(
			"/admin%2fx", "/x%5c..%5cadmin", "/admin%00", "/x/..%3b/admin", "/x/..;/admin", "/admin%5cx", "/x/%2e%2e/admin", "/%61dmin/x",
		)},
		{ids: "CVE-2026-27585", what: "Caddy: backslashes are not sanitised", requests: targets(`/x/..\admin`, `/x\..\admin`, `/admin\x`, "/..%5c..%5cetc/passwd")},
		{ids: "GHSA-qrp7-cvwr-j2c6", what: "Caddy: an escaped backslash goes around a route", requests: targets("/admin%5csecret.txt", "/admin%5Csecret.txt")},
		{ids: "CVE-2026-27587", what: "Caddy: escapes go around a route", requests: targets("/%61dmin", "/%61%64%6d%69%6e/x", "/adm%69n", "/admin%2Fx")},
		{ids: "CVE-2009-2629", what: "nginx: dot segments lead out of the root", requests: targets("/../../x", "/x/../../..//y", "//../../../etc/passwd", "/./../x")},
		{
			ids: "CVE-2010-2266", what: "nginx: bytes that some decoders take for dots", requests: targets("/%c0.%c0./%c0.%c0./%20", "/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd"), want: survived,
			upstream: func(r proxytest.Received) string {
				if strings.Contains(r.Target(), "..") {
					return "the path was decoded"
				}
				return ""
			},
		},
		{
			ids: "CVE-2022-29718", what: "Caddy: a path with two slashes redirects to another host", want: survived, requests: targets("//evil.example.net/%2f..", "//evil.example.net/..", "//evil.example.net"),
			reply: func(r *http.Response, _ string) string {
				if location := r.Header.Get("Location"); location != "" {
					return "a redirect to " + location
				}
				return ""
			},
		},
		{ids: "CVE-2022-2880", what: "Go: a parameter that cannot be read goes to the upstream uninspected", requests: targets(
			"/?a=1;q=%3Cscript%3Ealert(1)%3C/script%3E", "/?a=%zz&q=%3Cscript%3Ealert(1)%3C/script%3E", "/?%=x&q=1%27+UNION+SELECT+password+FROM+users",
		)},
		{ids: "CVE-2021-35368", what: "CRS: words in the path switch off the inspection of the body", requests: []string{
			post("/index.php/admin/content/assets/add/x", "application/x-www-form-urlencoded", "q=1%27+UNION+SELECT+password+FROM+users"),
			post("/x/index.php/wp-json/wp/v2/posts/1", "application/x-www-form-urlencoded", "q=1%27+UNION+SELECT+password+FROM+users"),
		}},
	}
}

// headerAdvisories are about fields of the header.
func headerAdvisories() []advisory {
	without := func(names ...string) func(proxytest.Received) string {
		return func(r proxytest.Received) string {
			for _, name := range names {
				if v := r.Parsed.Header.Get(name); strings.Contains(v, "203.0.113") || strings.Contains(v, "evil") || v == "/evil" {
					return name + ": " + v + " is the client's"
				}
			}
			return ""
		}
	}
	kept := func(r proxytest.Received) string {
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip"} {
			if r.Parsed.Header.Get(name) == "" {
				return name + " is missing"
			}
		}
		return ""
	}
	return []advisory{
		{ids: "CVE-2024-45410", what: "Traefik: Connection names the headers that the gateway adds", want: survived, requests: []string{
			get("/", "Connection: X-Forwarded-For, X-Forwarded-Host, X-Real-IP"), get("/", "Connection: close, x-forwarded-proto"), get("/", "Connection: keep-alive", "Connection: X-Real-Ip"),
		}, upstream: kept},
		{ids: "CVE-2021-33197", what: "Go: an empty Connection in front hides the second", want: survived, requests: []string{
			get("/", "Connection: ", "Connection: X-Forwarded-For, X-Real-IP"), get("/", "Connection: ,", "Connection: X-Forwarded-Host"),
		}, upstream: kept},
		{ids: "CVE-2022-32148", what: "Go: the client's X-Forwarded-For is kept", want: forwarded, requests: []string{
			get("/", "X-Forwarded-For: 203.0.113.9"), get("/", "x-forwarded-for: 203.0.113.9", "X-Forwarded-For: 203.0.113.10"), get("/", "X_Forwarded_For: 203.0.113.9", "X-Real-IP: 203.0.113.9"),
		}, upstream: without("X-Forwarded-For", "X-Real-Ip", "X_Forwarded_For", "Forwarded")},
		{ids: "CVE-2023-50463", what: "a module of Caddy: whoever sends X-Forwarded-For is whoever they say", want: forwarded, requests: []string{
			get("/", "Forwarded: for=203.0.113.9"), get("/", "X-Forwarded-For: 127.0.0.1, 203.0.113.9"), get("/", "True-Client-IP: 1", "X-Forwarded-For:203.0.113.9"),
		}, upstream: without("X-Forwarded-For", "X-Real-Ip", "Forwarded")},
		{ids: "CVE-2024-52003 CVE-2020-15129", what: "Traefik: X-Forwarded-Prefix of anybody", want: forwarded, requests: []string{
			get("/", "X-Forwarded-Prefix: /evil"), get("/", "X-Forwarded-Prefix: //evil.example.net"), get("/", "X-Forwarded-Host: evil.example.net", "X-Forwarded-Port: 1"),
		}, upstream: without("X-Forwarded-Prefix", "X-Forwarded-Host")},
		{ids: "CVE-2022-23632", what: "Traefik: a dot behind the host leads elsewhere", requests: []string{
			strings.Replace(get("/admin"), "shop.example.com", "shop.example.com.", 1), strings.Replace(get("/?q=%3Cscript%3Ealert(1)%3C/script%3E"), "shop.example.com", "shop.example.com.", 1),
		}},
		{ids: "CVE-2026-27588", what: "Caddy: the host in capitals goes around a route", requests: []string{
			strings.Replace(get("/admin"), "shop.example.com", "SHOP.Example.COM", 1), strings.Replace(get("/admin"), "shop.example.com", "Shop.example.com:80", 1),
		}},
		{ids: "CVE-2023-29406", what: "Go: a host that is more than a host", requests: []string{
			strings.Replace(get("/"), "shop.example.com", "shop.example.com/x", 1), strings.Replace(get("/"), "shop.example.com", "shop.example.com#x", 1),
			strings.Replace(get("/"), "shop.example.com", "shop.example.com\tx", 1), strings.Replace(get("/"), "shop.example.com", "a@shop.example.com", 1),
		}},
		{ids: "CVE-2025-22870", what: "Go: a zone of an address that is compared as a name", requests: []string{
			strings.Replace(get("/"), "shop.example.com", "[::1%25.shop.example.com]", 1), strings.Replace(get("/"), "shop.example.com", "[::1%.shop.example.com]:80", 1),
		}},
		{ids: "CVE-2026-2836", what: "Pingora: replies are kept without the host that they are for", want: survived, requests: []string{
			get("/kept"), strings.Replace(get("/kept"), "shop.example.com", "other.example.net", 1),
		}, reply: func(r *http.Response, body string) string {
			if r.Request == nil && r.StatusCode == 200 && body != "ok\n" || r.Header.Get("Age") != "" {
				return "the reply was kept"
			}
			return ""
		}},
		{ids: "CVE-2022-39955", what: "CRS: two charsets in Content-Type", requests: []string{
			post("/", "application/x-www-form-urlencoded; charset=utf-8; charset=utf-7", "q=+ADw-script+AD4-"), post("/", "text/plain; charset=utf-7; charset=utf-8", "x"),
		}},
		{ids: "CVE-2023-38199", what: "CRS: two Content-Type fields", requests: []string{
			post("/", "application/json", "q=1%27+UNION+SELECT+password+FROM+users", "Content-Type: application/x-www-form-urlencoded"),
			post("/", "text/plain", "a", "content-type: application/xml"),
		}},
		{ids: "CVE-2022-39957", what: "CRS: a charset in Accept, for a reply that rules cannot read", requests: []string{
			strings.Replace(get("/"), "Accept: */*", "Accept: text/html; charset=utf-7", 1), strings.Replace(get("/"), "Accept: */*", "Accept: */*;charset=ibm037", 1),
		}},
		{ids: "CVE-2019-25043", what: "ModSecurity: a cookie without a name ends the process", want: survived, requests: []string{get("/", "Cookie: =abc"), get("/", "Cookie: ="), get("/", "Cookie: ;=;;=")}},
		{ids: "CVE-2019-19886", what: "ModSecurity: a cookie ends the process", want: survived, requests: []string{get("/", "Cookie: a"), get("/", "Cookie: ;"), get("/", "Cookie:  = = ; a =b=c; ==")}},
		{ids: "CVE-2017-7529", what: "nginx: a range that overflows", want: survived, requests: []string{
			get("/", "Range: bytes=-9223372036854775608,-9223372036854775000"), get("/", "Range: bytes=0-18446744073709551615"),
		}, reply: func(r *http.Response, body string) string {
			if r.StatusCode == 206 || r.StatusCode >= 500 || len(body) > 10_000 {
				return "what came back"
			}
			return ""
		}},
	}
}
