package fleetapi

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/rules/revision"
)

func TestJoinToken(t *testing.T) {
	token := JoinToken{ID: "tok_1", Secret: [32]byte{1, 2, 255}, Trust: revision.HashOf([]byte("bundle"))}
	text := token.Encode()
	got, err := ParseJoinToken(text + "\n")
	if err != nil || got != token {
		t.Fatalf("%v, %v", got, err)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", token, token, token, token); strings.Contains(shown, strings.Split(text, ".")[2]) || strings.Contains(shown, "255") {
		t.Errorf("a token prints its secret: %s", shown)
	}
	parts := strings.Split(text, ".")
	for name, bad := range map[string]string{
		"empty":          "",
		"another prefix": "x" + text,
		"too few parts":  strings.Join(parts[:3], "."),
		"too many parts": text + ".x",
		"no ID":          strings.Join([]string{parts[0], "", parts[2], parts[3]}, "."),
		"long ID":        strings.Join([]string{parts[0], strings.Repeat("a", 64), parts[2], parts[3]}, "."),
		"odd ID":         strings.Join([]string{parts[0], "a/b", parts[2], parts[3]}, "."),
		"short secret":   strings.Join([]string{parts[0], parts[1], parts[2][:20], parts[3]}, "."),
		"short hash":     strings.Join([]string{parts[0], parts[1], parts[2], parts[3][:20]}, "."),
		"not base64":     strings.Join([]string{parts[0], parts[1], parts[2], strings.Repeat("!", 43)}, "."),
	} {
		if _, err := ParseJoinToken(bad); err == nil || strings.Contains(err.Error(), parts[2]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
