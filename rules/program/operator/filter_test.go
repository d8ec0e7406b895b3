package operator

import (
	"flag"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	libinjection "github.com/corazawaf/libinjection-go"

	"gatehouse/rules/program/byteset"
)

var randomValues = flag.Int("values", 300_000, "random values to try libinjection's filters with")

// filter is what decides most values before libinjection has to.
type filter struct {
	may func(value string, mask byteset.Set) bool
	is  func(value string) bool
	// decided are the values that the filter excludes, positive those that libinjection reports.
	given, tried, decided, positive int
}

func sqliFilter() *filter {
	return &filter{may: mayBeSQLi, is: func(value string) bool { found, _ := libinjection.IsSQLi(value); return found }}
}

func xssFilter() *filter { return &filter{may: mayBeXSS, is: libinjection.IsXSS} }

// try checks values, or some of them.
func (f *filter) try(t testing.TB, value string) {
	if f.given++; f.given%slower == 0 {
		f.check(t, value)
	}
}

// check holds the filter against the library.
func (f *filter) check(t testing.TB, value string) {
	may, is := f.may(value, byteset.Of(value)), f.is(value)
	if is && !may {
		t.Errorf("%q is excluded, and is an attack", value)
	}
	f.tried++
	if !may {
		f.decided++
	}
	if is {
		f.positive++
	}
}

// enough fails if the values were all of one kind.
func (f *filter) enough(t *testing.T) {
	t.Logf("%d values, %d excluded, %d attacks", f.tried, f.decided, f.positive)
	if f.decided < f.tried/100 || f.positive < f.tried/1000 {
		t.Errorf("of %d values %d were excluded and %d attacks: too few to tell", f.tried, f.decided, f.positive)
	}
}

// The tokens of SQL as libinjection knows them, one or more of each type. These are most of what is in the first class of
// values that mayBeSQLi excludes.
var sqlSimple = strings.Fields(`ab c9.d 1 .5 1e 1e5 1e+ 0x 0xf 0b1 1f . = - + ! * / & | < % :: <= , : ; ? [x] [ ] { }`)

// sqlTokens are the others.
var sqlTokens = append(strings.Fields(`~ ^ > := || && ( ) @x @@x @user # \ \N $ $1 $$ $a$ -- --x /* */ /**/ /*! ' " `+"` `x` x'1' u&' q'( "+
	`and or not xor union all select distinct from in into outfile like int user user_id null limit order group by collate _utf8 declare sleep if `+
	`is current date for update join left waitfor delay database a.select select.a x.user.y 1union 1dunion 1eunion 0xfor 1.or \Nunion ab$ `+
	"un\u0131on \u017felect \u00e9 a\xa0or \xc5 \xff"), sqlSimple...)

// TestSQLiSequences tries all short sequences of tokens, with and without spaces.
func TestSQLiSequences(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	f := sqliFilter()
	gaps := 2
	var walk func(prefix string, tokens []string, length int)
	walk = func(prefix string, tokens []string, length int) {
		for _, token := range tokens {
			value := prefix + token
			f.try(t, value)
			if length > 1 {
				walk(value+" "[:random.IntN(gaps)], tokens, length-1)
			}
		}
	}
	walk("", sqlTokens, 3)
	walk("", sqlSimple, 4)
	walk("", strings.Fields("ab 1 = - , . : ; [x] { }"), 5)
	walk("", strings.Fields("ab 1 = , ( ) $$ $a$ #"), 5)
	gaps = 1
	walk("", strings.Fields("0 1 2 b e x f d _ u \u00e9 \xa0 union or null"), 5)
	gaps = 2
	// Whatever comes after the beginnings that mayBeSQLi takes for decided.
	for _, prefix := range []string{"ab cd", "ab(", "ab:", "ab?", "ab @x", "ab/1 (", "ab-cd, ef[", "ab{cd ", "ab}", "ab @user()", "/", "/ab/cd", "ab 5 cd", "5 ab cd", "5ab cd", "ab/cd-", "ab+5*cd=", "ab = 5 cd"} {
		walk(prefix, sqlTokens, 2)
		walk(prefix+" ", sqlTokens, 2)
		walk(prefix, strings.Fields("ab 1 = + ( ) , ; [x] { } @x @user and union select sleep limit null"), 3)
	}
	f.enough(t)
}

