package config

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// FuzzLoad shows that no file can stop the loader, and that whatever loads prints to a file that loads to the same.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/problems/*.yaml", "testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("applications: [{ hosts: [a.example], upstream: \"http://a.internal\", owner: \"a: b # c\", replies: { contact: 'x' } }]"))
	f.Fuzz(roundTrip)
}

// roundTrip checks that data either has problems, or prints to what loads to the same.
func roundTrip(t *testing.T, data []byte) {
	l, err := testOptions.LoadBytes("fuzz.yaml", data)
	if err != nil {
		if problems := err.(Problems); len(problems) == 0 {
			t.Fatal("an error without a problem")
		}
		return
	}
	text := Print(l.Config)
	again, err := testOptions.LoadBytes("fuzz.yaml", text)
	if err != nil {
		t.Fatalf("the printed file does not load: %v\n%s", err, text)
	}
	if diff := cmp.Diff(l.Config, again.Config, equal); diff != "" {
		t.Fatalf("the printed file differs (-first +again):\n%s\n%s", diff, text)
	}
}

// FuzzTexts puts arbitrary texts where the format takes them, written as an encoder writes them.
func FuzzTexts(f *testing.F) {
	f.Add("team: shop", "no", "/a b", "SecAction \"id:7,phase:1,pass\"\n", "shop.example.com")
	f.Add("0x1F", "~", "/ü#", "# a\n\n  indented\n", "*.bücher.example")
	f.Add("2027-06-30", "- a", "/:", "a\\\n\tb\n\n", "[::1]")
	f.Add("'", "\"\\", "/'\"", "\n\n a", "127.1")
	f.Fuzz(func(t *testing.T, owner, header, path, text, host string) {
		data, err := yaml.Marshal(map[string]any{
			"applications": []any{map[string]any{
				"name": "a", "hosts": []string{host}, "owner": owner, "upstream": "http://a.internal",
				"routes": []any{map[string]any{"path": "/" + path, "rewrite": map[string]any{"set_headers": map[string]string{"X-A": header}}}},
			}},
			"policies": []any{map[string]any{"name": "p", "seclang": text}},
		})
		if err != nil {
			t.Skip("not YAML text")
		}
		roundTrip(t, data)
	})
}

// FuzzTextNode shows that every text that the decoder takes is printed so that it is read again byte for byte.
func FuzzTextNode(f *testing.F) {
	for _, s := range []string{"", "a", "~", "0x1", " a", "a ", "a: b", "- a", "# a\n\n  b\n", "\n a\n", "a\n\n", "a\tb\n", "a \nb", "é\n", "\u00a0", "2027-06-30", "<<", "=", "%a", "a\n...\n", "---\n", "\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		multiline := field{multiline: true}
		var got string
		in := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
		if !utf8.ValidString(s) || setScalar(&in, reflect.ValueOf(&got).Elem(), multiline) != "" {
			return
		}
		data, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{textNode("key"), textNode(s)}})
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(data, &doc); err != nil {
			t.Fatalf("%q is printed as %q: %v", s, data, err)
		}
		out := doc.Content[0].Content[1]
		if message := setScalar(out, reflect.ValueOf(&got).Elem(), multiline); message != "" || got != s {
			t.Fatalf("%q is printed as %q, which reads %q %s", s, data, got, message)
		}
	})
}
