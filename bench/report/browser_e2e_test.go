//go:build e2e

package report

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"gatehouse/bench/load"
)

// TestPageInBrowser opens the page in Chromium: the charts are drawn, and each has exactly the numbers of the JSON.
func TestPageInBrowser(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "report.html")
	var b bytes.Buffer
	if err := sample().HTML(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	var want Result
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}

	document, err := html.Parse(strings.NewReader(browse(t, page, "--dump-dom")))
	if err != nil {
		t.Fatal(err)
	}
	charts := elements(document, "svg")
	compared := 0
	for _, s := range want.Scenarios {
		for metric, value := range map[string]func(Summary) float64{
			"cpu":  func(v Summary) float64 { return v.CPU.Median },
			"rate": func(v Summary) float64 { return v.Rate.Median },
			"rss":  func(v Summary) float64 { return v.RSS.Median },
		} {
			compared += compareBars(t, find(t, charts, s.Name, metric), s.Servers, value)
		}
		compared += compareLines(t, find(t, charts, s.Name, "saturate"), s.Servers, func(v Summary) *load.Latency { return &v.Saturate })
		compared += compareLines(t, find(t, charts, s.Name, "open-loop"), s.Servers, func(v Summary) *load.Latency {
			if v.Steady == nil {
				return nil
			}
			return &v.Steady.Benign
		})
	}
	for _, c := range want.Curves {
		for metric, value := range map[string]func(Summary) float64{
			"cpu":  func(v Summary) float64 { return v.CPU.Median },
			"rate": func(v Summary) float64 { return v.Rate.Median },
			"rss":  func(v Summary) float64 { return v.RSS.Median },
		} {
			compared += comparePoints(t, find(t, charts, c.Name, metric), c.Points, value)
		}
	}
	// Three servers in two scenarios: three bars, and four points at saturation and, but for one server, in the open loop.
	// Two servers at three points of three curves.
	if want := 2*3*3 + 2*3*4 + 5*4 + 2*3*3; compared != want || len(charts) != 10+3 {
		t.Errorf("%d numbers in %d charts, want %d in 13", compared, len(charts), want)
	}
	for _, name := range []string{"script", "link", "img", "iframe"} {
		if found := elements(document, name); len(found) > 0 {
			t.Errorf("the page has %d of %s", len(found), name)
		}
	}
	checkPixels(t, page)
}

func browse(t *testing.T, page string, args ...string) string {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed (Debian package chromium)")
		}
		t.Skip("chromium is not installed (Debian package chromium)")
	}
	cmd := exec.CommandContext(t.Context(), chromium, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--hide-scrollbars", "--blink-settings=preferredColorScheme=1", "--user-data-dir=" + t.TempDir(),
	}, append(args, "file://"+page)...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.Bytes())
	}
	return string(out)
}

// elements are those of a name below a node, in their order.
func elements(n *html.Node, name string) []*html.Node {
	var out []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == name {
			out = append(out, d)
		}
	}
	return out
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func number(t *testing.T, n *html.Node, name string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(attribute(n, name), 64)
	if err != nil {
		t.Fatalf("%s of %s: %v", name, n.Data, err)
	}
	return v
}

func find(t *testing.T, charts []*html.Node, scenario, metric string) *html.Node {
	t.Helper()
	for _, c := range charts {
		if attribute(c, "data-scenario") == scenario && attribute(c, "data-metric") == metric {
			return c
		}
	}
	t.Fatalf("there is no chart of %s in %s", metric, scenario)
	return nil
}

// compareBars holds bars against servers, and gives how many there are. A larger number has a longer bar.
func compareBars(t *testing.T, chart *html.Node, servers []Server, value func(Summary) float64) int {
	t.Helper()
	bars := elements(chart, "rect")
	if len(bars) != len(servers) {
		t.Fatalf("%d bars of %d servers", len(bars), len(servers))
	}
	for i, b := range bars {
		want := value(servers[i].Summary)
		if got := number(t, b, "data-value"); got != want || attribute(b, "data-server") != servers[i].Name {
			t.Errorf("bar %d is %v of %s, want %v of %s", i, got, attribute(b, "data-server"), want, servers[i].Name)
		}
		for k, other := range bars {
			if want > value(servers[k].Summary) && number(t, b, "width") <= number(t, other, "width") {
				t.Errorf("the bar of %s is not longer than that of %s", servers[i].Name, servers[k].Name)
			}
		}
	}
	return len(bars)
}

// compareLines holds the points of lines against percentiles, and gives how many there are. A higher point is later.
func compareLines(t *testing.T, chart *html.Node, servers []Server, value func(Summary) *load.Latency) int {
	t.Helper()
	lines := map[string]*html.Node{}
	for _, g := range elements(chart, "g") {
		lines[attribute(g, "data-server")] = g
	}
	compared := 0
	for _, v := range servers {
		l, g := value(v.Summary), lines[v.Name]
		if (l == nil) != (g == nil) {
			t.Errorf("%s has a line: %v, has numbers: %v", v.Name, g != nil, l != nil)
		}
		if l == nil || g == nil {
			continue
		}
		points := elements(g, "circle")
		want := []float64{l.P50, l.P90, l.P99, l.P999}
		if len(points) != len(want) {
			t.Fatalf("%d points of %s", len(points), v.Name)
		}
		for i, p := range points {
			if got := number(t, p, "data-value"); got != want[i] {
				t.Errorf("point %d of %s is %v, want %v", i, v.Name, got, want[i])
			}
			if i > 0 && want[i] > want[i-1] && number(t, p, "cy") >= number(t, points[i-1], "cy") {
				t.Errorf("point %d of %s is not above the one before", i, v.Name)
			}
			compared++
		}
	}
	return compared
}

// comparePoints holds the lines of a curve against what was measured, and gives how many points there are.
func comparePoints(t *testing.T, chart *html.Node, points []Point, value func(Summary) float64) int {
	t.Helper()
	compared := 0
	for i, g := range elements(chart, "g") {
		marks := elements(g, "circle")
		if len(marks) != len(points) {
			t.Fatalf("%d points, want %d", len(marks), len(points))
		}
		for k, m := range marks {
			want := points[k].Servers[i]
			if got := number(t, m, "data-value"); got != value(want.Summary) || attribute(g, "data-server") != want.Name {
				t.Errorf("point %d is %v of %s, want %v of %s", k, got, attribute(g, "data-server"), value(want.Summary), want.Name)
			}
			compared++
		}
	}
	return compared
}

// checkPixels looks for the colours of all kinds of servers on the page as it is drawn.
func checkPixels(t *testing.T, page string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "screen.png")
	browse(t, page, "--window-size=1000,900", "--screenshot="+file)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[3]uint32]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, b, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r >> 8, g >> 8, b >> 8}]++
		}
	}
	const least = 500 // pixels
	for name, colour := range map[string][3]uint32{"ours": {0x0b, 0x6b, 0xcb}, "plain": {0x8a, 0x94, 0xa3}, "inspects": {0xd9, 0x77, 0x06}} {
		if seen[colour] < least {
			t.Errorf("%d pixels have the colour of bars of class %s, want %d", seen[colour], name, least)
		}
	}
}
