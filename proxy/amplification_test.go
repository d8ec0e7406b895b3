package proxy_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy"
	"gatehouse/proxy/proxytest"
	"gatehouse/rules"
)

// amplificationSize is how long the bodies of TestAmplification are, in bytes; under the race detector they are shorter.
const amplificationSize = (256 << 10) / (1 + (raceSample-1)/8)

// Bounds of TestAmplification: what a body may make the rules allocate, by its size, and what it may make them take, by the
// time for an ordinary body of its type and size.
const (
	mostMemory = 100
	mostTime   = 100
)

// repeat fills a body of amplificationSize bytes between front and back.
func repeat(front, unit, back string) string {
	return front + strings.Repeat(unit, (amplificationSize-len(front)-len(back))/len(unit)) + back
}

// amplifying are bodies by type: the first of each type is ordinary, the others cost as much as we know how to make them.
var amplifying = []struct {
	name, contentType string
	bodies            map[string]string
}{
	{"form", "application/x-www-form-urlencoded", map[string]string{
		"":                   repeat("comment=", "some+words+of+a+customer%2C+", ""),
		"empty arguments":    repeat("", "a&", ""),
		"full of escapes":    repeat("a=", "%3c%27", ""),
		"as many as may be":  strings.Repeat("a="+strings.Repeat("%27or", (amplificationSize/900-3)/5)+"&", 900),
		"overlong UTF-8":     repeat("a=", "%c0%bc%c0%a7", ""),
		"select upon select": repeat("a=", "select+*+from+(", ""),
	}},
	{"multipart", "multipart/form-data; boundary=xyz", map[string]string{
		"":                   repeat(strings.TrimSuffix(part("", fieldQ), "\r\n"), "some words of a customer, ", "\r\n"+last),
		"empty parts":        repeat("", part("", fieldQ), last),
		"files":              repeat("", part("", fileQ), last),
		"headers":            repeat("--xyz\r\n", "a:\r\n", "\r\n\r\n"+last),
		"like boundaries":    repeat(part("", fieldQ), "\r\n--xy", "\r\n"+last),
		"names of a file":    repeat("--xyz\r\n"+fileQ, ";filename=a", "\r\n\r\n\r\n"+last),
		"folded lines":       repeat("--xyz\r\n"+fieldQ+"\r\n", " a\r\n", "\r\n"+last),
		"readings of a name": "--xyz\r\n" + fileQ + keysWith(amplificationSize/24, 7, `;filename="%d%s"`) + "\r\n\r\n\r\n" + last,
		"almost boundaries":  repeat(part("", fieldQ), "\n--xyzz", "\r\n"+last),
	}},
	{"JSON", "application/json", map[string]string{
		"":                 repeat(`{"comment":"`, "some words of a customer, ", `"}`),
		"lists":            repeat("[", "[],", "1]"),
		"deep":             repeat("", strings.Repeat("[", 127)+strings.Repeat("]", 127)+"\n", ""),
		"names":            strings.Repeat(`{"`+strings.Repeat("k", 4000)+`":`, 60) + "[" + strings.Repeat("1,", 5000) + "1]" + strings.Repeat("}", 60),
		"escapes":          repeat(`{"a":"`, `\u0027`, `"}`),
		"references":       repeat(`{"a":"`, `&#x3c;\\`, `"}`),
		"values":           "[" + strings.Repeat(`"`+strings.Repeat("'", amplificationSize/990-3)+`",`, 980) + "1]",
		"keys":             "{" + keys(980, amplificationSize/990-8) + `"z":1}`,
		"sql upon sql":     repeat(`{"a":"`, `' or 1=1 -- `, `"}`),
		"angles":           repeat(`{"a":"`, `<a `, `"}`),
		"commands":         repeat(`{"a":"`, `;cat${IFS}`, `"}`),
		"slashes and dots": repeat(`{"a":"`, `../`, `"}`),
	}},
	{"XML", "application/xml", map[string]string{
		"":               repeat("<a><comment>", "some words of a customer, ", "</comment></a>"),
		"elements":       repeat("<a>", "<b/>", "</a>"),
		"deep":           repeat("", "<a>", ""),
		"empty CDATA":    repeat("<a>", "<![CDATA[]]>", "</a>"),
		"pieces":         repeat("<a>", "x<b/>", "</a>"),
		"attributes":     "<a " + keysWith(980, amplificationSize/990-8, "k%d%s='x' ") + "/>",
		"references":     repeat("<a>", "&#60;", "</a>"),
		"comments":       repeat("<a>", "<!---->", "</a>"),
		"blank pieces":   repeat("<a>", " <b/>", "</a>"),
		"long attribute": repeat("<a b='", "&quot; or ", "'/>"),
	}},
	{"text", "text/plain", map[string]string{
		"":             repeat("", "some words of a customer, ", ""),
		"angles":       repeat("", "<a ", ""),
		"quotes":       repeat("", "' or ", ""),
		"backslashes":  repeat("", `\`, ""),
		"UTF-8 broken": repeat("", "\xc0\xbc", ""),
		"NULs":         repeat("", "\x00", ""),
	}},
}

// keys are n members of an object whose names have some bytes.
func keys(n, size int) string { return keysWith(n, size, `"%d%s":1,`) }

func keysWith(n, size int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i, strings.Repeat("k", size-len(strconv.Itoa(i))))
	}
	return b.String()
}

// TestAmplification measures what the rules allocate and how long they take for bodies that are made to cost much. The log
// holds the numbers that docs/threat-model.md shows.
func TestAmplification(t *testing.T) {
	loaded, err := proxytest.Load(writeConfig(t, "applications: [{ hosts: [a], mode: block, upstream: \"http://192.0.2.1\" }]\n"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := proxy.Lower(loaded, &loaded.Config.Applications[0])
	if err != nil {
		t.Fatal(err)
	}
	set, err := proxytest.Compiled(t).Load(text)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	for _, kind := range amplifying {
		ordinary := measure(t, set, kind.contentType, kind.bodies[""])
		worstMemory, worstTime := "", ""
		var memory, duration float64
		for name, body := range kind.bodies {
			if name == "" {
				continue
			}
			got := measure(t, set, kind.contentType, body)
			if m := float64(got.allocated) / float64(len(body)); m > memory {
				memory, worstMemory = m, name
			}
			if d := float64(got.took) / float64(ordinary.took); d > duration {
				duration, worstTime = d, fmt.Sprintf("%s, %v", name, got.took.Round(10*time.Microsecond))
			}
		}
		t.Logf("%-9s ordinary: %v and %.1f times its size; at worst %.1f times its size (%s) and %.1f times the time (%s)",
			kind.name, ordinary.took.Round(10*time.Microsecond), float64(ordinary.allocated)/amplificationSize, memory, worstMemory, duration, worstTime)
		if memory > mostMemory || raceSample == 1 && duration > mostTime {
			t.Errorf("%s: %.1f times the memory (%s), %.1f times the time (%s)", kind.name, memory, worstMemory, duration, worstTime)
		}
	}
}

// cost is what one request took.
type cost struct {
	allocated uint64 // bytes in all, an upper bound of what is held at once
	took      time.Duration
}

// measure judges a body, three times, and gives the least of each.
func measure(t *testing.T, set rules.RuleSet, contentType, body string) cost {
	t.Helper()
	least := cost{1 << 62, time.Hour}
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		now, start := time.Now(), processorTime(t)
		tx := set.Begin(&rules.Request{
			Method: "POST", Target: "/", Path: "/", Protocol: "HTTP/1.1", Host: "shop.example.com", Traffic: "auto", Time: now,
			Client: netip.MustParseAddrPort("198.51.100.7:4711"), Server: netip.MustParseAddrPort("192.0.2.1:80"),
			Headers: []rules.Header{{Name: "Host", Value: "shop.example.com"}, {Name: "User-Agent", Value: "test"}, {Name: "Accept", Value: "*/*"}, {Name: "Content-Type", Value: contentType}},
		})
		if _, err := tx.RequestHeaders(); err != nil {
			t.Fatal(err)
		}
		var bound *rules.BoundError
		if _, err := tx.RequestBody(rules.Body{Reader: strings.NewReader(body), Length: int64(len(body))}); err != nil && !errors.As(err, &bound) {
			t.Fatal(err)
		}
		tx.Close()
		took := processorTime(t) - start
		runtime.ReadMemStats(&after)
		least.took = min(least.took, took)
		least.allocated = min(least.allocated, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
