package proxy

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"gatehouse/proxy/upstream"
)

// adminHandler serves /metrics, /livez and /readyz, and to peers on this host also /status and profiles.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.gatherer, promhttp.HandlerOpts{ErrorLog: zap.NewStdLog(s.log.Named("metrics")), EnableOpenMetrics: true}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { s.readiness(w) })
	mux.Handle("GET /status", localOnly(http.HandlerFunc(s.serveStatus)))
	mux.Handle("/debug/pprof/", localOnly(http.HandlerFunc(pprof.Index)))
	mux.Handle("/debug/pprof/profile", localOnly(http.HandlerFunc(pprof.Profile)))
	mux.Handle("/debug/pprof/trace", localOnly(http.HandlerFunc(pprof.Trace)))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusNotFound, "not found; here are /metrics /livez /readyz, and from this host /status and /debug/pprof/")
	})
	return mux
}

// readiness answers whether this instance can serve. Only its own state counts: an upstream or a manager that is down
// never fails it, or one fault would take out the whole fleet.
func (s *Server) readiness(w http.ResponseWriter) {
	switch {
	case s.draining.Load():
		answer(w, http.StatusServiceUnavailable, "draining")
	case !s.serving.Load():
		answer(w, http.StatusServiceUnavailable, "starting")
	default:
		answer(w, http.StatusOK, "ready")
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // a client that is gone needs no answer
}

// localOnly lets in peers on this host alone, and of those only requests that name it by its address or as localhost: a
// page in a browser here could have the name of its own site resolve to this host and read what is answered.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		addr, parseErr := netip.ParseAddr(host)
		if err != nil || parseErr != nil || !addr.Unmap().IsLoopback() {
			answer(w, http.StatusForbidden, "only from the gateway's own host")
			return
		}
		if !namesThisHost(r.Host) {
			answer(w, http.StatusForbidden, "only by an IP address or as localhost")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// namesThisHost says whether a Host field is localhost or an IP literal, each with or without a port. No name that a DNS
// server could answer for is either.
func namesThisHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost")
}

// Status is what /status shows.
type Status struct {
	Version      string              `json:"version"`
	Started      time.Time           `json:"started"`
	Ready        bool                `json:"ready"`
	Draining     bool                `json:"draining"`
	Revision     string              `json:"revision"`
	Group        string              `json:"group,omitempty"`
	Managed      *ManagedStatus      `json:"managed,omitempty"`
	LoadedAt     time.Time           `json:"loaded_at"`
	LastReload   *ReloadStatus       `json:"last_reload,omitempty"`
	Warnings     []string            `json:"warnings"`
	Listeners    []ListenerStatus    `json:"listeners"`
	Applications []ApplicationStatus `json:"applications"`
	Upstreams    []upstream.Status   `json:"upstreams"`
}

// ManagedStatus is what a gateway that serves signed revisions knows of where they come from.
type ManagedStatus struct {
	Gateway string `json:"gateway,omitempty"` // its name with the manager
	Stack   string `json:"stack"`
	Group   string `json:"group"`
	Source  string `json:"source"` // of the revision that is served: manager, bucket, disk
	Epoch   uint64 `json:"epoch"`
	Number  uint64 `json:"number"`
	Hash    string `json:"hash"`
	Trial   bool   `json:"trial"` // it is on trial
	// HeadTime is when the newest head that was seen was signed, HeadAge how long that is ago, in seconds.
	HeadTime time.Time `json:"head_time"`
	HeadAge  float64   `json:"head_age_seconds"`
	// Manager is the one that was asked last; Reachable says whether it answered.
	Manager        string    `json:"manager,omitempty"`
	Reachable      bool      `json:"manager_reachable"`
	ManagerError   string    `json:"manager_error,omitempty"`
	LastAnswer     time.Time `json:"last_answer,omitzero"`
	CertificateEnd time.Time `json:"certificate_end,omitzero"` // of the gateway's own certificate
	// Refused is what was refused last, and why.
	Refused *RefusedStatus `json:"refused,omitempty"`
	// Restartable says that the gateway could start again without the manager; if not, Why says what is missing.
	Restartable bool   `json:"restartable"`
	Why         string `json:"why,omitempty"`
	// Events are those that the manager shall have; nil without a manager.
	Events *SpoolStatus `json:"events,omitempty"`
}

// SpoolStatus is how it is with the events that the manager shall have.
type SpoolStatus struct {
	Waiting int64            `json:"waiting_bytes"`
	Dropped map[string]int64 `json:"dropped"` // since the process began, by cause
}

// RefusedStatus is a revision that was refused.
type RefusedStatus struct {
	Revision string    `json:"revision"`
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
}

// ReloadStatus is how the last attempt to reload ended.
type ReloadStatus struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"`
}

// ListenerStatus is a bound listener.
type ListenerStatus struct {
	Name        string `json:"name"`
	Address     string `json:"address"`
	Protocol    string `json:"protocol"`
	Connections int    `json:"connections"`
}

// ApplicationStatus is an application as it is served.
type ApplicationStatus struct {
	Name   string   `json:"name"`
	Hosts  []string `json:"hosts"`
	Mode   string   `json:"mode"`
	Policy string   `json:"policy"`
	Coverage
}

func (s *Server) serveStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(s.Status()); err != nil {
		s.log.Debug("status page", zap.Error(err))
	}
}

// Status describes what is served.
func (s *Server) Status() *Status {
	st := s.acquire()
	defer st.release()
	out := &Status{
		Version: s.opts.Version, Started: s.started, Ready: s.serving.Load() && !s.draining.Load(), Draining: s.draining.Load(),
		Revision: st.revision, Group: st.group, LoadedAt: st.loadedAt, LastReload: s.lastReload.Load(), Warnings: s.warnings(st),
		Listeners: s.listenerStatus(), Applications: []ApplicationStatus{}, Upstreams: []upstream.Status{},
	}
	if s.opts.Managed != nil {
		out.Managed = s.opts.Managed()
	}
	for _, app := range st.apps {
		out.Applications = append(out.Applications, ApplicationStatus{
			Name: app.config.Name, Hosts: app.config.Hosts, Mode: string(app.config.Mode), Policy: app.config.Policy, Coverage: app.coverage,
		})
	}
	for i := range st.config.Upstreams {
		if u, ok := st.upstreams[st.config.Upstreams[i].Name].(*upstream.Upstream); ok {
			out.Upstreams = append(out.Upstreams, u.Status())
		}
	}
	return out
}
