package event

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/body"
)

func TestSecretNames(t *testing.T) {
	m := NewMasker("loyalty")
	for name, want := range map[string]bool{
		"password": true, "PASSWORD": true, "user.password": true, "user[password]": true, "newPassword": true,
		"newpassword": true, "password2": true, "passwords": true, "pwd": true, "pass": true, "access_token": true,
		"accessToken": true, "access-token": true, "refresh_token": true, "api_key": true, "apikey": true,
		"apiKey": true, "APIKey": true, "key": true, "KEY": true, "x-api-key": true, "authorization": true,
		"session": true, "PHPSESSID": true, "JSESSIONID": true, "connect.sid": true, "ssn": true, "card": true,
		"card_number": true, "cardnumber": true, "cvv": true, "pin": true, "PIN": true, "otp": true, "code": true,
		"items.0.token": true, "json.card.cvv": true, "loyalty_number": true, "csrfmiddlewaretoken": true,
		"X-Amz-Signature": true, "oldPassWord": true, "passWD": true,
		"q": false, "": false, "comment": false, "spin": false, "keyboard": false, "pinned": false, "encode": false,
		"monkey": false, "cardigan": false, "passenger": false, "email": false, "items.0.comment": false,
		"discord": false, "author": false, "signal": false, "page": false, "zip": false, "résumé": false,
	} {
		if got := m.Secret(name); got != want {
			t.Errorf("Secret(%q) = %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]bool{
		"Authorization": true, "PROXY_AUTHORIZATION": true, "Cookie": true, "set-cookie": true, "X-Api-Key": true,
		"x-amz-security-token": true, "X-Auth-Token": true, "X-Amzn-Oidc-Data": true,
		"User-Agent": false, "Accept": false, "Referer": false, "Content-Type": false, "Host": false,
	} {
		if got := m.SecretHeader(name); got != want {
			t.Errorf("SecretHeader(%q) = %v, want %v", name, got, want)
		}
	}
}

// The secrets of these tests by their form; none is real.
var (
	testJWT   = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXBhcnQ"
	testCard  = "4111 1111 1111 1111"
	testAWS   = "AKIA" + "IOSFODNN7EXAMPLE"
	testBear  = "Bearer mF_9.B5f-4.1JqM"
	testBasic = "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:opensesame"))
	testPEM   = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
)

