package program

import (
	"hash/maphash"
	"slices"
	"testing"
	"unsafe"

	"gatehouse/rules/program/variable"
)

// TestMemoryKeepsWhatComesAgain keeps a value the second time that it comes, for its class alone, and no longer than another
// one takes its place.
func TestMemoryKeepsWhatComesAgain(t *testing.T) {
	m := &memory{seed: maphash.MakeSeed()}
	known, place := m.find(7, "items")
	if known != nil || place.again() {
		t.Fatalf("an empty memory knows %v, or has seen it", known)
	}
	if _, place = m.find(7, "items"); !place.again() {
		t.Fatal("it came again, and that is not known")
	}
	text := []byte("items")
	place.keep(seen{class: 7, value: unsafe.String(&text[0], len(text)), bytes: 11, nominated: []int32{3, 5}})
	copy(text, "gone!") // as the memory of a transaction is used again
	if known, _ = m.find(7, "items"); known == nil || known.bytes != 11 || !slices.Equal(known.nominated, []int32{3, 5}) {
		t.Errorf("found %v", known)
	}
	if known, _ = m.find(8, "items"); known != nil {
		t.Errorf("another class has %v", known)
	}
	place.keep(seen{class: 7, value: "prices"})
	if known, _ = m.find(7, "items"); known != nil {
		t.Errorf("found %v, of which another took the place", known)
	}
	if known, _ = m.find(7, "prices"); known != nil && known.value != "prices" {
		t.Errorf("found %v for another value", known)
	}
}

// TestNoSecretIsRemembered asks for what may hold a secret: its value must not outlive the request.
func TestNoSecretIsRemembered(t *testing.T) {
	for _, header := range []string{"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token", "referer", "x-forwarded-for", "location"} {
		for _, v := range []variable.ID{variable.RequestHeaders, variable.ResponseHeaders} {
			if repeats(v, false, header) {
				t.Errorf("the value of %s is kept", header)
			}
		}
	}
	for _, v := range []variable.ID{variable.ArgsGet, variable.ArgsPost, variable.RequestCookies, variable.RequestBody, variable.RequestXML, variable.RequestURI, variable.TX} {
		if repeats(v, false, "accept") || repeats(v, false, "user-agent") || repeats(v, false, "") {
			t.Errorf("values of %s are kept", v.Name())
		}
	}
	if !repeats(variable.RequestHeaders, false, "user-agent") || !repeats(variable.ArgsPost, true, "") {
		t.Error("neither user agents nor names are kept")
	}
}
