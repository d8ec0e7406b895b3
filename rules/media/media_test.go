package media

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// parameters writes n parameters.
func parameters(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "; p%d=x", i)
	}
	return b.String()
}

func TestParseContentType(t *testing.T) {
	tests := []struct {
		fields []string
		kind   Kind
		err    error
	}{
		{nil, None, nil},
		{[]string{"application/x-www-form-urlencoded"}, Form, nil},
		{[]string{"Application/X-WWW-Form-Urlencoded; charset=UTF-8"}, Form, nil},
		{[]string{"multipart/form-data; boundary=x"}, Multipart, nil},
		{[]string{"application/json"}, JSON, nil},
		{[]string{"application/problem+json"}, JSON, nil},
		{[]string{"application/vnd.api+json"}, JSON, nil},
		{[]string{"application/x-ndjson"}, NDJSON, nil},
		{[]string{"application/csp-report"}, JSON, nil},
		{[]string{"application/json-seq"}, Text, nil},
		{[]string{"multipart/mixed; boundary=x"}, Text, nil},
		{[]string{"image/json"}, JSON, nil},
		{[]string{"model/vnd.a_json"}, JSON, nil},
		{[]string{"text/x-json"}, JSON, nil},
		{[]string{"application/vnd.shop.v2.json"}, JSON, nil},
		{[]string{"video/xml"}, XML, nil},
		{[]string{"text/xml-external-parsed-entity"}, XML, nil},
		{[]string{"application/vnd.x-www-form-urlencoded"}, Form, nil},
		{[]string{"audio/x-www-form-urlencoded"}, Form, nil},
		{[]string{"application/vnd.openxmlformats-officedocument.wordprocessingml.document"}, Binary, nil},
		{[]string{"application/vnd.oasis.opendocument.text"}, Binary, nil},
		{[]string{"application/x-json"}, Unknown, nil},
		{[]string{"application/x-www-form-urlencoded-a"}, Unknown, nil},
		{[]string{"text/xml"}, XML, nil},
		{[]string{"application/soap+xml"}, XML, nil},
		{[]string{"image/svg+xml"}, XML, nil},
		{[]string{"text/plain"}, Text, nil},
		{[]string{"text/csv; charset=iso-8859-1"}, Text, nil},
		{[]string{"application/octet-stream"}, Binary, nil},
		{[]string{"image/png"}, Binary, nil},
		{[]string{"application/vnd.ms-excel"}, Binary, nil},
		{[]string{"application/grpc+proto"}, GRPC, nil},
		{[]string{"application/x-unheard-of"}, Unknown, nil},
		{[]string{"nonsense"}, Unknown, nil},
		{[]string{""}, Unknown, ErrContentType},
		{[]string{"text/plain; charset=utf-16"}, Text, ErrCharset},
		{[]string{"application/json; charset=utf-7"}, JSON, ErrCharset},
		{[]string{"text/plain; charset=utf-8; charset=utf-7"}, Unknown, ErrContentType},
		{[]string{"text/plain; charset*=utf-8''utf-8"}, Unknown, ErrContentType},
		{[]string{"multipart/form-data; boundary*=utf-8''x"}, Unknown, ErrContentType},
		{[]string{"multipart/form-data; boundary*0=x; boundary*1=y"}, Unknown, ErrContentType},
		{[]string{"multipart/form-data; boundary=x; boundary*=utf-8''y"}, Unknown, ErrContentType},
		{[]string{`multipart/form-data; boundary="x*y"`}, Multipart, nil},
		{[]string{"application/json", "text/plain"}, Unknown, ErrContentType},
		{[]string{"application/json, text/plain"}, Unknown, ErrContentType},
		{[]string{"text/plain" + parameters(maxParameters)}, Text, nil},
		{[]string{"text/plain" + parameters(maxParameters+1)}, Unknown, ErrContentType},
		{[]string{"text/plain" + strings.Repeat(";", maxParameters+1)}, Unknown, ErrContentType},
		{[]string{"text/plain; a=" + strings.Repeat("b", maxLength-len("text/plain; a="))}, Text, nil},
		{[]string{"text/plain; a=" + strings.Repeat("b", maxLength+1-len("text/plain; a="))}, Unknown, ErrContentType},
		{[]string{"text/plain;" + strings.Repeat(" ", maxLength)}, Unknown, ErrContentType},
	}
	for _, tt := range tests {
		kind, err := ParseContentType(tt.fields)
		if kind != tt.kind || !errors.Is(err, tt.err) {
			t.Errorf("%q: got %v, %v, want %v, %v", tt.fields, kind, err, tt.kind, tt.err)
		}
	}
}
