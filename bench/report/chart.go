package report

import (
	"fmt"
	"math"
	"strconv"

	"gatehouse/bench/load"
)

// A chart is drawn as SVG by the page's template; all lengths are in its own units.
type chart struct {
	Scenario, Metric, Title string
	Width, Height           float64
	Bars                    []bar
	Lines                   []line
	Ticks                   []tick
	Left, Right, Bottom     float64 // of the plot
}

// bar is one value, with a whisker from the least to the most.
type bar struct {
	Server, Title, Class, Label string
	Value                       string // as in the JSON
	Y, Width, Height, Middle    float64
	Least, Most                 float64 // x
	LabelX                      float64
}

// line is several values of one server.
type line struct {
	Server, Title, Class string
	Points               string // for a polyline
	Marks                []mark
	LabelX, LabelY       float64
}

type mark struct {
	Name, Value string
	X, Y        float64
}

// tick is a labelled line of the grid.
type tick struct {
	Label string
	At    float64
}

// scale maps values to a length, by their logarithm: servers differ by a hundred times.
type scale struct{ least, most, from, to float64 }

// newScale covers the values with whole powers of ten.
func newScale(values []float64, from, to float64) scale {
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 {
			least, most = min(least, v), max(most, v)
		}
	}
	if least > most {
		least, most = 1, 1
	}
	s := scale{least: math.Floor(math.Log10(least)), most: math.Ceil(math.Log10(most)), from: from, to: to}
	if s.least == s.most {
		s.most++
	}
	return s
}

// at is where a value is; what is not above zero is where the scale begins.
func (s scale) at(v float64) float64 {
	if v <= 0 {
		return s.from
	}
	part := (math.Log10(v) - s.least) / (s.most - s.least)
	return round(s.from + min(max(part, 0), 1)*(s.to-s.from))
}

