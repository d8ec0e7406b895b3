package wiretest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/proxy/wiretest"
)

func TestParse(t *testing.T) {
	cases, err := wiretest.Parse("a.yaml", []byte(`families:
  - name: one
    template: "GET {with}\r\n"
    status: 400
    cases:
      - { name: a, with: "\xff{repeat ab 3}" }
      - { name: b, send: "x", status: [200, 400], upstream: [GET /, { request: POST /b, body: "\0", fields: ["A: b"], absent: [c] }] }
      - { name: c, send: "", status: closed, half: true }
      - { name: d, send: "", status: 403, end: open, listener: elb }
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []*wiretest.Case{
		{Place: "a.yaml:6", Name: "one/a", Send: []byte("GET \xffababab\r\n"), Status: []int{400}, End: wiretest.Closed},
		{
			Place: "a.yaml:7", Name: "one/b", Send: []byte("x"), Status: []int{200, 400}, End: wiretest.Closed,
			Upstream: []wiretest.Expected{{Request: "GET /"}, {Request: "POST /b", Body: []byte{0}, Fields: []string{"A: b"}, Absent: []string{"c"}}},
		},
		{Place: "a.yaml:8", Name: "one/c", Send: []byte{}, Half: true, End: wiretest.Closed},
		{Place: "a.yaml:9", Name: "one/d", Send: []byte{}, Status: []int{403}, End: wiretest.Open, Listener: "elb"},
	}
	if diff := cmp.Diff(want, cases); diff != "" {
		t.Errorf("cases (-want +got):\n%s", diff)
	}
}

func TestParseErrors(t *testing.T) {
	const family = "families:\n  - name: f\n    template: \"{with}\"\n    cases:\n"
	for _, tt := range []struct{ text, want string }{
		{"", `a.yaml:1: the file is empty; it needs families`},
		{"{}", `a.yaml:1: families: is missing`},
		{"families: []", `a.yaml:1: families: must be a list with at least one item`},
		{"families:\n  - cases: [{}]", `a.yaml:2: the family has no name`},
		{"families:\n  - name: f", `a.yaml:2: cases: is missing`},
		{"families:\n  - name: f\n    nome: g", `a.yaml:3: unknown key "nome" (cases, end, half, listener, name, send, status, template, tunnel, upstream, with)`},
		{family + "      - { with: a, status: 400 }", `a.yaml:5: the case has no name`},
		{family + "      - { name: a, status: 400 }", `a.yaml:5: case "f/a" needs either send or with`},
		{family + "      - { name: a, with: a, send: b, status: 400 }", `a.yaml:5: case "f/a" needs either send or with`},
		{family + "      - { name: a, with: a }", `a.yaml:5: case "f/a" has no status`},
		{family + "      - { name: a, with: a, status: 200 }", `a.yaml:5: case "f/a" has a status under 300; say in upstream what reaches the upstream ([] for nothing)`},
		{family + "      - { name: a, with: a, status: 600 }", `a.yaml:5: status: "600" is not a status (200), a list of them ([200, 400]) or closed`},
		{family + "      - { name: a, with: a, status: 400, status: 400 }", `a.yaml:5: a second key "status"`},
		{family + "      - { name: a, with: a, status: 400, end: shut }", `a.yaml:5: end: "shut" is not open, closed or any`},
		{family + "      - { name: a, with: a, status: 400, half: maybe }", `a.yaml:5: half: "maybe" is not true or false`},
		{family + "      - { name: a, with: \"\\u20ac\", status: 400 }", `a.yaml:5: '€' is not a byte; write UTF-8 as its bytes, as in "\xe2\x82\xac"`},
		{family + "      - { name: a, with: \"{repeat a}\", status: 400 }", `a.yaml:5: "{repeat a}": want {repeat TEXT N}, at most 1 MiB`},
		{family + "      - { name: a, with: a, status: 200, upstream: [GET] }", `a.yaml:5: request: "GET" is not a method and a target, as in "GET /a"`},
		{family + "      - { name: a, with: a, status: 400 }\n      - { name: a, with: b, status: 400 }", `a.yaml:6: a second case "f/a"`},
		{"families:\n  - name: f\n    cases:\n      - { name: a, with: a, status: 400 }", `a.yaml:4: case "f/a": with needs a template that has {with} in it`},
	} {
		_, err := wiretest.Parse("a.yaml", []byte(tt.text))
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}
