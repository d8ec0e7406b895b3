package transform

import (
	"bytes"
	"strings"

	"gatehouse/rules/program/byteset"
)

// normalisePath resolves "//", "." and "..", and keeps a slash at the end. The path "/" becomes "//".
func normalisePath(s *Scratch, in string) (string, bool, error) {
	if in == "" || namesStay(in) {
		return in, false, nil
	}
	b := cleanPath(s.Room(len(in)+1), in, '/')
	return s.result(b, in)
}

// result keeps b unless it is equal to in.
func (s *Scratch) result(b []byte, in string) (string, bool, error) {
	if string(b) == in {
		return in, false, nil
	}
	return s.Keep(b), true, nil
}

func normalisePathStays(mask byteset.Set, in string) bool {
	if !mask.Has('/') {
		return in != "." && in != ".."
	}
	return namesStay(in)
}

// namesStay looks for a name that is empty, "." or "..". Only the first may be empty, of a path that has a second, and the
// last.
func namesStay(in string) bool {
	for start := 0; start < len(in); {
		name := in[start:]
		if end := strings.IndexByte(name, '/'); end >= 0 {
			name = name[:end]
		}
		if name == "." || name == ".." || name == "" && (start > 0 || len(in) == 1) {
			return false
		}
		start += len(name) + 1
	}
	return true
}

// cleanPath appends the shortest equal path to b, which is empty, and a slash if in ends with one. Other is read as a
// slash too. A path that leads nowhere is empty.
func cleanPath(b []byte, in string, other byte) []byte {
	slash := func(c byte) bool { return c == '/' || c == other }
	rooted := slash(in[0])
	if rooted {
		b = append(b, '/')
	}
	floor := len(b) // ".." does not go back beyond this
	for start := 0; start <= len(in); {
		end := start
		for end < len(in) && !slash(in[end]) {
			end++
		}
		name := in[start:end]
		start = end + 1
		switch {
		case name == "" || name == ".":
			continue
		case name == ".." && len(b) > floor:
			b = b[:max(floor, bytes.LastIndexByte(b, '/'))]
			continue
		case name == ".." && rooted:
			continue
		}
		if len(b) > 0 && b[len(b)-1] != '/' {
			b = append(b, '/')
		}
		b = append(b, name...)
		if name == ".." {
			floor = len(b)
		}
	}
	if len(b) > 0 && slash(in[len(in)-1]) {
		b = append(b, '/')
	}
	return b
}

// normalisePathWin reads a backslash as a slash, and also drops what Windows does not look at: the stream after a colon
// in the last name, and dots and spaces at the end of names.
func normalisePathWin(s *Scratch, in string) (string, bool, error) {
	if in == "" {
		return in, false, nil
	}
	b := cleanPath(s.Room(len(in)+1), in, '\\')
	return s.result(dropTrailing(dropStream(b)), in)
}

// normalisePathWinStays: also no name may end with a dot or a space, and there may be no backslash and no colon.
func normalisePathWinStays(mask byteset.Set, in string) bool {
	if mask.Has('\\') || mask.Has(':') || !normalisePathStays(mask, in) {
		return false
	}
	if !mask.Has('/') {
		return in == "" || in[len(in)-1] != '.' && in[len(in)-1] != ' '
	}
	for i := range len(in) {
		if (in[i] == '.' || in[i] == ' ') && (i+1 == len(in) || in[i+1] == '/') {
			return false
		}
	}
	return true
}

// dropStream cuts the last name at its first colon. That of a drive does not count.
func dropStream(b []byte) []byte {
	drive := 0
	if len(b) >= 2 && b[1] == ':' && b[0]|0x20-'a' < 26 {
		drive = 2
	}
	end := len(b)
	slash := end > drive && b[end-1] == '/'
	if slash {
		end--
	}
	name := drive + bytes.LastIndexByte(b[drive:end], '/') + 1
	colon := bytes.IndexByte(b[name:end], ':')
	if colon < 0 {
		return b
	}
	b = b[:name+colon]
	if slash {
		b = append(b, '/')
	}
	return b
}

// dropTrailing cuts dots and spaces at the end of names, in place, and drops a name of nothing else. A name of dots alone
// stays.
func dropTrailing(b []byte) []byte {
	out := b[:0]
	first := true
	for start := 0; start <= len(b); {
		end := start
		for end < len(b) && b[end] != '/' {
			end++
		}
		name := b[start:end]
		start = end + 1
		if trimmed := bytes.TrimRight(name, "."); len(trimmed) > 0 {
			name = bytes.TrimRight(name, ". ")
			if len(name) == 0 {
				continue
			}
		}
		if !first {
			out = append(out, '/')
		}
		out = append(out, name...)
		first = false
	}
	return out
}