// TestSQLiRandom tries values of the library's own words, and of words and numbers that it does not know.
func TestSQLiRandom(t *testing.T) {
	var words []string
	for entry, kind := range sqlTable(t) {
		if kind != 'F' {
			words = append(words, entry, strings.ToLower(entry))
		}
	}
	slices.Sort(words)
	random := rand.New(rand.NewPCG(5, 6))
	f := sqliFilter()
	piece := func(s *strings.Builder) {
		switch n := random.IntN(16); {
		case n < 3:
			s.WriteString(words[random.IntN(len(words))])
		case n < 6:
			s.WriteString(sqlSimple[random.IntN(len(sqlSimple))])
		case n < 8:
			s.WriteString(sqlTokens[random.IntN(len(sqlTokens))])
		case n < 12:
			for range 1 + random.IntN(4) {
				s.WriteByte("eariotnslcudpmhgbfywkvxzjq0123456789_."[random.IntN(38)])
			}
		case n == 12:
			s.WriteByte(byte(random.IntN(256)))
		case n == 13 && random.IntN(8) == 0:
			s.WriteString(strings.Repeat("w", 28+random.IntN(8)))
		default:
			s.WriteByte(' ')
		}
	}
	for range *randomValues {
		var s strings.Builder
		if random.IntN(3) == 0 { // as a beginning that the filter knows
			s.WriteString([]string{"alpha beta", "alpha/5 (", "alpha:", "alpha? ", "alpha-beta @", "x = 4.5, y ", "alpha-", "/", "alpha 5 ", "7 beta "}[random.IntN(10)])
		}
		for range 1 + random.IntN(9) {
			piece(&s)
			if random.IntN(2) == 0 {
				s.WriteByte(' ')
			}
		}
		f.try(t, s.String())
	}
	f.enough(t)
}

// xssNames are the tags, attributes and events that the library knows.
func xssNames(t testing.TB) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/corazawaf/libinjection-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(strings.TrimSpace(string(dir)), "xss_decls.go")
	names := []string{"XMLNS", "XLINK", "SVG", "XSL"}
	for _, list := range []string{"blackEvents", "blackTags", "blacks"} {
		for name := range composites(t, file, list) {
			if list == "blackEvents" {
				name = "on" + name
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestXSSNames tries every name that the library knows wherever one may stand.
func TestXSSNames(t *testing.T) {
	f := xssFilter()
	for _, name := range xssNames(t) {
		for _, before := range []string{"", " ", "x ", "/", "x/", "'", "\"", "`", "\x00", "x\x00", "=", "x=", "x=y ", "x='", "<", "</", "<a ", "<a/", "x", "\xa0", ">", "\x0b", "x='y'", "\"x=1 ", ":", "a:"} {
			for _, after := range []string{"=", " =", "\x00=", "=x", " \t= javascript:", "='data:x'", "=onload", "", " ", "/=x", ">=x", "x=x", "\x0b=x", "==x", "\x00\x0c =onload "} {
				f.try(t, before+name+after)
				f.try(t, before+strings.ToLower(name)+after)
				f.try(t, before+name[:1]+"\x00"+name[1:]+after)
			}
		}
	}
	f.enough(t)
}

// TestXSSRandom tries values of names and the bytes that matter.
func TestXSSRandom(t *testing.T) {
	names := xssNames(t)
	random := rand.New(rand.NewPCG(7, 8))
	f := xssFilter()
	for range *randomValues {
		var s strings.Builder
		for range 1 + random.IntN(10) {
			switch random.IntN(8) {
			case 0, 1:
				s.WriteString(names[random.IntN(len(names))])
			case 2:
				s.WriteString([]string{"!doctype", "<!--", "-->", "<![CDATA[", "]]>", "<?", "<%", "%>", "javascript:", "data:", "[if", "import", "&#106;", "</", "/>", "onload=", "href"}[random.IntN(17)])
			case 3:
				s.WriteByte(byte(random.IntN(256)))
			default:
				s.WriteByte(" \t\n\v\f\r/'\"`<>==\x00:!?%x-"[random.IntN(21)])
			}
		}
		f.try(t, s.String())
	}
	f.enough(t)
}

// FuzzFilters looks for attacks that a filter excludes.
func FuzzFilters(f *testing.F) {
	for _, value := range values() {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		sqliFilter().check(t, value)
		xssFilter().check(t, value)
	})
}

// FuzzSQLiTokens makes values of tokens, so that they have meaning more often.
func FuzzSQLiTokens(f *testing.F) {
	words := make([]string, 0, 2000)
	for word := range sqlWordList(f) {
		words = append(words, word)
	}
	slices.Sort(words)
	words = append(words, sqlTokens...)
	f.Add([]byte{0, 0, 1, 1, 2, 2})
	f.Fuzz(func(t *testing.T, choice []byte) {
		var s strings.Builder
		for ; len(choice) >= 2 && s.Len() < 200; choice = choice[2:] {
			n := int(choice[0]) | int(choice[1])<<8
			s.WriteString(words[(n&0x7fff)%len(words)])
			if n>>15 == 0 {
				s.WriteByte(' ')
			}
		}
		sqliFilter().check(t, s.String())
	})
}
