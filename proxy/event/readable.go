package event

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Color says whether readable lines are coloured.
type Color int

// The colour settings.
const (
	NoColor Color = iota
	ANSI
)

// ColorFor is ANSI if f is a terminal that wants colours (NO_COLOR is not set, TERM is not dumb).
func ColorFor(f *os.File) Color {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return NoColor
	}
	return ANSI
}

// Readable writes e as one line for people: time, verdict, incident, request, status and reason, the first rules and
// what they matched or why the gateway itself refused it, the client. e is expected to be masked; nothing in it can control a terminal.
func Readable(w io.Writer, e *Event, c Color) error {
	_, err := w.Write(appendReadable(nil, e, c))
	return err
}

const (
	reset  = "\x1b[0m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
)

const readableRules = 3

func appendReadable(b []byte, e *Event, c Color) []byte {
	paint := func(code, s string) {
		if c == ANSI {
			b = append(b, code...)
		}
		b = append(b, s...)
		if c == ANSI {
			b = append(b, reset...)
		}
	}
	paint(dim, e.Time.UTC().Format("15:04:05"))
	b = append(b, ' ')
	verdict := strings.ToUpper(printable(string(e.Verdict), 16))
	code := map[Verdict]string{Block: red, Error: red, Detect: yellow, Pass: green}[e.Verdict]
	paint(bold+code, verdict+strings.Repeat(" ", max(0, 6-len(verdict))))
	b = append(b, ' ')
	paint(bold, printable(e.Incident, 32))
	b = append(b, ' ')
	if e.Method != "" { // else it was refused before it could be read
		b = append(b, printable(e.Method, 16)...)
		b = append(b, ' ')
	}
	if target := readableTarget(e); target != "" {
		b = append(b, printable(target, 120)...)
		b = append(b, ' ')
	}
	b = append(b, "-> "...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, ' ')
	paint(code, printable(string(e.Reason), 32))
	if e.Scores.Inbound > 0 && e.Scores.InboundThreshold > 0 && byRules(e) {
		b = append(b, " (score "...)
		b = strconv.AppendInt(b, int64(e.Scores.Inbound), 10)
		b = append(b, " of "...)
		b = strconv.AppendInt(b, int64(e.Scores.InboundThreshold), 10)
		b = append(b, ')')
	}
	b = appendReadableRules(b, e)
	if client := printable(e.Client, 64); client != "" {
		b = append(b, ' ')
		paint(dim, "from "+client)
	}
	return append(b, '\n')
}

// readableTarget is host, path and query. The target of CONNECT is a host itself (RFC 9112, section 3.2.3).
func readableTarget(e *Event) string {
	target := e.Host + e.Path
	if e.Method == "CONNECT" && e.Path != "" {
		target = e.Path
	}
	if e.Query != "" {
		target += "?" + e.Query
	}
	return target
}

// byRules says that it was rules that decided. Else the detail says why, and rules that matched are beside the point.
func byRules(e *Event) bool {
	return e.Detail == "" || e.Reason == CRSScore || e.Reason == Rule || e.Reason == List
}

// appendReadableRules names the first rules that matched something and what, else the detail.
func appendReadableRules(b []byte, e *Event) []byte {
	shown := 0
	for i := range e.Rules {
		if !byRules(e) {
			break
		}
		m := &e.Rules[i]
		if len(m.Targets) == 0 || m.Disruptive && len(e.Rules) > 1 && e.Reason == CRSScore {
			continue
		}
		if shown == readableRules {
			b = append(b, " ..."...)
			break
		}
		sep := ": "
		if shown > 0 {
			sep = "; "
		}
		shown++
		b = append(b, sep...)
		b = strconv.AppendInt(b, int64(m.Rule), 10)
		b = append(b, ' ')
		b = append(b, printable(m.Message, 60)...)
		b = append(b, " in "...)
		name := m.Targets[0].Target
		if name == "" {
			name = m.Targets[0].Variable
		}
		b = append(b, printable(name, 60)...)
	}
	if shown == 0 && e.Detail != "" {
		b = append(b, ": "...)
		b = append(b, printable(e.Detail, 200)...)
	}
	return b
}

// printable gives at most limit characters of s, with everything that a terminal would not print as a character escaped.
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
			b.WriteString(`\x`)
			b.WriteByte(hexDigits[s[i]>>4])
			b.WriteByte(hexDigits[s[i]&15])
		case !unicode.IsPrint(r) || hidden(r):
			b.WriteString(`\u{` + strconv.FormatInt(int64(r), 16) + `}`)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}