func TestText(t *testing.T) {
	m := NewMasker()
	for name, c := range map[string]struct{ in, want string }{
		"plain":                {"hello, world", "hello, world"},
		"card":                 {"pay 4111111111111111 now", "pay ***(16) now"},
		"card with spaces":     {"pay " + testCard + ".", "pay ***(19)."},
		"card with hyphens":    {"5500-0055-5555-5559", "***(19)"},
		"card, 15 digits":      {"371449635398431", "***(15)"},
		"card after another":   {"1234 4111111111111111", "1234 ***(16)"},
		"card in letters":      {"visa4111111111111111x", "visa***(16)x"},
		"two cards":            {"4111111111111111,5500005555555559", "***(16),***(16)"},
		"no check digit":       {"4111111111111112", "4111111111111112"},
		"too long":             {"41111111111111110000", "41111111111111110000"},
		"no issuer":            {"1111111111111117", "1111111111111117"},
		"milliseconds":         {"1782909296789", "1782909296789"},
		"jwt":                  {"t=" + testJWT + "!", "t=***(60)!"},
		"jwt cut short":        {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIi", "***(29)"},
		"no jwt":               {"eyJ.x", "eyJ.x"},
		"aws key":              {"id " + testAWS + " ok", "id ***(20) ok"},
		"aws key too long":     {testAWS + "X", testAWS + "X"},
		"bearer":               {testBear, "Bearer ***(15)"},
		"bearer, words":        {"bearer of bad news", "bearer of bad news"},
		"basic":                {"basic  " + testBasic[6:], "basic  ***(20)"},
		"basic, words":         {"Basic authentication", "Basic authentication"},
		"private key":          {"x" + testPEM + "y", "x***(68)y"},
		"private key, no end":  {testPEM[:40], "***(40)"},
		"public key":           {"-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----"},
		"github":               {"ghp_" + strings.Repeat("a1", 18), "***(40)"},
		"attack":               {"1' OR '1'='1' -- ", "1' OR '1'='1' -- "},
		"hyphens and digits":   {"--1-2-3-4-5-6-7-8-9-0-1-2-3-4", "--1-2-3-4-5-6-7-8-9-0-1-2-3-4"},
		"begin at end of text": {"-----BEGIN ", "-----BEGIN "},
	} {
		t.Run(name, func(t *testing.T) {
			if got := m.Text(c.in); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestURLAndQuery(t *testing.T) {
	m := NewMasker()
	for name, c := range map[string]struct{ in, want string }{
		"path":                  {"/a/b%20c", "/a/b%20c"},
		"query":                 {"/s?q=1'%20or%201=1&page=2", "/s?q=1'%20or%201=1&page=2"},
		"listed":                {"/login?user=ann&password=hunter2", "/login?user=ann&password=***(7)"},
		"empty value":           {"/login?password=&x=1", "/login?password=&x=1"},
		"encoded name":          {"/?pass%77ord=hunter2", "/?pass%77ord=***(7)"},
		"brackets":              {"/?user%5Bpassword%5D=hunter2", "/?user%5Bpassword%5D=***(7)"},
		"value with equals":     {"/?token=a=b=c&x=1", "/?token=***(5)&x=1"},
		"semicolons":            {"/?a=1;password=hunter2", "/?a=1;password=***(7)"},
		"semicolon in a secret": {"/?password=hun;ter2&x=1", "/?password=***(8)&x=1"},
		"card in any":           {"/?note=4111+1111%201111+1111", "/?note=***(19)"},
		"card as a name":        {"/?4111111111111111", "/?***(16)"},
		"nested URL":            {"/?next=https%3A%2F%2Fx%2F%3Fa%3D1%26token%3Dabc", "/?next=https://x/?a=1%26token=***(3)"},
		"JSON":                  {"/?f=%7B%22password%22%3A%22hunter2%22%7D", "/?f={%22password%22:%22***(7)%22}"},
		"fragment":              {"https://x/cb#access_token=abc&state=1", "https://x/cb#access_token=***(3)&state=1"},
		"user information":      {"https://ann:pw@example.com/x", "https://***(6)@example.com/x"},
		"path parameter":        {"/shop;jsessionid=ABC123/cart", "/shop;jsessionid=***(6)/cart"},
		"token in a segment":    {"/reset/" + testJWT + "/x", "/reset/***(60)/x"},
		"card in a segment":     {"/c/4111%201111%201111%201111/a%2Fb", "/c/***(19)/a%2Fb"},
		"bad escapes":           {"/?a=%zz&token=%", "/?a=%zz&token=***(1)"},
		"only separators":       {"/?&&;;&", "/?&&;;&"},
		"empty":                 {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := m.URL(c.in); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestBody(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"form":           {"user=ann&password=hun%20ter2", "user=ann&password=***(10)"},
		"json":           {`{"user":"ann","password":"hun\"ter2","pin":1234}`, `{"user":"ann","password":"***(9)","pin":***(4)}`},
		"json, nested":   {`{"a":"{\"password\":\"hunter2\"}","b":1}`, `{"a":"{\"password\":\"***(7)\"}","b":1}`},
		"json, object":   {`{"token":{"v":"abc"},"x":1}`, `{"token":***(18)`},
		"json, cut":      {`{"password":"hunt`, `{"password":"***(4)`},
		"xml":            {"<a><ns:password x='1'>hunter2</ns:password></a>", "<a><ns:password x='1'>***(7)</ns:password></a>"},
		"xml, cdata":     {"<pin><![CDATA[1234]]></pin>", "<pin><![CDATA[***(4)]]></pin>"},
		"xml, attribute": {`<login password="hunter2"/>`, `<login password="***(7)"/>`},
		"multipart": {
			"--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--b--",
			"--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n***(7)\r\n--b--",
		},
		"request": {"GET / HTTP/1.1\r\nCookie: a=b; c=d\r\nHost: x\r\n", "GET / HTTP/1.1\r\nCookie: ***(8)\r\nHost: x\r\n"},
		"nothing": {`{"comment":"union select"}`, `{"comment":"union select"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&pass{m: NewMasker()}).body(c.in); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestMatchedValues(t *testing.T) {
	for name, c := range map[string]struct {
		in        rules.MatchedTarget
		data      string
		want      string
		wantsData string
	}{
		"shown": {
			in: rules.MatchedTarget{Variable: "ARGS_GET:q", Target: "query:q", Value: "1' or 1=1"}, data: "1' or 1=1 found within ARGS_GET:q",
			want: "1' or 1=1", wantsData: "1' or 1=1 found within ARGS_GET:q",
		},
		"form password": {
			in: rules.MatchedTarget{Variable: "ARGS_POST:password", Target: "form:password", Value: "hunter2"}, data: "Matched Data: unter",
			want: "***(7)", wantsData: "***(19)",
		},
		"by target alone":       {in: rules.MatchedTarget{Target: "json:user.password", Value: "hunter2"}, want: "***(7)"},
		"by variable alone":     {in: rules.MatchedTarget{Variable: "ARGS:json.user.password", Value: "hunter2"}, want: "***(7)"},
		"header":                {in: rules.MatchedTarget{Variable: "REQUEST_HEADERS:Authorization", Target: "header:authorization", Value: "x"}, want: "***(1)"},
		"header by target":      {in: rules.MatchedTarget{Target: "header:cookie", Value: "a=b"}, want: "***(3)"},
		"cookie header":         {in: rules.MatchedTarget{Variable: "REQUEST_HEADERS:Cookie", Value: "a=b"}, want: "***(3)"},
		"cookie, listed":        {in: rules.MatchedTarget{Variable: "REQUEST_COOKIES:session_id", Target: "cookie:session_id", Value: "abc"}, want: "***(3)"},
		"cookie, not listed":    {in: rules.MatchedTarget{Variable: "REQUEST_COOKIES:theme", Target: "cookie:theme", Value: "dark"}, want: "dark"},
		"a name":                {in: rules.MatchedTarget{Variable: "ARGS_NAMES:password", Value: "password"}, want: "password"},
		"referer":               {in: rules.MatchedTarget{Variable: "REQUEST_HEADERS:Referer", Value: "https://x/?token=abc&q=1"}, want: "https://x/?token=***(3)&q=1"},
		"request line":          {in: rules.MatchedTarget{Variable: "REQUEST_LINE", Value: "GET /?password=abc&q=<x> HTTP/1.1"}, want: "GET /?password=***(3)&q=<x> HTTP/1.1"},
		"query string":          {in: rules.MatchedTarget{Variable: "QUERY_STRING", Value: "password=abc"}, want: "password=***(3)"},
		"body":                  {in: rules.MatchedTarget{Variable: "REQUEST_BODY", Value: `{"pin":1}`}, want: `{"pin":***(1)}`},
		"JSON in an argument":   {in: rules.MatchedTarget{Variable: "ARGS:f", Target: "form:f", Value: `{"pin":1}`}, want: `{"pin":***(1)}`},
		"card in an argument":   {in: rules.MatchedTarget{Variable: "ARGS:q", Value: testCard}, want: "***(19)"},
		"data names a password": {in: rules.MatchedTarget{Variable: "TX:x", Value: "1"}, data: "x found within ARGS:password: hunter2", want: "***(1)", wantsData: "***(37)"},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Event{Rules: []rules.Match{{Data: c.data, Targets: []rules.MatchedTarget{c.in}}}}
			got := NewMasker().Event(e)
			if v := got.Rules[0].Targets[0].Value; v != c.want {
				t.Errorf("value: got %q, want %q", v, c.want)
			}
			if d := got.Rules[0].Data; d != c.wantsData {
				t.Errorf("data: got %q, want %q", d, c.wantsData)
			}
			if e.Rules[0].Targets[0].Value != c.in.Value || e.Rules[0].Data != c.data {
				t.Error("the caller's event was changed")
			}
		})
	}
}

// TestXMLValues: rules see the values of an XML body without the names that they stand under.
func TestXMLValues(t *testing.T) {
	const secret = "hunter2 <script>"
	const shown = "an ordinary 'attack'"
	escape := strings.NewReplacer("<", "&lt;", "'", "&apos;").Replace
	for name, c := range map[string]struct {
		document string
		hidden   bool // the secret
	}{
		"element":               {"<a><password>" + escape(secret) + "</password><b>" + escape(shown) + "</b></a>", true},
		"prefix":                {"<w:a xmlns:w='urn:w'><w:Password Type='x'>" + escape(secret) + "</w:Password><b>" + escape(shown) + "</b></w:a>", true},
		"below":                 {"<a><credentials><user><x>" + escape(secret) + "</x></user></credentials><b>" + escape(shown) + "</b></a>", true},
		"CDATA":                 {"<a><token><![CDATA[" + secret + "]]></token><b>" + escape(shown) + "</b></a>", true},
		"comment":               {"<a><token><!--" + secret + "--></token><b>" + escape(shown) + "</b></a>", true},
		"pieces":                {"<a><token>" + escape(secret) + "<x/> more</token><b>" + escape(shown) + "</b></a>", true},
		"attribute":             {"<a apiKey='" + escape(secret) + "'><b>" + escape(shown) + "</b></a>", true},
		"attribute below":       {"<secret><b c='" + escape(secret) + "'/></secret>", true},
		"named by an attribute": {"<a><field name='password'>" + escape(secret) + "</field><b>" + escape(shown) + "</b></a>", true},
		"beside the name":       {"<a><p name='password' value='" + escape(secret) + "'/><b>" + escape(shown) + "</b></a>", true},
		"named by an element":   {"<a><member><name>password</name><value><string>" + escape(secret) + "</string></value></member><b>" + escape(shown) + "</b></a>", true},
		"in two places":         {"<a><c>" + escape(secret) + "</c><password>" + escape(secret) + "</password><b>" + escape(shown) + "</b></a>", true},
		"broken":                {"<a><b>" + escape(shown) + "</b><password>" + escape(secret), true},
		"ordinary":              {"<a><c>" + escape(secret) + "</c><b>" + escape(shown) + "</b></a>", false},
		"ordinary attribute":    {"<a c='" + escape(secret) + "'><b>" + escape(shown) + "</b></a>", false},
	} {
		t.Run(name, func(t *testing.T) {
			origins, err := body.ReadXMLOrigins(strings.NewReader(c.document), false)
			if err != nil {
				t.Fatal(err)
			}
			xml := func(value string) rules.MatchedTarget {
				return rules.MatchedTarget{Variable: "XML:/*", Target: "xml:text", Value: value}
			}
			e := &Event{XML: origins, Rules: []rules.Match{
				{Rule: 1, Data: "found within XML:/*: " + secret, Targets: []rules.MatchedTarget{xml(secret)}},
				{Rule: 2, Data: "hunter 2script", Targets: []rules.MatchedTarget{xml("hunter2script")}}, // transformed
				{Rule: 3, Data: "hunter2script", Targets: []rules.MatchedTarget{{Variable: "TX:x", Value: "hunter2script"}}},
				{Rule: 4, Data: "hunter2script"},
				{Rule: 5, Targets: []rules.MatchedTarget{{Variable: "REQUEST_BODY", Value: c.document}}},
				{Rule: 6, Targets: []rules.MatchedTarget{{Target: "xml:attributes", Value: secret}}},
			}}
			if !strings.HasPrefix(c.document, "<secret") {
				e.Rules = append(e.Rules, rules.Match{Rule: 7, Data: "found within XML:/*: " + shown, Targets: []rules.MatchedTarget{xml(shown)}})
			}
			got := NewMasker().Event(e)
			out := string(appendEvent(nil, got)) + string(appendReadable(nil, got, NoColor))
			if hidden := !strings.Contains(out, "hunter"); hidden != c.hidden {
				t.Errorf("hidden %v, want %v: %s", hidden, c.hidden, out)
			}
			if last := got.Rules[len(got.Rules)-1]; last.Rule == 7 && (last.Targets[0].Value != shown || !strings.HasSuffix(last.Data, shown)) {
				t.Errorf("masked what is no secret: %+v", last)
			}
			e.XML = nil // nothing is known
			got = NewMasker().Event(e)
			for _, i := range []int{0, 1, 5} {
				if v := got.Rules[i].Targets[0].Value; !masked(v) {
					t.Errorf("shown without knowing where it stood: %q", v)
				}
			}
		})
	}
	t.Run("a document within a text", func(t *testing.T) {
		const text = "<login><password>hunter2</password></login>"
		origins, err := body.ReadXMLOrigins(strings.NewReader("<a><![CDATA["+text+"]]></a>"), false)
		if err != nil {
			t.Fatal(err)
		}
		got := NewMasker().Event(&Event{XML: origins, Rules: []rules.Match{{Targets: []rules.MatchedTarget{{Variable: "XML:/*", Value: text}}}}})
		if v := got.Rules[0].Targets[0].Value; v != "<login><password>***(7)</password></login>" {
			t.Errorf("got %q", v)
		}
	})
	t.Run("more than is looked at", func(t *testing.T) {
		origins := &body.XMLOrigins{Values: []body.XMLValue{{Text: shown, Under: -1}}, Cut: true}
		got := NewMasker().Event(&Event{XML: origins, Rules: []rules.Match{{Targets: []rules.MatchedTarget{
			{Variable: "XML:/*", Value: shown}, {Variable: "XML:/*", Value: secret},
		}}}})
		if targets := got.Rules[0].Targets; targets[0].Value != shown || !masked(targets[1].Value) {
			t.Errorf("got %+v", targets)
		}
	})
}

func TestDerivedValuesOfSecrets(t *testing.T) {
	e := &Event{
		Query: "password=Hunter%20Two&q=x", Detail: "matched Hunter Two",
		Rules: []rules.Match{
			{Rule: 1, Message: "seen hunter two", Data: "x Hunter Two y", Targets: []rules.MatchedTarget{{Variable: "TX:0", Value: "unter Tw"}}},
			{Rule: 2, Targets: []rules.MatchedTarget{
				{Variable: "ARGS:password", Value: "Hunter Two"}, {Variable: "MATCHED_VAR", Value: "transformed beyond recognition"},
			}},
		},
	}
	got := NewMasker().Event(e)
	for name, v := range map[string][2]string{
		"detail":        {got.Detail, "matched ***(10)"},
		"message":       {got.Rules[0].Message, "seen ***(10)"},
		"data":          {got.Rules[0].Data, "x ***(10) y"},
		"a part":        {got.Rules[0].Targets[0].Value, "***(8)"},
		"same rule":     {got.Rules[1].Targets[1].Value, "***(30)"},
		"query":         {got.Query, "password=***(12)&q=x"},
		"listed target": {got.Rules[1].Targets[0].Value, "***(10)"},
	} {
		if v[0] != v[1] {
			t.Errorf("%s: got %q, want %q", name, v[0], v[1])
		}
	}
}

// TestPlantedSecrets puts secrets into every field that a client can fill, at many places of long values, and looks for
// them in all that leaves.
func TestPlantedSecrets(t *testing.T) {
	byForm := map[string]string{
		"jwt": testJWT, "card": "4111111111111111", "card with spaces": testCard, "aws": testAWS, "bearer": testBear,
		"basic": testBasic, "pem": testPEM,
	}
	needles := map[string][]string{
		"jwt": {testJWT[21:40], testJWT[41:]}, "card": {"41111111", "11111111"}, "card with spaces": {"4111 1111", "1111 1111"},
		"aws": {testAWS[4:14]}, "bearer": {"mF_9"}, "basic": {testBasic[8:20]}, "pem": {"MIIEow"},
	}
	const named = "Opensesame-Hunter-2"
	m, cases := NewMasker(), 0
	for name, secret := range byForm {
		for _, pad := range []int{0, 1, 100, 480, 500, 505, 511, 2030, 2040, 5000, maskInput - 10, maskInput - 1, maskInput + 5} {
			cases++
			v := strings.Repeat("z", pad)
			if pad > 0 {
				v += " "
			}
			v += secret
			inQuery := "q=" + strings.NewReplacer(" ", "+", "\n", "%0A", "=", "%3D").Replace(v) + "&password=" + named
			e := &Event{
				Time: time.Unix(1, 0), Incident: "GH-0000-0000-0000", Detail: v, RequestID: v, Method: v, Host: v, Path: "/" + v,
				Query: inQuery, Protocol: v, ContentType: v, UserAgent: v,
				Rules: []rules.Match{{
					Message: v, Data: v + named, Targets: []rules.MatchedTarget{
						{Variable: "ARGS:" + v, Target: "form:" + v, Value: v},
						{Variable: "REQUEST_HEADERS:User-Agent", Value: v},
						{Variable: "ARGS:password", Value: named},
						{Variable: "REQUEST_BODY", Value: `{"password":"` + named + `","x":"` + v + `"}`},
						{Variable: "REQUEST_BODY", Value: inQuery},
						{Variable: "REQUEST_URI", Value: "/?" + inQuery},
						{Variable: "TX:1", Value: named},
						{Variable: "MATCHED_VARS:ARGS:x", Value: v},
						{Variable: "XML:/*", Value: v},
						{Variable: "REQUEST_HEADERS:Authorization", Value: named},
						{Variable: "REQUEST_HEADERS:Cookie", Value: "a=" + named},
						{Variable: "ARGS_NAMES:" + v, Value: v},
						{Variable: "FILES:upload", Value: v},
					},
				}},
			}
			a := Access{
				RequestID: v, Method: v, Host: v, Path: "/" + v + "?" + inQuery, Protocol: v, UserAgent: v,
				Referer: "https://ann:" + named + "@x/?" + inQuery, TraceParent: v, AmznTraceID: v,
			}
			masked := m.Access(a)
			shown := m.Event(e)
			out := string(appendAccess(nil, &masked)) + string(appendEvent(nil, shown)) + string(appendReadable(nil, shown, NoColor))
			for _, needle := range append(needles[name], named, strings.ToLower(named), named[3:15]) {
				if at := strings.Index(out, needle); at >= 0 {
					t.Errorf("%s after %d bytes: %q is in ...%s", name, pad, needle, out[max(0, at-80):at+len(needle)])
				}
			}
			if !strings.Contains(out, "***(") {
				t.Errorf("%s after %d bytes: nothing was masked", name, pad)
			}
		}
	}
	if cases == 0 {
		t.Fatal("no case ran")
	}
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{"password=x&q=1", `{"pin":1}`, testPEM, testCard, "<a>", "%", "eyJ", "Bearer ", "-----BEGIN ", "a;b=c?d=e#f"} {
		f.Add(s)
	}
	m := NewMasker()
	f.Fuzz(func(t *testing.T, s string) {
		m.URL(s)
		m.Query(s)
		(&pass{m: m}).body(s)
		if once := m.Text(s); len(s) < maskInput && len(findSecrets(s, edgeLoose)) == 0 && once != s {
			t.Errorf("%q became %q without a secret in it", s, once)
		}
	})
}
