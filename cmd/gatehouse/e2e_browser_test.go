//go:build e2e

package main

import (
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// testBrowser looks at the page of a refused request in Chromium: what is in it once its script has run, in narrow and
// wide windows, light and dark.
func (e *endToEnd) testBrowser(t *testing.T) {
	chromium := need(t, "chromium", "chromium")
	p := e.start(t, strings.Replace(shopConfig, "    upstream: shop\n", "    upstream: shop\n    replies: { contact: \"help@example.com\" }\n", 1), "-drain-delay", "0s")
	browse := func(t *testing.T, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), chromium, append([]string{
			"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
			"--disable-component-update", "--disable-sync", "--no-proxy-server", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
		}, append(args, p.url+attackQuery)...)...)
		var stderr lockedBuffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("chromium: %v\n%s", err, stderr.String())
		}
		return string(out)
	}

	t.Run("document", func(t *testing.T) {
		dom := browse(t, "--dump-dom")
		incident := regexp.MustCompile(`<code id="id">(GH-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})</code>`).FindStringSubmatch(dom)
		if incident == nil {
			t.Fatalf("no incident ID in\n%s", dom)
		}
		p.event(incident[1])
		// The button is hidden until the script has run: the page's own policy allows it.
		if !regexp.MustCompile(`<button id="copy" type="button">Copy</button>`).MatchString(dom) {
			t.Errorf("no copy button in\n%s", dom)
		}
		for _, want := range []string{"help@example.com", p.addresses["HTTP"], " UTC"} {
			if !strings.Contains(dom, want) {
				t.Errorf("no %q in\n%s", want, dom)
			}
		}
		for _, never := range []string{"<script>alert", "941100", "http-equiv", "src="} {
			if strings.Contains(dom, never) {
				t.Errorf("%q in\n%s", never, dom)
			}
		}
	})

	for _, width := range []int{390, 1280} {
		t.Run(fmt.Sprintf("%d pixels wide", width), func(t *testing.T) {
			var schemes []screen
			for scheme := range 2 { // Chromium's numbers for dark and light
				file := filepath.Join(t.TempDir(), "screen.png")
				browse(t, fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme), fmt.Sprintf("--window-size=%d,844", width), "--screenshot="+file)
				schemes = append(schemes, readScreen(t, file))
			}
			for i, s := range schemes {
				if s.width != width {
					t.Errorf("screen %d is %d pixels wide", i, s.width)
				}
				if s.colours < 20 {
					t.Errorf("screen %d has only %d colours: nothing was drawn", i, s.colours)
				}
				if s.margin < 8 {
					t.Errorf("screen %d: the page is wider than the window", i)
				}
			}
			if dark, light := min(schemes[0].background, schemes[1].background), max(schemes[0].background, schemes[1].background); dark > 60 || light < 195 {
				t.Errorf("backgrounds %d and %d of 255: want a dark and a light one", dark, light)
			}
		})
	}
}

// screen is what matters of a screenshot.
type screen struct {
	width      int
	background int // brightness of the corner, 0 to 255
	colours    int
	margin     int // columns at the right edge that show the background only
}

func readScreen(t *testing.T, file string) screen {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	s := screen{width: b.Dx(), background: brightness(img, b.Min.X+3, b.Min.Y+3)}
	seen := map[[3]uint32]bool{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := img.At(x, y).RGBA()
			seen[[3]uint32{r, g, bl}] = true
		}
	}
	s.colours = len(seen)
	for x := b.Max.X - 1; x >= b.Min.X; x-- {
		for y := b.Min.Y; y < b.Max.Y; y++ {
			if brightness(img, x, y) != s.background {
				return s
			}
		}
		s.margin++
	}
	return s
}

func brightness(img image.Image, x, y int) int {
	r, g, b, _ := img.At(x, y).RGBA()
	return int((r + g + b) / 3 >> 8)
}
