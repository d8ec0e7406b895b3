package mgmt

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"gatehouse/mgmt/store"
)

// metrics are what the manager says of itself.
type metrics struct {
	outboxWaiting prometheus.Gauge
	outboxAge     prometheus.Gauge
	outboxWritten *prometheus.CounterVec
	anchored      prometheus.Gauge
}

func newMetrics(r prometheus.Registerer, version string) *metrics {
	m := &metrics{
		outboxWaiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_manager_outbox_objects", Help: "Objects that still have to be written to the bucket.",
		}),
		outboxAge: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gatehouse_manager_outbox_age_seconds", Help: "Age of the oldest object that still has to be written to the bucket; 0 if there is none.",
		}),
		outboxWritten: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_manager_outbox_writes_total", Help: "Writes to the bucket, by result: written, there (it was), older (the bucket is ahead) or error.",
		}, []string{"result"}),
	}
	m.anchored = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gatehouse_manager_audit_anchored_timestamp_seconds", Help: "When this manager last saw the head of the audit log in its anchor; 0 before the first time.",
	})
	for _, result := range []store.OutboxResult{store.OutboxWritten, store.OutboxThere, store.OutboxOlder, store.OutboxError} {
		m.outboxWritten.WithLabelValues(string(result))
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gatehouse_manager_info", Help: "Always 1; the label is the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	r.MustRegister(m.outboxWaiting, m.outboxAge, m.outboxWritten, m.anchored, info)
	return m
}

// adminHandler serves /metrics, /livez and /readyz.
func (s *Server) adminHandler(gatherer prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{ErrorLog: zap.NewStdLog(s.log.Named("metrics")), EnableOpenMetrics: true}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.readiness)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, "not found; here are /metrics /livez /readyz")
	})
	return mux
}

// readinessTimeout is how long the database may take to answer.
const readinessTimeout = 2 * time.Second

// readiness answers whether this manager can work: it needs the database.
func (s *Server) readiness(w http.ResponseWriter, r *http.Request) {
	if !s.ready.Load() {
		answer(w, http.StatusServiceUnavailable, "starting or stopping")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readinessTimeout)
	defer cancel()
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		_, err := tx.Meta(store.MetaMasterKey)
		return err
	})
	if err != nil {
		s.log.Warn("not ready", zap.Error(err))
		answer(w, http.StatusServiceUnavailable, "the database does not answer")
		return
	}
	answer(w, http.StatusOK, "ready")
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // a client that is gone needs no answer
}
