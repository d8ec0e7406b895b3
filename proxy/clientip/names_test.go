package clientip

import "testing"

func TestPlainName(t *testing.T) {
	for key, want := range map[string]string{
		"X-Real-Ip": "X-Real-Ip", "x-real-ip": "X-Real-Ip", "X-REAL-IP": "X-Real-Ip", "X_Real_Ip": "X-Real-Ip", "X.Real.IP": "X-Real-Ip",
		"x!real|ip": "X-Real-Ip", "X--Real-Ip": "X--Real-Ip", "Xreal-Ip": "Xreal-Ip", "9a-B": "9a-B", "": "", "-A": "-A", "-a": "-A", "A-": "A-",
		"é": "-",
	} {
		if got := PlainName(key); got != want {
			t.Errorf("%q: got %q, want %q", key, got, want)
		}
	}
}
