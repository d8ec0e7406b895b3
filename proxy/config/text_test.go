package config

import (
	"encoding"
	"reflect"
	"testing"
)

// TestTexts shows how values are read and written; an empty want is an error.
func TestTexts(t *testing.T) {
	tests := []struct {
		value      encoding.TextUnmarshaler
		text, want string
	}{
		{new(Size), "10MiB", "10MiB"},
		{new(Size), "1024KiB", "1MiB"},
		{new(Size), "1500B", "1500B"},
		{new(Size), "0B", "0B"},
		{new(Size), "8388607TiB", "8388607TiB"},
		{new(Size), "8388608TiB", ""},
		{new(Size), "10", ""},
		{new(Size), "10MB", ""},
		{new(Size), "1.5MiB", ""},
		{new(Size), "-1B", ""},
		{new(Size), "MiB", ""},
		{new(Size), "10 MiB", ""},
		{new(Duration), "500ms", "500ms"},
		{new(Duration), "1500ms", "1500ms"},
		{new(Duration), "60s", "60s"},
		{new(Duration), "90s", "90s"},
		{new(Duration), "10m", "10m"},
		{new(Duration), "1m30s", "90s"},
		{new(Duration), "120m", "2h"},
		{new(Duration), "48h", "48h"},
		{new(Duration), "0s", "0s"},
		{new(Duration), "30", ""},
		{new(Duration), "1d", ""},
		{new(Duration), "1.5s", ""},
		{new(Duration), "-1s", ""},
		{new(Duration), "5us", ""},
		{new(Duration), "9999999999h", ""},
		{new(Rate), "10/1m", "10/1m"},
		{new(Rate), "10/60s", "10/1m"},
		{new(Rate), "10/90s", "10/90s"},
		{new(Rate), "10", ""},
		{new(Rate), "10/m", ""},
		{new(Rate), "0/1m", ""},
		{new(Rate), "1/0s", ""},
		{new(Rate), "99999999999/1m", ""},
		{new(Prefix), "198.51.100.7", "198.51.100.7"},
		{new(Prefix), "198.51.100.7/32", "198.51.100.7"},
		{new(Prefix), "198.51.100.0/24", "198.51.100.0/24"},
		{new(Prefix), "2001:DB8::/32", "2001:db8::/32"},
		{new(Prefix), "::ffff:198.51.100.7", "198.51.100.7"},
		{new(Prefix), "::ffff:198.51.100.0/120", "198.51.100.0/24"},
		{new(Prefix), "0.0.0.0/0", "0.0.0.0/0"},
		{new(Prefix), "198.51.100.7/24", ""},
		{new(Prefix), "198.51.100", ""},
		{new(Prefix), "fe80::1%eth0", ""},
		{new(Prefix), "", ""},
	}
	for _, tt := range tests {
		t.Run(reflect.TypeOf(tt.value).Elem().Name()+" "+tt.text, func(t *testing.T) {
			err := tt.value.UnmarshalText([]byte(tt.text))
			if (err != nil) != (tt.want == "") {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			got, _ := reflect.ValueOf(tt.value).Elem().Interface().(encoding.TextMarshaler).MarshalText()
			if string(got) != tt.want {
				t.Errorf("written as %s, want %s", got, tt.want)
			}
		})
	}
}

func TestClosest(t *testing.T) {
	modes := []string{"disabled", "detect", "block"}
	for got, want := range map[string]string{"blok": "block", "BLOCK": "block", "bolck": "block", "detct": "detect", "disable": "disabled", "off": "", "": "", "x": ""} {
		if w := closest(got, modes); w != want {
			t.Errorf("closest(%q) = %q, want %q", got, w, want)
		}
	}
	if w := closest("trusted-hops", []string{"trusted_hops"}); w != "trusted_hops" {
		t.Errorf("a hyphen for an underscore gives %q", w)
	}
}
