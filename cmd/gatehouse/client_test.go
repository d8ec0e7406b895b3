package main

import (
	"context"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func tokenFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestClientFlags refuses what would send a token in clear or nowhere.
func TestClientFlags(t *testing.T) {
	good := tokenFile(t, "ght_abc\n")
	for _, test := range []struct{ api, file, want string }{
		{"http://127.0.0.1:9080", good, ""},
		{"http://[::1]:9080/", good, ""},
		{"http://localhost:9080", good, ""},
		{"https://manager.example.com", good, ""},
		{"http://manager.example.com", good, "in clear"},
		{"http://127.0.0.1.example.com", good, "in clear"},
		{"manager.example.com", good, "not a URL"},
		{"https://manager.example.com/api/v1", good, "not a URL"},
		{"ftp://manager.example.com", good, "not a URL"},
		{"https://manager.example.com", "/nonexistent", "no such file"},
		{"https://manager.example.com", tokenFile(t, "ghj_abc"), "does not hold"},
		{"https://manager.example.com", tokenFile(t, "ght_abc\nX: y"), "does not hold"},
	} {
		_, err := newAPIClient(test.api, test.file)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.api, err, test.want)
		}
	}
}

// TestClient asks a server that stumbles, and one that refuses.
func TestClient(t *testing.T) {
	var keys, cursors []string
	answers := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ght_abc" {
			t.Errorf("Authorization is %q", r.Header.Get("Authorization"))
		}
		switch r.Method + " " + r.URL.Path {
		case "POST /api/v1/things":
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			if answers++; answers < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = io.WriteString(w, `{"name":"a"}`)
		case "PUT /api/v1/things":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"title":"Unprocessable Entity","status":422,"detail":"validation failed",
				"errors":[{"location":"body.mode","message":"is not a mode","value":"blok"},{"location":"body.path","message":"is missing"}]}`)
		case "GET /api/v1/things":
			cursors = append(cursors, r.URL.Query().Get("cursor"))
			_, _ = io.WriteString(w, map[string]string{"": `{"items":["a","b"],"next":"n"}`, "n": `{"items":["c"]}`}[r.URL.Query().Get("cursor")])
		case "GET /api/v1/away":
			http.Redirect(w, r, "https://elsewhere.example.com/", http.StatusFound)
		}
	}))
	defer server.Close()
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	newClient := clientFlags(flags)
	if _, err := newClient(); err == nil || !strings.Contains(err.Error(), "-token-file FILE is required") {
		t.Errorf("without a token: %v", err)
	}
	if err := flags.Parse([]string{"-api", server.URL, "-token-file", tokenFile(t, "ght_abc")}); err != nil {
		t.Fatal(err)
	}
	client, err := newClient()
	if err != nil {
		t.Fatal(err)
	}
	client.wait = 0
	var out struct{ Name string }
	if _, err := client.call(t.Context(), "POST", "/things", map[string]int{"a": 1}, &out); err != nil || out.Name != "a" {
		t.Errorf("%+v, %v", out, err)
	}
	if len(keys) != 3 || keys[0] == "" || keys[0] != keys[2] {
		t.Errorf("the keys of one request, sent again, are %q", keys)
	}
	_, err = client.call(t.Context(), "PUT", "/things", nil, nil)
	if want := "validation failed\n  body.mode: is not a mode (it is blok)\n  body.path: is missing"; err == nil || err.Error() != want {
		t.Errorf("the error is\n%v\nwant\n%s", err, want)
	}
	var items []string
	if err := eachOf(t.Context(), client, "/things", nil, func(s string) error { items = append(items, s); return nil }); err != nil ||
		!slices.Equal(items, []string{"a", "b", "c"}) || !slices.Equal(cursors, []string{"", "n"}) {
		t.Errorf("items %q, cursors %q: %v", items, cursors, err)
	}
	if _, err := client.call(t.Context(), "GET", "/away", nil, nil); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("a redirect: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.call(ctx, "GET", "/things", nil, nil); err == nil {
		t.Error("a request that was given up has an answer")
	}
}
