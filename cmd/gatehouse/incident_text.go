package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/proxy/event"
	"gatehouse/rules"
)

// printField prints one named line, nothing if it has no value.
func printField(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "%-12s %s\n", name, value)
	}
}

// requestLine is the request as an event tells it.
func requestLine(e *event.Event) string {
	target := e.Host + e.Path
	if e.Query != "" {
		target += "?" + e.Query
	}
	s := printable(e.Method, 16) + " " + printable(target, 300)
	if e.ContentType != "" {
		s += " (" + printable(e.ContentType, 80) + ")"
	}
	return s
}

// statusLine is what the client got, or would get.
func statusLine(e *event.Event) string {
	if e.Status == 0 {
		return ""
	}
	s := strconv.Itoa(e.Status)
	if e.AnsweredBy == "" {
		return s
	}
	return s + " by the " + e.AnsweredBy
}

// detailLine is the detail of a refusal that rules did not make.
func detailLine(e *event.Event) string {
	if e.Reason == event.CRSScore || e.Reason == event.Rule {
		return ""
	}
	return printable(e.Detail, 512)
}

// placeLine is where in the configuration the request was judged.
func placeLine(e *event.Event) string {
	if e.Application == "" {
		return ""
	}
	s := e.Application
	for _, p := range []struct{ name, value string }{{"route", e.Route}, {"mode", e.Mode}, {"policy", e.Policy}} {
		if p.value != "" {
			s += ", " + p.name + " " + p.value
		}
	}
	return printable(s, 200)
}

// scoreLine is the scores against their thresholds.
func scoreLine(s rules.Scores) string {
	if s.InboundThreshold == 0 && s.OutboundThreshold == 0 && s.Inbound == 0 {
		return ""
	}
	line := fmt.Sprintf("inbound %d of %d", s.Inbound, s.InboundThreshold)
	if s.Outbound > 0 {
		line += fmt.Sprintf(", outbound %d of %d", s.Outbound, s.OutboundThreshold)
	}
	if s.Detection > s.Inbound {
		line += fmt.Sprintf(", with the paranoia levels above the blocking one %d", s.Detection)
	}
	var classes []string
	for _, name := range slices.Sorted(maps.Keys(s.Categories)) {
		classes = append(classes, fmt.Sprintf("%s %d", name, s.Categories[name]))
	}
	if len(classes) > 0 {
		line += " (" + strings.Join(classes, ", ") + ")"
	}
	return line
}

// printRules prints the rules of an event, each with what it matched.
func printRules(w io.Writer, e *event.Event) {
	matches := shownRules(e)
	if len(matches) == 0 {
		return
	}
	fmt.Fprintln(w)
	for _, m := range matches {
		fmt.Fprintf(w, "%-7d %-9s %s\n", m.Rule, m.Severity, printable(m.Message, 200))
		for _, line := range targetLines(m.Targets) {
			fmt.Fprintf(w, "        %s\n", line)
		}
	}
	if e.RulesDropped > 0 {
		fmt.Fprintf(w, "        and %s that the record has no room for\n", count(e.RulesDropped, "match"))
	}
}

const maxTargets = 8

// targetLines writes matched targets in aligned lines: the target, its SecLang variable, the value.
func targetLines(targets []rules.MatchedTarget) []string {
	shown := targets[:min(len(targets), maxTargets)]
	names := make([]string, len(shown))
	width := 0
	for i, t := range shown {
		names[i] = printable(t.Variable, 80)
		if t.Target != "" {
			names[i] = printable(t.Target, 80) + " (" + names[i] + ")"
		}
		if n := utf8.RuneCountInString(names[i]); n <= 48 {
			width = max(width, n)
		}
	}
	var lines []string
	for i, t := range shown {
		pad := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(names[i])))
		lines = append(lines, strings.TrimRight(names[i]+pad+"  "+printable(t.Value, 120), " "))
	}
	if more := len(targets) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// printable gives at most limit characters of s, with what a terminal would not print as a character escaped. Records
// hold what clients sent.
func printable(s string, limit int) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if limit == 0 {
			b.WriteString("…")
			break
		}
		limit--
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !unicode.IsPrint(r):
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}
