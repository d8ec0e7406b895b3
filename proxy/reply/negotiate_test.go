package reply

import (
	"strings"
	"testing"
)

func TestNegotiate(t *testing.T) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
	cases := map[string]struct {
		accept []string
		want   Format
	}{
		"none":                       {nil, ProblemJSON},
		"empty":                      {[]string{""}, ProblemJSON},
		"curl":                       {[]string{"*/*"}, ProblemJSON},
		"browser":                    {[]string{browser}, HTML},
		"browser's image":            {[]string{"image/avif,image/webp,image/*,*/*;q=0.8"}, ProblemJSON},
		"browser's script":           {[]string{"application/json, text/javascript, */*; q=0.01"}, ProblemJSON},
		"fetch for JSON or anything": {[]string{"application/json, text/plain, */*"}, ProblemJSON},
		"html":                       {[]string{"text/html"}, HTML},
		"html with charset":          {[]string{"text/html;charset=utf-8"}, HTML},
		"html in capitals":           {[]string{"TEXT/HTML"}, HTML},
		"xhtml":                      {[]string{"application/xhtml+xml"}, HTML},
		"any text":                   {[]string{"text/*"}, HTML},
		"plain text":                 {[]string{"text/plain"}, ProblemJSON},
		"json":                       {[]string{"application/json"}, ProblemJSON},
		"problem":                    {[]string{"application/problem+json"}, ProblemJSON},
		"html refused":               {[]string{"text/html;q=0"}, ProblemJSON},
		"html refused, rest welcome": {[]string{"text/html;q=0, */*"}, ProblemJSON},
		"html refused, text welcome": {[]string{"text/*, text/html;q=0"}, ProblemJSON},
		"html below json":            {[]string{"text/html;q=0.5, application/json"}, ProblemJSON},
		"json below html":            {[]string{"application/json;q=0.5, text/html"}, HTML},
		"equal, html first":          {[]string{"text/html, application/json"}, HTML},
		"equal, json first":          {[]string{"application/json, text/html"}, ProblemJSON},
		"equal, anything first":      {[]string{"*/*, text/html"}, HTML},
		"anything above html":        {[]string{"*/*, text/html;q=0.9"}, ProblemJSON},
		"json out of the wildcard":   {[]string{"*/*, application/json;q=0.1, text/html;q=0.2"}, HTML},
		"two lines":                  {[]string{"application/json;q=0.2", "text/html"}, HTML},
		"three decimals":             {[]string{"text/html;q=0.501, application/json;q=0.5"}, HTML},
		"spaces":                     {[]string{"  text/html ; q = 0.9 , application/json ; q = 0.8 "}, HTML},
		"quoted comma":               {[]string{`text/plain;x="a, text/html", application/json`}, ProblemJSON},
		"quoted semicolon":           {[]string{`text/html;x="a;q=0"`}, HTML},
		"extension after q":          {[]string{"text/html;q=0.9;level=1, application/json;q=0.1"}, HTML},
		"bad quality":                {[]string{"text/html;q=high"}, ProblemJSON},
		"quality above 1":            {[]string{"text/html;q=1.5"}, ProblemJSON},
		"negative quality":           {[]string{"text/html;q=-1"}, ProblemJSON},
		"too many decimals":          {[]string{"text/html;q=0.1234"}, ProblemJSON},
		"no slash":                   {[]string{"html"}, ProblemJSON},
		"only separators":            {[]string{",;,;,"}, ProblemJSON},
		"open quote":                 {[]string{`text/html;x="`}, HTML},
		"html after 64 others":       {[]string{strings.Repeat("a/b,", 64) + "text/html"}, ProblemJSON},
		"html far away":              {[]string{strings.Repeat("a", maxAccept) + "/b,text/html"}, ProblemJSON},
	}
	if len(cases) < 25 {
		t.Fatalf("only %d cases", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := Negotiate(c.accept); got != c.want {
				t.Errorf("%q: got %d, want %d", c.accept, got, c.want)
			}
		})
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"", "*/*", "text/html;q=0.5", `a/b;x="\"`, "text/html;q=0.", ",,;;", "text/html;q=1.000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Negotiate([]string{s})
		low := strings.ToLower(s)
		if got == HTML && !strings.Contains(low, "text/") && !strings.Contains(low, "xhtml") {
			t.Errorf("%q got a page that it does not name", s)
		}
		if got != HTML && got != ProblemJSON {
			t.Errorf("%q: %d", s, got)
		}
		if again := Negotiate([]string{s, "image/png"}); strings.Count(s, `"`) == 0 && len(s) < maxAccept && again != got && strings.Count(s, ",") < 60 {
			t.Errorf("%q: another type changed %d to %d", s, got, again)
		}
		grpcFormat(s)
	})
}
