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

// percentiles is a chart with a line through the percentiles of each server, in milliseconds.
func (s *Scenario) percentiles(metric, title string, value func(Summary) *load.Latency) chart {
	const height, top, bottom, left = 300., 12., 260., 60.
	var all []float64
	points := func(l *load.Latency) []mark {
		return []mark{{Name: "p50", Value: exact(l.P50)}, {Name: "p90", Value: exact(l.P90)}, {Name: "p99", Value: exact(l.P99)}, {Name: "p99.9", Value: exact(l.P999)}}
	}
	values := func(l *load.Latency) []float64 {
		return []float64{l.P50 / 1000, l.P90 / 1000, l.P99 / 1000, l.P999 / 1000}
	}
	for _, v := range s.Servers {
		if l := value(v.Summary); l != nil {
			all = append(all, values(l)...)
		}
	}
	y := newScale(all, bottom, top)
	c := chart{Scenario: s.Name, Metric: metric, Title: title, Width: chartWidth, Height: height, Ticks: y.ticks(), Left: left, Right: chartWidth - labelWidth, Bottom: bottom}
	const entry = 20. // height of one in the legend
	for i, v := range s.Servers {
		l := value(v.Summary)
		if l == nil {
			continue
		}
		drawn := line{Server: v.Name, Title: v.Title, Class: fmt.Sprintf("s%d", i), LabelX: c.Right + entry, LabelY: top + float64(i+1)*entry}
		for k, mark := range points(l) {
			step := (c.Right - c.Left) / 4
			mark.X, mark.Y = round(c.Left+step*(float64(k)+0.5)), y.at(values(l)[k])
			drawn.Points += fmt.Sprintf("%g,%g ", mark.X, mark.Y)
			drawn.Marks = append(drawn.Marks, mark)
		}
		c.Lines = append(c.Lines, drawn)
	}
	return c
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
