// Package report keeps what a comparison measured, and shows it: as JSON, as a table, and as a page with charts. The table
// and the page hold no number that the JSON has not.
package report

import (
	"time"

	"gatehouse/bench/load"
)

// Result is one run. Servers are only to be compared within one.
type Result struct {
	Date    time.Time `json:"date"`
	Machine Machine   `json:"machine"`
	Commit  string    `json:"commit"`
	// Void says why the run proves nothing: benign requests that were refused, attacks that were not, and servers that
	// could not be measured.
	Void      []string   `json:"void,omitempty"`
	Settings  Settings   `json:"settings"`
	Versions  []Version  `json:"versions"`
	LeftOut   []Version  `json:"left_out,omitempty"` // servers that were not measured, and why
	Scenarios []Scenario `json:"scenarios,omitempty"`
	Curves    []Curve    `json:"curves,omitempty"`
}

// Machine is what the run ran on.
type Machine struct {
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	MemoryMiB int64   `json:"memory_mib"`
	Kernel    string  `json:"kernel"`
	System    string  `json:"system"`
	Load      string  `json:"load"` // averages of 1, 5 and 15 minutes when the run began
	Seconds   float64 `json:"seconds"`
}

// Settings are those of the run.
type Settings struct {
	Rounds      int    `json:"rounds"`
	Workers     int    `json:"workers"` // of each server
	Connections int    `json:"connections"`
	Rate        int    `json:"rate"` // requests a second of the open loop
	Seed        uint64 `json:"seed"`
}

// Version is what a server or tool is.
type Version struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Scenario is one kind of traffic to servers with the same settings.
type Scenario struct {
	Name          string   `json:"name"`
	Title         string   `json:"title"`
	Mix           string   `json:"mix"`
	Requests      int      `json:"distinct_requests"`
	AttackPercent int      `json:"attack_percent"`
	Hosts         int      `json:"hosts"`
	Paranoia      int      `json:"paranoia"`
	TLS           bool     `json:"tls"`
	HTTP2         bool     `json:"http2"`
	Seconds       float64  `json:"seconds"`     // of each measurement
	Connections   int      `json:"connections"` // at saturation
	Servers       []Server `json:"servers"`
}

// Curve is how what a request costs grows with something.
type Curve struct {
	Name   string  `json:"name"`
	Title  string  `json:"title"`
	Axis   string  `json:"axis"`
	Points []Point `json:"points"`
}

// Point is what was measured at one place of a curve.
type Point struct {
	At      int      `json:"at"`
	Servers []Server `json:"servers"`
}

// Server is one that was measured.
type Server struct {
	Name     string  `json:"name"`
	Title    string  `json:"title"`
	Inspects bool    `json:"inspects"`
	Ours     bool    `json:"ours"`
	Checked  int     `json:"checked"` // requests of which the reply was held against what it had to be
	Rounds   []Round `json:"rounds"`
	Summary  Summary `json:"summary"`
}

// Round is what was measured in one turn of a server.
type Round struct {
	CPU      float64      `json:"cpu_us_per_request"` // of the server's own processes, at saturation
	Rate     float64      `json:"requests_per_second"`
	RSS      float64      `json:"rss_mib"`
	Requests int          `json:"requests"`
	Saturate load.Latency `json:"latency_at_saturation"`
	// Steady is nil where the server cannot answer as many requests as the open loop sends.
	Steady *Steady `json:"open_loop,omitempty"`
	Flood  *Flood  `json:"flood,omitempty"`
}

// Steady is what the open loop saw.
type Steady struct {
	Benign   load.Latency  `json:"benign"`
	Attacks  *load.Latency `json:"attacks,omitempty"`
	Requests int           `json:"requests"`
	Late     float64       `json:"driver_late_p99_us"`
}

// Flood is how long benign requests at a low rate took while wrk saturated the server.
type Flood struct {
	Calm  load.Latency `json:"with_benign"`  // with benign requests
	Under load.Latency `json:"with_attacks"` // with the scenario's attacks among them
	Ratio float64      `json:"p99_ratio"`
}

// Summary is made of the rounds.
type Summary struct {
	CPU      Spread       `json:"cpu_us_per_request"`
	Rate     Spread       `json:"requests_per_second"`
	RSS      Spread       `json:"rss_mib"`
	Saturate load.Latency `json:"latency_at_saturation"` // medians of the rounds
	Steady   *Steady      `json:"open_loop,omitempty"`
	Flood    *Flood       `json:"flood,omitempty"`
	// Ratio is the processor time of ours divided by this server's in the same round.
	Ratio *Spread `json:"ours_to_this_cpu,omitempty"`
}
