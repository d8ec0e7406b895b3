package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt"
	"gatehouse/proxy/proxytest"
)

// TestManagerSettingsTable compares the table of settings with the keys that the file may have.
func TestManagerSettingsTable(t *testing.T) {
	var got []string
	for _, r := range tables(t, "manager.md", "setting") {
		got = append(got, words(r["setting"])...)
	}
	if diff := cmp.Diff(keysBelow("", reflect.TypeFor[mgmt.Settings]()), got); diff != "" {
		t.Errorf("docs/manager.md and the settings differ (-code +page):\n%s", diff)
	}
}

// keysBelow lists the keys of a struct of settings, in their order.
func keysBelow(prefix string, settings reflect.Type) []string {
	var keys []string
	for i := range settings.NumField() {
		f := settings.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if f.Type.Kind() == reflect.Struct {
			keys = append(keys, keysBelow(prefix+name+".", f.Type)...)
			continue
		}
		keys = append(keys, prefix+name)
	}
	return keys
}

// TestManagerMetricsPage compares the table of metrics with those of a manager that has written to a bucket.
func TestManagerMetricsPage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "manager.yaml")
	text := fmt.Sprintf("data: %q\nbucket: %q\napi: { address: \"127.0.0.1:0\" }\nadmin: { address: \"127.0.0.1:0\" }\ngateways: { address: \"127.0.0.1:0\" }\n",
		filepath.Join(dir, "state"), filepath.Join(dir, "bucket"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := mgmt.LoadSettings(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := mgmt.New(t.Context(), mgmt.Options{Settings: settings, Logger: zaptest.NewLogger(t), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Stop(context.Background())
	want := map[string][]string{}
	for _, r := range tables(t, "manager.md", "manager metric") {
		want[words(r["manager metric"])[0]] = slices.Sorted(slices.Values(words(r["labels"])))
	}
	var got map[string][]string
	proxytest.Eventually(t, "all metrics", func() bool {
		reply, err := http.Get("http://" + s.AdminAddr().String() + "/metrics")
		if err != nil {
			return false
		}
		defer reply.Body.Close()
		page, err := io.ReadAll(reply.Body)
		got = metricsOf(string(page))
		return err == nil && len(got) >= len(want)
	})
	if diff := cmp.Diff(want, got, cmp.Transformer("labels", func(l []string) string { return strings.Join(l, " ") })); diff != "" {
		t.Errorf("docs/manager.md and /metrics differ (-page +manager):\n%s", diff)
	}
}
