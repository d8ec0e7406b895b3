package listener

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2"
)

func TestLastWindow(t *testing.T) {
	const one, two, tooLarge, other = "\x00\x04\x00\x00\x00\x01", "\x00\x04\x00\x00\x00\x02", "\x00\x04\x80\x00\x00\x00", "\x00\x03\x00\x00\x00\x07"
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"once", other + one, other + one},
		{"twice", one + other + two, other + two},
		{"three times", one + two + one, one},
		{"a value that is not allowed first", tooLarge + one, tooLarge + one},
		{"and last", one + tooLarge, one + tooLarge},
		{"another twice", other + other, other + other},
		{"a broken frame", one + two + "\x00", two + "\x00"},
	} {
		if got := string(lastWindow([]byte(tt.in))); got != tt.want {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
	}
}

// TestHTTP2SettingsFrames shows that SETTINGS frames reach the server as they came, but for values of the window that the
// same frame replaces, and that a broken one is still the server's to refuse.
func TestHTTP2SettingsFrames(t *testing.T) {
	var in, want bytes.Buffer
	for _, b := range []*bytes.Buffer{&in, &want} {
		b.WriteString(http2.ClientPreface)
	}
	window := func(n uint32) http2.Setting { return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n} }
	table := http2.Setting{ID: http2.SettingHeaderTableSize, Val: 100}
	from, to := http2.NewFramer(&in, nil), http2.NewFramer(&want, nil)
	from.WriteSettings(window(100), table, window(1), table)
	to.WriteSettings(table, window(1), table)
	for _, f := range []*http2.Framer{from, to} {
		f.WriteSettingsAck()
		f.WriteRawFrame(http2.FrameSettings, 0, 0, []byte("12345"))
		f.WriteRawFrame(http2.FrameSettings, http2.FlagSettingsAck, 0, []byte("123456"))
		f.WritePing(false, [8]byte{})
	}
	c := newHTTP2Conn(readOnly{Reader: &in}, &ConnInfo{}, Hooks{})
	var got bytes.Buffer
	if _, err := got.ReadFrom(c); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("the server got %x, want %x", got.Bytes(), want.Bytes())
	}
}
