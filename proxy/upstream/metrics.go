package upstream

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what upstreams answered. Connections are counted when they are collected.
type metrics struct {
	requests    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	connections *prometheus.Desc
	registry    *Registry
}

func newMetrics(r *Registry, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_upstream_requests_total",
			Help: "Requests forwarded, by upstream and status code or kind of error.",
		}, []string{"upstream", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gatehouse_upstream_duration_seconds",
			Help:    "Time from choosing an address to the head of the reply, retries included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"upstream"}),
		connections: prometheus.NewDesc("gatehouse_upstream_connections",
			"Open connections, by upstream and state (idle, active).", []string{"upstream", "state"}, nil),
		registry: r,
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, m} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Describe implements prometheus.Collector for the connections.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.connections }

// Collect implements prometheus.Collector for the connections.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	type count struct{ idle, active int }
	counts := map[string]count{}
	for _, s := range m.registry.Status() {
		c := counts[s.Name]
		for _, a := range s.Addresses {
			c.idle += a.Idle
			c.active += a.Active
		}
		counts[s.Name] = c
	}
	for name, c := range counts {
		ch <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(c.idle), name, "idle")
		ch <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(c.active), name, "active")
	}
}

// codes are the statuses of HTTP as labels.
var codes = func() (list [600]string) {
	for status := 100; status < len(list); status++ {
		list[status] = strconv.Itoa(status)
	}
	return list
}()

// answered counts one request. Codes outside the range of HTTP are "_other".
func (m *metrics) answered(upstream string, status int, err *Error, took time.Duration) {
	code := "_other"
	switch {
	case err != nil:
		code = string(err.Kind)
	case status >= 100 && status < len(codes):
		code = codes[status]
	}
	m.requests.WithLabelValues(upstream, code).Inc()
	m.duration.WithLabelValues(upstream).Observe(took.Seconds())
}

// forget drops the series of an upstream that is no longer configured.
func (m *metrics) forget(upstream string) {
	m.requests.DeletePartialMatch(prometheus.Labels{"upstream": upstream})
	m.duration.DeleteLabelValues(upstream)
}
