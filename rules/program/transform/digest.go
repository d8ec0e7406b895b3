package transform

import (
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha1"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// bytesOf is in as bytes that must not be written to.
func bytesOf(in string) []byte { return unsafe.Slice(unsafe.StringData(in), len(in)) }

func md5Digest(s *Scratch, in string) (string, bool, error) {
	if fips140.Enabled() {
		return in, false, errFIPS
	}
	sum := md5.Sum(bytesOf(in))
	return s.Keep(append(s.Room(len(sum)), sum[:]...)), true, nil
}

func sha1Digest(s *Scratch, in string) (string, bool, error) {
	if fips140.Enabled() {
		return in, false, errFIPS
	}
	sum := sha1.Sum(bytesOf(in))
	return s.Keep(append(s.Room(len(sum)), sum[:]...)), true, nil
}

func length(s *Scratch, in string) (string, bool, error) {
	return s.Keep(strconv.AppendInt(s.Room(20), int64(len(in)), 10)), true, nil
}

// utf8ToUnicode writes what is not ASCII as %uHHHH, with more digits where it needs them.
func utf8ToUnicode(s *Scratch, in string) (string, bool, error) {
	at := 0
	for at < len(in) && in[at] < utf8.RuneSelf {
		at++
	}
	if at == len(in) {
		return in, false, nil
	}
	b := append(s.Room(len(in)), in[:at]...)
	for _, r := range in[at:] {
		if r < utf8.RuneSelf {
			b = append(b, byte(r))
			continue
		}
		b = append(b, '%', 'u')
		for limit := rune(0x1000); limit > 1 && r < limit; limit >>= 4 {
			b = append(b, '0')
		}
		b = strconv.AppendUint(b, uint64(r), 16)
	}
	return s.Keep(b), true, nil
}
