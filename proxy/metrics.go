package proxy

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gatehouse/proxy/event"
	"gatehouse/proxy/inspect"
	"gatehouse/rules"
	"gatehouse/rules/engine"
)

// other is the label value of everything that no configuration names.
const other = "_other"

// metrics are the gateway's own metrics. Labels come from the configuration or from closed sets, never from a
// request.
type metrics struct {
	requests           *prometheus.CounterVec
	requestDuration    *prometheus.HistogramVec
	inspectionDuration *prometheus.HistogramVec
	verdicts           *prometheus.CounterVec
	ruleMatches        *prometheus.CounterVec
	matches            counters[int] // of ruleMatches, by rule
	evaluations        *prometheus.CounterVec
	disagreements      prometheus.Counter
	samplesDropped     prometheus.Counter
	uninspectedBytes   *prometheus.CounterVec
	uninspected        *prometheus.CounterVec
	shed               *prometheus.CounterVec
	revision           *prometheus.GaugeVec
	revisionApply      *prometheus.CounterVec
	refused            *prometheus.CounterVec
	dropped            *prometheus.CounterVec
	certificateExpiry  *prometheus.GaugeVec
	panics             prometheus.Counter
}

// newMetrics registers the metrics with r. held gives the body bytes that are held.
func newMetrics(r prometheus.Registerer, policyAge func() time.Duration, held func() int64) *metrics {
	durations := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	inspections := []float64{.00002, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		r.MustRegister(h)
		return h
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	m := &metrics{
		requests:           counter("gatehouse_requests_total", "Requests answered, by who answered them.", "application", "route", "code", "answered_by"),
		requestDuration:    histogram("gatehouse_request_duration_seconds", "Time from the request's headers to the end of the reply.", durations, "application", "route"),
		inspectionDuration: histogram("gatehouse_inspection_duration_seconds", "Time spent in the rules, by SecLang phase.", inspections, "application", "phase"),
		verdicts:           counter("gatehouse_verdicts_total", "Verdicts, by reason.", "application", "verdict", "reason"),
		ruleMatches:        counter("gatehouse_rule_matches_total", "Requests that a rule matched.", "rule"),
		evaluations:        counter("gatehouse_program_evaluations_total", "Transactions, by how they were evaluated.", "result"),
		disagreements:      prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_program_disagreements_total", Help: "Sampled transactions on which the program and the reference engine differed."}),
		samplesDropped:     prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_program_samples_dropped_total", Help: "Transactions that were chosen to run on the reference engine too and did not."}),
		uninspectedBytes:   counter("gatehouse_uninspected_bytes_total", "Bytes forwarded without inspection, by cause.", "application", "cause"),
		uninspected:        counter("gatehouse_uninspected_requests_total", "Requests of which a part was forwarded without inspection, by cause.", "application", "cause"),
		shed:               counter("gatehouse_shed_total", "Requests refused over a budget, by lane.", "lane"),
		revision:           gauge("gatehouse_revision_info", "The revision that is served, always 1.", "revision", "group"),
		revisionApply:      counter("gatehouse_revision_apply_total", "Configurations applied or rejected.", "result"),
		refused:            counter("gatehouse_refused_connections_total", "Requests and connections refused before they became a request of an application.", "listener", "cause"),
		dropped:            counter("gatehouse_records_dropped_total", "Records that were not written.", "record", "cause"),
		certificateExpiry:  gauge("gatehouse_certificate_expiry_timestamp_seconds", "When a served certificate expires, as Unix time.", "certificate"),
		panics:             prometheus.NewCounter(prometheus.CounterOpts{Name: "gatehouse_panics_total", Help: "Panics recovered at the edge of a request."}),
	}
	r.MustRegister(m.disagreements, m.samplesDropped, m.panics,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_inflight_bytes", Help: "Body bytes held in memory or in spill files."},
			func() float64 { return float64(held()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_policy_age_seconds", Help: "Time since the served revision was published, or the served configuration loaded."},
			func() float64 { return policyAge().Seconds() }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.matches.make = func(rule int) prometheus.Counter { return m.ruleMatches.WithLabelValues(strconv.Itoa(rule)) }
	for _, result := range engine.Results() {
		m.evaluations.WithLabelValues(string(result))
	}
	for _, result := range []string{"applied", "rejected"} {
		m.revisionApply.WithLabelValues(result)
	}
	for _, lane := range inspect.Lanes {
		m.shed.WithLabelValues(lane)
	}
	return m
}

// registerManaged registers the metrics of a gateway that serves signed revisions.
func registerManaged(r prometheus.Registerer, status func() *ManagedStatus) {
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_head_age_seconds", Help: "Time since the newest head that was seen was signed."},
			func() float64 { return status().HeadAge }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gatehouse_manager_reachable", Help: "Whether the manager answered when it was asked last, 1 or 0."},
			func() float64 {
				if status().Reachable {
					return 1
				}
				return 0
			}),
		spoolMetrics{status})
}

// spoolMetrics are those of the events that the manager shall have.
type spoolMetrics struct{ status func() *ManagedStatus }

var (
	spoolBytes   = prometheus.NewDesc("gatehouse_event_spool_bytes", "Events that the manager has not stored yet, in bytes.", nil, nil)
	spoolDropped = prometheus.NewDesc("gatehouse_event_spool_dropped_total", "Events whose records the manager will not get, by cause; they are counted there all the same.", []string{"cause"}, nil)
)

func (spoolMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- spoolBytes
	ch <- spoolDropped
}

func (m spoolMetrics) Collect(ch chan<- prometheus.Metric) {
	events := m.status().Events
	if events == nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(spoolBytes, prometheus.GaugeValue, float64(events.Waiting))
	for cause, n := range events.Dropped {
		ch <- prometheus.MustNewConstMetric(spoolDropped, prometheus.CounterValue, float64(n), cause)
	}
}

// appMetrics are the metrics of one route of one application, looked up once.
type appMetrics struct {
	app, route string
	m          *metrics
	duration   prometheus.Observer
	phases     [6]prometheus.Observer
	requests   counters[answered]
	verdicts   counters[judgement]
}

// answered is what gatehouse_requests_total tells apart for one route; judgement is that of gatehouse_verdicts_total.
type (
	answered struct {
		status int
		by     string
	}
	judgement struct {
		verdict event.Verdict
		reason  event.Reason
	}
)

func (m *metrics) forRoute(app, route string) *appMetrics {
	a := &appMetrics{app: app, route: route, m: m, duration: m.requestDuration.WithLabelValues(app, route)}
	for p := 1; p < len(a.phases); p++ {
		a.phases[p] = m.inspectionDuration.WithLabelValues(app, strconv.Itoa(p))
	}
	a.requests.make = func(x answered) prometheus.Counter {
		return m.requests.WithLabelValues(app, route, statusLabel(x.status), x.by)
	}
	a.verdicts.make = func(x judgement) prometheus.Counter {
		return m.verdicts.WithLabelValues(app, string(x.verdict), string(x.reason))
	}
	return a
}

// touch makes the series of an application exist before its first request, so that rates start from zero.
func (m *metrics) touch(app string) {
	for _, cause := range inspect.Causes {
		m.uninspectedBytes.WithLabelValues(app, cause)
		m.uninspected.WithLabelValues(app, cause)
	}
	m.verdicts.WithLabelValues(app, string(event.Pass), "")
}

// observe counts a finished request.
func (a *appMetrics) observe(x *event.Access, o *inspect.Outcome) {
	a.requests.of(answered{knownStatus(x.Status), x.AnsweredBy}).Inc()
	a.duration.Observe(x.Duration.Seconds())
	a.verdicts.of(judgement{x.Verdict, x.Reason}).Inc()
	for _, u := range x.Uninspected {
		a.m.uninspected.WithLabelValues(a.app, u.Cause).Inc()
		a.m.uninspectedBytes.WithLabelValues(a.app, u.Cause).Add(float64(u.Bytes))
	}
	if o == nil || o.Result == nil {
		return
	}
	for p := rules.PhaseRequestHeaders; p <= rules.PhaseLogging; p++ {
		if d := o.Phases[p]; d > 0 {
			a.phases[p].Observe(d.Seconds())
		}
	}
	for _, match := range o.Result.Matches {
		a.m.matches.of(match.Rule).Inc()
	}
}

// engineMetrics count what the engine does, as an engine.Observer.
type engineMetrics struct {
	evaluations                   map[engine.Result]prometheus.Counter
	disagreements, samplesDropped prometheus.Counter
}

func (m *metrics) forEngine() *engineMetrics {
	e := &engineMetrics{evaluations: map[engine.Result]prometheus.Counter{}, disagreements: m.disagreements, samplesDropped: m.samplesDropped}
	for _, r := range engine.Results() {
		e.evaluations[r] = m.evaluations.WithLabelValues(string(r))
	}
	return e
}

func (e *engineMetrics) Evaluated(r engine.Result) { e.evaluations[r].Inc() }
func (e *engineMetrics) Disagreed()                { e.disagreements.Inc() }
func (e *engineMetrics) SampleDropped()            { e.samplesDropped.Inc() }

// knownStatus is the status if it is one of HTTP's, else 0: an upstream must not decide how many there are.
func knownStatus(status int) int {
	if status < 100 || status > 599 {
		return 0
	}
	return status
}

// statusLabel gives a known status as a label.
func statusLabel(status int) string {
	if status == 0 {
		return other
	}
	return strconv.Itoa(status)
}
