package transform

import (
	"cmp"
	"errors"
	"math"
	"strings"

	"gatehouse/rules/program/byteset"
)

// Func is one transformation. It is immutable; the names of one transformation all look up the same *Func.
type Func struct {
	name  string
	apply func(s *Scratch, in string) (out string, changed bool, err error)
	// special are the bytes without which the value stays, unless always is set.
	special byteset.Set
	always  bool
	// adds are the bytes that the result may have though the value does not.
	adds byteset.Set
	// grows is how many times longer than the value the result may be; 0 stands for 1.
	grows float64
	// reaches is Reaches where the length of the value does not tell enough; it may be nil.
	reaches func(in string, n int, any *byteset.Set, spaced bool) bool
	// stays decides for values that have special bytes; it may be nil. It must only say true where apply gives
	// (in, false, nil).
	stays func(mask byteset.Set, in string) bool
}

var (
	errHex  = errors.New("value is no hexadecimal text")
	errFIPS = errors.New("digest is not available in FIPS 140-3 mode")
)

// Lookup finds a transformation by its SecLang name, in any case. The name "none", in this spelling, is no step of a
// chain: it removes the steps before it, which is the caller's to do. In another spelling it is a step that does nothing.
func Lookup(name string) (*Func, bool) {
	f, ok := table[strings.ToLower(name)]
	return f, ok
}

// Name is the transformation's usual SecLang name.
func (f *Func) Name() string { return f.name }

// Apply transforms in. The result is in itself or a string in s. Out is what the next step gets, changed is what
// multiMatch goes by; see the package comment. With an error, out is in and changed is false.
func (f *Func) Apply(s *Scratch, in string) (out string, changed bool, err error) {
	return f.apply(s, in)
}

// Relevant returns the bytes that matter to the transformation: a value that has none of them stays as it is, and is
// not reported as changed. If there is no such set, because any value may change, ok is false.
func (f *Func) Relevant() (set byteset.Set, ok bool) { return f.special, !f.always }

// Grows returns how many times longer than its value a result may be.
func (f *Func) Grows() float64 { return cmp.Or(f.grows, 1) }

// Adds returns the bytes that a result may have though its value does not.
func (f *Func) Adds() byteset.Set { return f.adds }

// Checks reports whether Reaches says more than Grows.
func (f *Func) Checks() bool { return f.reaches != nil }

// Reaches reports whether the result may have n bytes, and one of a set among them; nil is no set. It costs less than the
// result. With spaced, in is what the value was before RemovesSpace's transformation.
func (f *Func) Reaches(in string, n int, any *byteset.Set, spaced bool) bool {
	if !spaced && float64(len(in))*f.Grows() < float64(n) {
		return false
	}
	return f.reaches == nil || f.reaches(in, n, any, spaced)
}

// RemovesSpace reports whether the transformation drops white space. Then Reaches of the next one may be asked before.
func (f *Func) RemovesSpace() bool { return f.name == "removeWhitespace" }

// Unchanged reports whether Apply is known to return in with changed false and no error. Mask must have every byte that
// in has; more bytes make the answer less sharp, not wrong. It says no where the answer would cost as much as Apply.
func (f *Func) Unchanged(mask byteset.Set, in string) bool {
	if f.always {
		return false
	}
	if !mask.Intersects(f.special) {
		return true
	}
	return f.stays != nil && f.stays(mask, in)
}

