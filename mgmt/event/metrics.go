package event

import "github.com/prometheus/client_golang/prometheus"

// metrics are what the events say of themselves.
type metrics struct {
	batches *prometheus.CounterVec
	events  *prometheus.CounterVec
	bytes   prometheus.Gauge
	dropped *prometheus.CounterVec
}

// What became of a batch.
const (
	batchStored    = "stored"
	batchDuplicate = "duplicate"
	batchRefused   = "refused"
	batchBusy      = "busy"
)

// What became of the events of a batch that was stored.
const (
	eventStored  = "stored"
	eventRefused = "refused"
	eventLate    = "late"
)

// Why events that were stored are there no more.
const (
	droppedAge  = "age"
	droppedSize = "size"
)

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_manager_event_batches_total", Help: "Batches of events from gateways, by result: stored, duplicate, refused (it cannot be read) or busy (it was asked to come again).",
		}, []string{"result"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_manager_events_total", Help: "Events of batches that were stored, by result: stored, refused (no event) or late (older than what is kept).",
		}, []string{"result"}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_manager_events_bytes", Help: "What the stored events take on the disk.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_manager_events_dropped_total", Help: "Stored events that were dropped, by cause: age or size.",
		}, []string{"cause"}),
	}
	for _, result := range []string{batchStored, batchDuplicate, batchRefused, batchBusy} {
		m.batches.WithLabelValues(result)
	}
	for _, result := range []string{eventStored, eventRefused, eventLate} {
		m.events.WithLabelValues(result)
	}
	for _, cause := range []string{droppedAge, droppedSize} {
		m.dropped.WithLabelValues(cause)
	}
	if r != nil {
		r.MustRegister(m.batches, m.events, m.bytes, m.dropped)
	}
	return m
}
