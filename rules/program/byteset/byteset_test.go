package byteset

import (
	"strings"
	"testing"
)

func TestOfAgreesWithStrings(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, value := range []string{"", "a", "ab", "abc", "\x00", "\xff\x80\x7f", "a\u00e9 %+", string(all)} {
		set := Of(value)
		distinct := 0
		for b := range 256 {
			want := strings.IndexByte(value, byte(b)) >= 0
			if got := set.Has(byte(b)); got != want {
				t.Errorf("Of(%q).Has(%#x) = %v, want %v", value, b, got, want)
			}
			if want {
				distinct++
			}
		}
		if set.Len() != distinct {
			t.Errorf("Of(%q).Len() = %d, want %d", value, set.Len(), distinct)
		}
	}
}

func TestSetAlgebra(t *testing.T) {
	sets := []Set{{}, Of("abc"), Of("c%+\xff"), Range('a', 'z'), Range(0x80, 0xff), Range(0, 0xff), Range(5, 4)}
	for _, s := range sets {
		for _, u := range sets {
			union, both, minus, intersects, within := s.Union(u), s.Intersect(u), s.Minus(u), false, true
			for i := range 256 {
				b := byte(i)
				if union.Has(b) != (s.Has(b) || u.Has(b)) {
					t.Errorf("%v.Union(%v) is wrong at %#x", s, u, b)
				}
				if both.Has(b) != (s.Has(b) && u.Has(b)) {
					t.Errorf("%v.Intersect(%v) is wrong at %#x", s, u, b)
				}
				if minus.Has(b) != (s.Has(b) && !u.Has(b)) {
					t.Errorf("%v.Minus(%v) is wrong at %#x", s, u, b)
				}
				if s.Complement().Has(b) == s.Has(b) {
					t.Errorf("%v.Complement() is wrong at %#x", s, b)
				}
				intersects = intersects || s.Has(b) && u.Has(b)
				within = within && (!s.Has(b) || u.Has(b))
			}
			if s.Intersects(u) != intersects || s.Within(u) != within {
				t.Errorf("%v and %v: Intersects %v, Within %v; want %v, %v", s, u, s.Intersects(u), s.Within(u), intersects, within)
			}
		}
		if s.Empty() != (s.Len() == 0) {
			t.Errorf("%v.Empty() = %v with %d bytes", s, s.Empty(), s.Len())
		}
	}
	if got := Range(0x80, 0xff).Len(); got != 128 {
		t.Errorf("Range(0x80, 0xff).Len() = %d, want 128", got)
	}
}

func BenchmarkOf(b *testing.B) {
	value := strings.Repeat("name=value&other=%41+x ", 24)
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if Of(value).Empty() {
			b.Fatal("empty set")
		}
	}
}
