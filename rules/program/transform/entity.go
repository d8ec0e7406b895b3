package transform

import (
	"strings"

	"golang.org/x/net/html"

	"gatehouse/rules/program/byteset"
)

// htmlEntityDecode decodes HTML's character references. It reports only values whose length changes.
func htmlEntityDecode(_ *Scratch, in string) (string, bool, error) {
	if !mayHaveEntity(in) {
		return in, false, nil
	}
	out := html.UnescapeString(in)
	if out == in {
		return in, false, nil
	}
	return out, len(out) != len(in), nil
}

func htmlEntityDecodeStays(_ byteset.Set, in string) bool { return !mayHaveEntity(in) }

// mayHaveEntity says no only to values without a reference. It is there for the "&" of query strings.
func mayHaveEntity(in string) bool {
	for {
		at := strings.IndexByte(in, '&')
		if at < 0 {
			return false
		}
		in = in[at+1:]
		n := 0
		for n < len(in) && alphanumeric(in[n]) {
			n++
		}
		switch {
		case n == 0:
			if in != "" && in[0] == '#' {
				return true
			}
		case n < len(in) && in[n] == ';':
			return true
		default:
			for k := 2; k <= min(n, 6); k++ {
				if bareEntities[in[:k]] {
					return true
				}
			}
		}
		in = in[n:]
	}
}

// bareEntities are the names of HTML's table that count without a semicolon, also in front of other letters.
var bareEntities = func() map[string]bool {
	const names = `AElig AMP Aacute Acirc Agrave Aring Atilde Auml COPY Ccedil ETH Eacute Ecirc Egrave Euml GT Iacute
		Icirc Igrave Iuml LT Ntilde Oacute Ocirc Ograve Oslash Otilde Ouml QUOT REG THORN Uacute Ucirc Ugrave Uuml Yacute
		aacute acirc acute aelig agrave amp aring atilde auml brvbar ccedil cedil cent copy curren deg divide eacute ecirc
		egrave eth euml frac12 frac14 frac34 gt iacute icirc iexcl igrave iquest iuml laquo lt macr micro middot nbsp not
		ntilde oacute ocirc ograve ordf ordm oslash otilde ouml para plusmn pound quot raquo reg sect shy sup1 sup2 sup3
		szlig thorn times uacute ucirc ugrave uml uuml yacute yen yuml`
	m := make(map[string]bool)
	for name := range strings.FieldsSeq(names) {
		m[name] = true
	}
	return m
}()