var table = func() map[string]*Func {
	var (
		upper    = byteset.Range('A', 'Z')
		lower    = byteset.Range('a', 'z')
		beyond   = byteset.Range(0x80, 0xff) // not ASCII
		encoded  = byteset.Of("%+")
		escaped  = byteset.Of(`\`)
		nul      = byteset.Of("\x00")
		comments = byteset.Of("*-#")
		path     = byteset.Of("/.")
		space    = byteset.Of(" ")
		slash    = byteset.Of("/")
		digits   = byteset.Range('0', '9')
		all      = byteset.Range(0, 0xff)
		harmless = byteset.Range('0', '9').Union(upper).Union(lower).Union(byteset.Of("*"))
	)
	m := make(map[string]*Func)
	for _, f := range []Func{
		{name: "base64Decode", apply: base64Decode, adds: all, grows: 0.75, reaches: base64Reaches, always: true},
		{name: "base64DecodeExt", apply: base64DecodeExt, adds: all, grows: 0.75, always: true},
		{name: "base64Encode", apply: base64Encode, adds: all, grows: 4, always: true},
		{name: "cmdLine", apply: cmdLine, adds: lower.Union(space), special: cmdLineSpecial.Union(byteset.Of(" ")), stays: cmdLineStays},
		{name: "compressWhitespace", apply: compressWhitespace, adds: space, special: runSpecial.Union(byteset.Of(" ")), stays: compressWhitespaceStays},
		{name: "cssDecode", apply: cssDecode, adds: all, grows: 2, special: escaped},
		{name: "escapeSeqDecode", apply: escapeSeqDecode, adds: all, special: escaped},
		{name: "hexDecode", apply: hexDecode, adds: all, always: true},
		{name: "hexEncode", apply: hexEncode, adds: all, grows: 2, always: true},
		{name: "htmlEntityDecode", apply: htmlEntityDecode, adds: all, grows: 2, special: byteset.Of("&"), stays: htmlEntityDecodeStays},
		{name: "jsDecode", apply: jsDecode, adds: all, special: escaped},
		{name: "length", apply: length, adds: digits, grows: math.Inf(1), always: true},
		{name: "lowercase", apply: lowercase, adds: lower.Union(beyond), grows: 3, special: upper.Union(beyond)},
		{name: "md5", apply: md5Digest, adds: all, grows: math.Inf(1), always: true},
		{name: "none", apply: none},
		{name: "normalisePath", apply: normalisePath, adds: slash, grows: 2, special: path, stays: normalisePathStays},
		{name: "normalisePathWin", apply: normalisePathWin, adds: slash, grows: 2, special: path.Union(byteset.Of(`\: `)), stays: normalisePathWinStays},
		{name: "removeComments", apply: removeComments, adds: space.Union(nul), special: comments, stays: removeCommentsStays},
		{name: "removeCommentsChar", apply: removeCommentsChar, special: comments, stays: removeCommentsCharStays},
		{name: "removeNulls", apply: removeNulls, special: nul},
		{name: "removeWhitespace", apply: removeWhitespace, adds: beyond, grows: 3, special: byteset.Of(asciiSpace).Union(beyond)},
		{name: "replaceComments", apply: replaceComments, adds: space, special: byteset.Of("*"), stays: replaceCommentsStays},
		{name: "replaceNulls", apply: replaceNulls, adds: space, special: nul},
		{name: "sha1", apply: sha1Digest, adds: all, grows: math.Inf(1), always: true},
		{name: "trim", apply: trim, special: byteset.Of(asciiSpace), stays: trimStays},
		{name: "trimLeft", apply: trimLeft, special: byteset.Of(asciiSpace), stays: trimLeftStays},
		{name: "trimRight", apply: trimRight, special: byteset.Of(asciiSpace), stays: trimRightStays},
		{name: "uppercase", apply: uppercase, adds: upper.Union(beyond), grows: 3, special: lower.Union(beyond)},
		{name: "urlDecode", apply: urlDecode, adds: all, special: encoded},
		{name: "urlDecodeUni", apply: urlDecodeUni, adds: all, special: encoded},
		{name: "urlEncode", apply: urlEncode, adds: all, grows: 3, special: harmless.Complement()},
		{name: "utf8toUnicode", apply: utf8ToUnicode, adds: all, grows: 6, special: beyond},
	} {
		m[strings.ToLower(f.name)] = &f
	}
	m["normalizepath"] = m["normalisepath"]
	m["normalizepathwin"] = m["normalisepathwin"]
	return m
}()

func none(_ *Scratch, in string) (string, bool, error) { return in, false, nil }
