package config

import (
	"bytes"
	"net/netip"
	"time"

	"gatehouse/rules/policy"
)

func (l *loader) validateLists() {
	for i := range l.cfg.Lists {
		x, path := &l.cfg.Lists[i], item("lists", i)
		if _, err := netip.ParseAddr(x.Name); err == nil {
			l.problem(key(path, "name"), "%q is an address; a list's name must not look like one", x.Name)
		}
		sources := 0
		for _, used := range []bool{l.written(key(path, "addresses")), x.File != "", x.URL != ""} {
			if used {
				sources++
			}
		}
		if sources > 1 {
			l.problem(path, "has several sources; write one of addresses, file and url")
			continue
		}
		switch {
		case x.URL != "":
			l.problem(key(path, "url"), "is fetched by the manager, which is not available in this version; write file: or addresses:")
		case x.File != "":
			x.Addresses = l.readList(key(path, "file"), x.File)
		case sources == 0:
			l.problem(path, "has no addresses; write addresses: or file:")
		}
		for j, e := range x.Addresses {
			at := item(key(path, "addresses"), j)
			if !e.Address.IsValid() {
				l.problem(key(at, "address"), "is missing; write an address or a network")
			}
			if l.expired(e.Expires) {
				l.warn(at, "%s expired on %s and has no effect", e.Address, e.Expires)
			}
		}
	}
}

// readList reads one address or network a line.
func (l *loader) readList(path, file string) []ListEntry {
	data, ok := l.readFile(path, file)
	if !ok {
		return nil
	}
	var entries []ListEntry
	number := 0
	for line := range bytes.Lines(data) {
		number++
		line, _, _ = bytes.Cut(line, []byte("#"))
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		var p Prefix
		if err := p.UnmarshalText(line); err != nil {
			l.problemAt(Place{File: file, Line: number, Column: 1}, path, err.Error())
			continue
		}
		entries = append(entries, ListEntry{Address: p})
	}
	return entries
}

// expired says that the day has passed, in UTC.
func (l *loader) expired(d policy.Date) bool {
	return d != "" && string(d) < l.now.UTC().Format(time.DateOnly)
}