func (s scale) ticks() []tick {
	var out []tick
	for e := s.least; e <= s.most; e++ {
		v := math.Pow(10, e)
		out = append(out, tick{Label: short(v), At: s.at(v)})
	}
	return out
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

// exact is a number as the JSON has it.
func exact(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// short is a number for people.
func short(v float64) string {
	switch {
	case v >= 10_000:
		return strconv.FormatFloat(v/1000, 'f', 0, 64) + "k"
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 1 || v == 0:
		return strconv.FormatFloat(round(v), 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

func (v *Server) class() string {
	switch {
	case v.Ours:
		return "ours"
	case v.Inspects:
		return "inspects"
	}
	return "plain"
}

const (
	chartWidth = 760.
	labelWidth = 250.
	margin     = 80. // for what stands behind a bar
	rowHeight  = 26.
	axisHeight = 26.
)

// bars is a chart with one bar a server.
func (s *Scenario) bars(metric, title string, value func(Summary) Spread) chart {
	var all []float64
	for _, v := range s.Servers {
		spread := value(v.Summary)
		all = append(all, spread.Least, spread.Median, spread.Most)
	}
	x := newScale(all, labelWidth, chartWidth-margin)
	c := chart{
		Scenario: s.Name, Metric: metric, Title: title, Width: chartWidth, Height: float64(len(s.Servers))*rowHeight + axisHeight,
		Ticks: x.ticks(), Left: labelWidth, Right: chartWidth - margin, Bottom: float64(len(s.Servers)) * rowHeight,
	}
	const gap = 4
	for i, v := range s.Servers {
		spread := value(v.Summary)
		y := float64(i) * rowHeight
		c.Bars = append(c.Bars, bar{
			Server: v.Name, Title: v.Title, Class: v.class(), Label: short(spread.Median), Value: exact(spread.Median),
			Y: y + gap, Height: rowHeight - 2*gap, Middle: y + rowHeight/2, Width: round(max(1, x.at(spread.Median)-labelWidth)),
			Least: x.at(spread.Least), Most: x.at(spread.Most), LabelX: x.at(max(spread.Median, spread.Most)) + gap,
		})
	}
	return c
}

// series are the values of one server along a chart; values and exact, which is as in the JSON, are of the same length.
type series struct {
	server, title string
	place         int // among all servers, which gives the colour
	values        []float64
	exact         []string
}

// lines is a chart with a line a server, through a value at each of the places that names name.
func lines(scenario, metric, title string, names []string, all []series) chart {
	const height, top, bottom, left = 300., 12., 260., 60.
	var values []float64
	for _, s := range all {
		values = append(values, s.values...)
	}
	y := newScale(values, bottom, top)
	c := chart{Scenario: scenario, Metric: metric, Title: title, Width: chartWidth, Height: height, Ticks: y.ticks(), Left: left, Right: chartWidth - labelWidth, Bottom: bottom}
	const entry = 20. // height of one in the legend
	step := (c.Right - c.Left) / float64(len(names))
	for i, s := range all {
		drawn := line{Server: s.server, Title: s.title, Class: fmt.Sprintf("s%d", s.place), LabelX: c.Right + entry, LabelY: top + float64(i+1)*entry}
		for k, v := range s.values {
			m := mark{Name: names[k], Value: s.exact[k], X: round(c.Left + step*(float64(k)+0.5)), Y: y.at(v)}
			drawn.Points += fmt.Sprintf("%g,%g ", m.X, m.Y)
			drawn.Marks = append(drawn.Marks, m)
		}
		c.Lines = append(c.Lines, drawn)
	}
	return c
}

// percentiles is a chart with a line through the percentiles of each server, in milliseconds.
func (s *Scenario) percentiles(metric, title string, value func(Summary) *load.Latency) chart {
	var all []series
	for i, v := range s.Servers {
		l := value(v.Summary)
		if l == nil {
			continue
		}
		drawn := series{server: v.Name, title: v.Title, place: i}
		for _, us := range []float64{l.P50, l.P90, l.P99, l.P999} {
			drawn.values, drawn.exact = append(drawn.values, us/1000), append(drawn.exact, exact(us))
		}
		all = append(all, drawn)
	}
	return lines(s.Name, metric, title, []string{"p50", "p90", "p99", "p99.9"}, all)
}

// charts are those of a curve. A server that is not at every point has no line.
func (c *Curve) charts() []chart {
	var names []string
	for _, p := range c.Points {
		names = append(names, strconv.Itoa(p.At))
	}
	draw := func(metric, title string, value func(Summary) float64) chart {
		var all []series
		for i, v := range c.Points[0].Servers {
			drawn := series{server: v.Name, title: v.Title, place: i}
			for _, p := range c.Points {
				for _, other := range p.Servers {
					if other.Name == v.Name {
						drawn.values, drawn.exact = append(drawn.values, value(other.Summary)), append(drawn.exact, exact(value(other.Summary)))
					}
				}
			}
			if len(drawn.values) == len(names) {
				all = append(all, drawn)
			}
		}
		return lines(c.Name, metric, title+", by "+c.Axis, names, all)
	}
	if len(c.Points) == 0 {
		return nil
	}
	return []chart{
		draw("cpu", "Processor time, microseconds a request", func(v Summary) float64 { return v.CPU.Median }),
		draw("rate", "Requests a second at saturation", func(v Summary) float64 { return v.Rate.Median }),
		draw("rss", "Memory resident, MiB", func(v Summary) float64 { return v.RSS.Median }),
	}
}

// charts are those of a scenario.
func (s *Scenario) charts() []chart {
	out := []chart{
		s.bars("cpu", "Processor time of the server's processes, microseconds a request", func(v Summary) Spread { return v.CPU }),
		s.bars("rate", "Requests a second at saturation", func(v Summary) Spread { return v.Rate }),
		s.bars("rss", "Memory resident, MiB", func(v Summary) Spread { return v.RSS }),
		s.percentiles("saturate", "Time to the whole reply at saturation, milliseconds", func(v Summary) *load.Latency { return &v.Saturate }),
	}
	steady := s.percentiles("open-loop", "The same for benign requests of the open loop, milliseconds", func(v Summary) *load.Latency {
		if v.Steady == nil {
			return nil
		}
		return &v.Steady.Benign
	})
	if len(steady.Lines) > 0 {
		out = append(out, steady)
	}
	return out
}
