package inspect

import (
	"errors"
	"testing"

	"gatehouse/proxy/config"
)

func TestParseContentType(t *testing.T) {
	tests := []struct {
		fields []string
		kind   Kind
		err    error
	}{
		{nil, KindNone, nil},
		{[]string{"application/x-www-form-urlencoded"}, KindForm, nil},
		{[]string{"Application/X-WWW-Form-Urlencoded; charset=UTF-8"}, KindForm, nil},
		{[]string{"multipart/form-data; boundary=x"}, KindMultipart, nil},
		{[]string{"application/json"}, KindJSON, nil},
		{[]string{"application/problem+json"}, KindJSON, nil},
		{[]string{"application/vnd.api+json"}, KindJSON, nil},
		{[]string{"application/x-ndjson"}, KindNDJSON, nil},
		{[]string{"text/xml"}, KindXML, nil},
		{[]string{"application/soap+xml"}, KindXML, nil},
		{[]string{"image/svg+xml"}, KindXML, nil},
		{[]string{"text/plain"}, KindText, nil},
		{[]string{"text/csv; charset=iso-8859-1"}, KindText, nil},
		{[]string{"application/octet-stream"}, KindBinary, nil},
		{[]string{"image/png"}, KindBinary, nil},
		{[]string{"application/vnd.ms-excel"}, KindBinary, nil},
		{[]string{"application/grpc+proto"}, KindGRPC, nil},
		{[]string{"application/x-unheard-of"}, KindUnknown, nil},
		{[]string{"nonsense"}, KindUnknown, nil},
		{[]string{""}, KindUnknown, errContentType},
		{[]string{"text/plain; charset=utf-16"}, KindText, errCharset},
		{[]string{"application/json; charset=utf-7"}, KindJSON, errCharset},
		{[]string{"text/plain; charset=utf-8; charset=utf-7"}, KindUnknown, errContentType},
		{[]string{"application/json", "text/plain"}, KindUnknown, errContentType},
		{[]string{"application/json, text/plain"}, KindUnknown, errContentType},
	}
	for _, tt := range tests {
		kind, err := ParseContentType(tt.fields)
		if kind != tt.kind || !errors.Is(err, tt.err) {
			t.Errorf("%q: got %v, %v, want %v, %v", tt.fields, kind, err, tt.kind, tt.err)
		}
	}
}

// TestTakes compares the code with the table of traffic in the documentation.
func TestTakes(t *testing.T) {
	want := map[config.Traffic][]Kind{
		config.TrafficAuto:      {KindNone, KindForm, KindMultipart, KindJSON, KindNDJSON, KindXML, KindText, KindBinary},
		config.TrafficAPI:       {KindNone, KindForm, KindMultipart, KindJSON, KindNDJSON, KindXML},
		config.TrafficGRPC:      {KindGRPC},
		config.TrafficWebSocket: {KindNone},
	}
	for traffic, kinds := range want {
		taken := map[Kind]bool{}
		for _, k := range kinds {
			taken[k] = true
		}
		for k := KindNone; k <= KindUnknown; k++ {
			if takes(traffic, k) != taken[k] {
				t.Errorf("traffic %s, kind %v: got %v, want %v", traffic, k, !taken[k], taken[k])
			}
		}
	}
}
