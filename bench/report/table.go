package report

import (
	"fmt"
	"io"
	"text/tabwriter"

	"gatehouse/bench/load"
)

// Table writes the result as text of fixed width.
func (r *Result) Table(w io.Writer) error {
	fmt.Fprintf(w, "%s, %s, %d cores, %s, commit %s\n", r.Date.Format("2006-01-02 15:04 MST"), r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Commit)
	fmt.Fprintf(w, "%d rounds in alternating order, %d worker(s) a server, %d connections; medians of the rounds, [least to most]\n",
		r.Settings.Rounds, r.Settings.Workers, r.Settings.Connections)
	fmt.Fprintf(w, "open loop at %d requests a second; ratio: processor time of ours divided by the server's\n", r.Settings.Rate)
	for _, s := range r.Scenarios {
		if err := s.table(w); err != nil {
			return err
		}
	}
	for _, c := range r.Curves {
		if err := c.table(w); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "\nversions")
	for _, v := range r.Versions {
		fmt.Fprintf(w, "  %s: %s\n", v.Title, v.Text)
	}
	for _, v := range r.LeftOut {
		fmt.Fprintf(w, "left out: %s: %s\n", v.Title, v.Text)
	}
	for _, v := range r.Void {
		fmt.Fprintf(w, "VOID: %s\n", v)
	}
	return nil
}

func (s *Scenario) table(w io.Writer) error {
	fmt.Fprintf(w, "\n%s: %s\n", s.Name, s.Title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "server\tCPU us/request\trequests/s\tsaturated p50/p90/p99/p99.9 ms\topen loop p50/p90/p99/p99.9 ms\tRSS MiB\tratio\t")
	for _, v := range s.Servers {
		open := "beyond it"
		if v.Summary.Steady != nil {
			open = milliseconds(v.Summary.Steady.Benign)
		}
		ratio := ""
		if v.Summary.Ratio != nil {
			ratio = fmt.Sprintf("%.3g [%.3g to %.3g]", v.Summary.Ratio.Median, v.Summary.Ratio.Least, v.Summary.Ratio.Most)
		}
		fmt.Fprintf(t, "%s\t%.1f [%.1f to %.1f]\t%.0f\t%s\t%s\t%.0f\t%s\t\n", v.Title, v.Summary.CPU.Median, v.Summary.CPU.Least, v.Summary.CPU.Most,
			v.Summary.Rate.Median, milliseconds(v.Summary.Saturate), open, v.Summary.RSS.Median, ratio)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, v := range s.Servers {
		if f := v.Summary.Flood; f != nil {
			fmt.Fprintf(w, "%s, p99 of benign requests at saturation: %.1f ms without attacks, %.1f ms with %d %%: %.2f times\n",
				v.Title, f.Calm.P99/1000, f.Under.P99/1000, s.AttackPercent, f.Ratio)
		}
	}
	return nil
}

func milliseconds(l load.Latency) string {
	return fmt.Sprintf("%.2f/%.2f/%.2f/%.2f", l.P50/1000, l.P90/1000, l.P99/1000, l.P999/1000)
}

func (c *Curve) table(w io.Writer) error {
	fmt.Fprintf(w, "\n%s: %s\n", c.Name, c.Title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tserver\tCPU us/request\trequests/s\tsaturated p50/p90/p99/p99.9 ms\tRSS MiB\t\n", c.Axis)
	for _, p := range c.Points {
		for _, v := range p.Servers {
			fmt.Fprintf(t, "%d\t%s\t%.1f [%.1f to %.1f]\t%.0f\t%s\t%.0f\t\n", p.At, v.Title, v.Summary.CPU.Median, v.Summary.CPU.Least, v.Summary.CPU.Most,
				v.Summary.Rate.Median, milliseconds(v.Summary.Saturate), v.Summary.RSS.Median)
		}
	}
	return t.Flush()
}
