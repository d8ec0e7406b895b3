package object_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/mgmt/object"
	"gatehouse/proxy/config"
)

func body(t testing.TB, text string) object.Body {
	t.Helper()
	b, err := object.ParseBody(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMerge: what two people change at different places comes together, and what they change at one place is named.
func TestMerge(t *testing.T) {
	for name, test := range map[string]struct{ base, ours, theirs, want, conflict string }{
		"fields":                  {`{"a":1}`, `{"a":2}`, `{"a":1,"b":3}`, `{"a":2,"b":3}`, ""},
		"the same on both sides":  {`{"a":1}`, `{"a":2}`, `{"a":2}`, `{"a":2}`, ""},
		"a field of a field":      {`{"x":{"a":1,"b":1}}`, `{"x":{"a":2,"b":1}}`, `{"x":{"a":1,"b":2}}`, `{"x":{"a":2,"b":2}}`, ""},
		"a field twice":           {`{"mode":"detect"}`, `{"mode":"block"}`, `{"mode":"disabled"}`, "", "mode"},
		"changed and removed":     {`{"x":{"a":1}}`, `{"x":{"a":2}}`, `{}`, "", "x"},
		"an entry for each":       {`{"l":[{"name":"a"}]}`, `{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"name":"a"},{"name":"c"}]}`, `{"l":[{"name":"a"},{"name":"b"},{"name":"c"}]}`, ""},
		"one entry, two fields":   {`{"l":[{"path":"/a","m":1,"n":1}]}`, `{"l":[{"path":"/a","m":2,"n":1}]}`, `{"l":[{"path":"/a","m":1,"n":2}]}`, `{"l":[{"path":"/a","m":2,"n":2}]}`, ""},
		"one entry, one field":    {`{"l":[{"path":"/a","m":1}]}`, `{"l":[{"path":"/a","m":2}]}`, `{"l":[{"path":"/a","m":3}]}`, "", "l[/a].m"},
		"an entry goes":           {`{"l":[{"name":"a"},{"name":"b"}]}`, `{"l":[{"name":"b"}]}`, `{"l":[{"name":"a"},{"name":"b","x":1}]}`, `{"l":[{"name":"b","x":1}]}`, ""},
		"a changed entry goes":    {`{"l":[{"name":"a"}]}`, `{"l":[]}`, `{"l":[{"name":"a","x":1}]}`, "", "l[a]"},
		"values":                  {`{"hosts":["a","b"]}`, `{"hosts":["a","b","c"]}`, `{"hosts":["b"]}`, `{"hosts":["b","c"]}`, ""},
		"an order":                {`{"l":["a","b"]}`, `{"l":["b","a"]}`, `{"l":["a","b","c"]}`, `{"l":["b","c","a"]}`, ""},
		"two orders":              {`{"l":["a","b","c"]}`, `{"l":["b","a","c"]}`, `{"l":["a","c","b"]}`, "", "l"},
		"routes by method":        {`{"routes":[{"path":"/a","methods":["GET"]}]}`, `{"routes":[{"path":"/a","methods":["GET"]},{"path":"/a","methods":["POST"]}]}`, `{"routes":[{"path":"/a","methods":["GET"],"mode":"block"}]}`, `{"routes":[{"path":"/a","methods":["GET"],"mode":"block"},{"path":"/a","methods":["POST"]}]}`, ""},
		"entries that are alike":  {`{"l":[{"name":"a"}]}`, `{"l":[{"name":"a"},{"name":"a"}]}`, `{"l":[]}`, "", "l"},
		"made on both sides":      {"", `{"a":1}`, `{"a":2}`, "", "a"},
		"made alike":              {"", `{"a":1}`, `{"a":1}`, `{"a":1}`, ""},
		"made with other fields":  {"", `{"a":1}`, `{"b":1}`, `{"a":1,"b":1}`, ""},
		"removed here":            {`{"a":1}`, "", `{"a":1}`, "", ""},
		"removed, changed there":  {`{"a":1}`, "", `{"a":2}`, "", "the object"},
		"changed, removed there":  {`{"a":1}`, `{"a":2}`, "", "", "the object"},
		"a list for a word there": {`{"a":"x"}`, `{"a":["x"]}`, `{"a":"y"}`, "", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			got, conflicts := object.Merge(body(t, test.base), body(t, test.ours), body(t, test.theirs))
			if test.conflict != "" {
				path := test.conflict
				if path == "the object" {
					path = ""
				}
				if !slices.Contains(conflicts, object.Conflict{Path: path}) {
					t.Errorf("conflicts %v", conflicts)
				}
				return
			}
			if len(conflicts) > 0 || got.Text() != body(t, test.want).Text() {
				t.Errorf("%s, conflicts %v", got.Text(), conflicts)
			}
		})
	}
}

// FuzzMerge: a change to what nobody else has changed is that change, and nothing makes merging fail.
func FuzzMerge(f *testing.F) {
	f.Add(`{"routes":[{"path":"/a"},{"path":"/b","mode":"block"}]}`, `{"routes":[{"path":"/b"}]}`, `{"hosts":["a","b"],"x":{"y":null}}`)
	f.Add(`{"l":[[1],{"name":3},null]}`, `{"l":[{"name":"a"},{"name":"a"}]}`, `{"l":"text"}`)
	f.Fuzz(func(t *testing.T, base, ours, theirs string) {
		var b, o, x object.Body
		if json.Unmarshal([]byte(base), &b) != nil || json.Unmarshal([]byte(ours), &o) != nil || json.Unmarshal([]byte(theirs), &x) != nil {
			return
		}
		before := []string{b.Text(), o.Text(), x.Text()}
		for _, sides := range [][3]object.Body{{b, b, x}, {b, x, b}} {
			got, conflicts := object.Merge(sides[0], sides[1], sides[2])
			if len(conflicts) > 0 || !reflect.DeepEqual(got, x) {
				t.Errorf("merge(%s) = %s, conflicts %v", sides, got.Text(), conflicts)
			}
		}
		object.Merge(b, o, x)
		key := object.Key{Kind: object.Applications, Name: "shop"}
		if len(object.DiffBody(key, o, x)) == 0 && o.Text() != x.Text() {
			t.Errorf("no difference between %s and %s", o.Text(), x.Text())
		}
		if !slices.Equal(before, []string{b.Text(), o.Text(), x.Text()}) {
			t.Error("merging changed what it was given")
		}
	})
}

// TestDiff: differences are told in the words of operators.
func TestDiff(t *testing.T) {
	key := func(text string) object.Key {
		k, err := object.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	before := object.Set{
		key("applications/shop"): body(t, `{"mode":"detect","hosts":["a"],"routes":[{"path":"/","mode":"block"},{"path":"/old"}]}`),
		key("policies/default"):  body(t, `{"crs":{"paranoia":1},"exclusions":[{"name":"order-notes","targets":["json:a"]}]}`),
		key("upstreams/old"):     body(t, `{"url":"http://a"}`),
		key("lists/office"):      body(t, `{"addresses":["192.0.2.0/24"]}`),
	}
	after := object.Set{
		key("applications/shop"): body(t, `{"mode":"block","routes":[{"path":"/api"},{"path":"/"}]}`),
		key("policies/default"):  body(t, `{"crs":{"paranoia":2},"exclusions":[{"name":"order-notes","targets":["json:a","json:b"]}]}`),
		key("listeners/http"):    body(t, `{}`),
		key("lists/office"):      body(t, `{"addresses":["192.0.2.0/24"]}`),
		key("settings/settings"): body(t, `{"logs":{"access":"none"}}`),
	}
	var got []string
	for _, d := range object.Diff(before, after) {
		got = append(got, d.Text)
	}
	want := []string{
		"settings added",
		"listener http added",
		"upstream old removed",
		"application shop: hosts removed, it was a",
		"application shop: mode changed from detect to block",
		"application shop: route /old removed",
		"application shop: route /api added",
		"application shop: route /: mode removed, it was block",
		"policy default: crs: paranoia changed from 1 to 2",
		"policy default: exclusion order-notes: targets changed from json:a to json:a, json:b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("differences:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	reordered := object.DiffBody(key("lists/x"), body(t, `{"l":[{"name":"a"},{"name":"b"}]}`), body(t, `{"l":[{"name":"b"},{"name":"a"}]}`))
	if len(reordered) != 1 || reordered[0].Text != "list x: the order of l changed" {
		t.Errorf("%v", reordered)
	}
}

const file = `
version: 1
listeners: [{ address: ":8080" }]
admin: { address: "127.0.0.1:9081" }
upstreams: [{ name: back, url: "http://back.internal" }]
applications:
  - hosts: [shop.example.com]
    upstream: back
    replies: { contact: "Käse 😀 \x7f\u2029" }
    routes: [{ path: /, body: { max_bytes: 5MiB } }]
    exclusions: [{ name: notes, rules: [942100], path: /notes, targets: ["form:note"], reason: r, owner: o, expires: 2031-06-30 }]
policies: [{ name: default, crs: { paranoia: 2, inbound_threshold: 2147483647 } }]
`

// TestCompose: a file becomes objects, and objects the same configuration again, whose problems are found back.
func TestCompose(t *testing.T) {
	text := strings.ReplaceAll(file, `\x7f\u2029`, "")
	set, err := object.Split([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.LoadBytes("gatehouse.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	exported, err := object.Export(set)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"composed": object.Compose(set).Text, "exported": exported} {
		got, err := config.LoadBytes("gatehouse.yaml", data)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, data)
		}
		if !reflect.DeepEqual(got.Config, want.Config) {
			t.Errorf("%s: %s\nwant %s", name, config.Print(got.Config), config.Print(want.Config))
		}
	}
	again, err := object.Split(exported)
	if err != nil || len(object.Diff(set, again)) > 0 {
		t.Errorf("exported and read again: %v, %v", err, object.Diff(set, again))
	}
	shop := object.Key{Kind: object.Applications, Name: "shop.example.com"}
	for path, wantField := range map[string]string{"applications[0].routes[0].path": "routes[0].path", "applications[0]": ""} {
		if key, field, ok := object.Compose(set).Find(path); !ok || key != shop || field != wantField {
			t.Errorf("%s is %v %q", path, key, field)
		}
	}
	if key, field, ok := object.Compose(set).Find("admin.address"); !ok || key.Kind != object.Settings || field != "admin.address" {
		t.Errorf("admin is of %v %s", key, field)
	}
	for _, path := range []string{"applications", "applications[7]", "version", "applications[x]"} {
		if key, _, ok := object.Compose(set).Find(path); ok {
			t.Errorf("%s is of %v", path, key)
		}
	}
}

// TestComposeKeepsPlaces: whatever characters a text has, its problem is reported with its path, not as a syntax error of all.
func TestComposeKeepsPlaces(t *testing.T) {
	for _, text := range []string{"\x7f", "\u0085", "\ufeff", "\ufffe", "\u2028", "😀\x00", "</script>"} {
		set := object.Set{{Kind: object.Applications, Name: "shop"}: {"hosts": []any{"a.example.com"}, "upstream": "http://x.internal", "replies": map[string]any{"contact": text}}}
		_, err := config.LoadBytes("draft", object.Compose(set).Text)
		var problems config.Problems
		if errors.As(err, &problems) && (len(problems) != 1 || problems[0].Path != "applications[0].replies.contact") {
			t.Errorf("%q: %v", text, err)
		}
	}
	set := object.Set{{Kind: object.Applications, Name: "shop"}: {"hosts": []any{"a.example.com"}, "upstreem": "x"}}
	if _, err := config.LoadBytes("draft", object.Compose(set).Text); err == nil || !strings.Contains(err.Error(), `applications[0].upstreem: is not a key; did you mean "upstream"?`) {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestSplitRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"applications: 5":                   "expected a list",
		"applications: [5]":                 "expected keys and values",
		"applications: [{}]":                "applications[0].name: is missing",
		"upstreams: [{name: a}, {name: a}]": "defined twice",
		"version: 2":                        "not supported",
		"aplications: []":                   "is not a key",
		"settings: []":                      "is not a key",
		"a: [":                              "YAML syntax",
		"applications: [{hosts: [a], 1: {2: 3}, x: {3: 4}}]": "keys must be text",
	} {
		if _, err := object.Split([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestJoin(t *testing.T) {
	a, b := object.Set{}, object.Set{}
	key, settings := object.Key{Kind: object.Lists, Name: "x"}, object.Key{Kind: object.Settings, Name: "settings"}
	a[settings], b[settings], b[key] = object.Body{"admin": 1}, object.Body{"logs": 1}, object.Body{}
	if err := a.Join(b); err != nil || len(a) != 2 || len(a[settings]) != 2 {
		t.Error(a, err)
	}
	if err := a.Join(object.Set{key: {}}); err == nil {
		t.Error("an object was defined twice")
	}
	if err := a.Join(object.Set{settings: {"logs": 2}}); err == nil {
		t.Error("a setting was given twice")
	}
}

func TestCheckShape(t *testing.T) {
	for name, test := range map[string]struct{ key, body, field, message string }{
		"another name":       {"upstreams/a", `{"name":"b"}`, "name", "names do not change"},
		"an odd setting":     {"settings/settings", `{"applications":[]}`, "applications", "is not a key"},
		"another settings":   {"settings/x", `{}`, "", "called settings"},
		"a certificate file": {"certificates/x", `{"chain":"c","secret":"s","key_file":"/etc/passwd"}`, "key_file", "is not a key"},
		"no chain":           {"certificates/x", `{"secret":"s"}`, "", "uploaded"},
		"good":               {"upstreams/a", `{"name":"a","url":"x"}`, "", ""},
	} {
		key, err := object.ParseKey(test.key)
		if err != nil {
			t.Fatal(err)
		}
		field, message := object.CheckShape(key, body(t, test.body))
		if field != test.field || !strings.Contains(message, test.message) || (test.message == "") != (message == "") {
			t.Errorf("%s: %q %q", name, field, message)
		}
	}
	for _, text := range []string{"", "applications", "applications/", "things/x", "/x"} {
		if _, err := object.ParseKey(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}
