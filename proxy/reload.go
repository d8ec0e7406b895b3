package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
)

// Hangup asks for a reload and reopens the record files, as SIGHUP does. It does not wait.
func (s *Server) Hangup() {
	select {
	case s.hangup <- struct{}{}:
	default: // one is waiting already, and will see the newest files
	}
}

// Reload reads the configuration again and serves it: everything is built and self-tested beside the old, then swapped
// in one step. After an error the old configuration is served on.
func (s *Server) Reload() error {
	s.reloadMu.Lock()
	defer s.reloadMu.Unlock()
	err := s.reload()
	status := &ReloadStatus{At: time.Now()}
	if err != nil {
		status.Error = err.Error()
		s.metrics.revisionApply.WithLabelValues("rejected").Inc()
		s.log.Error("configuration rejected, the old one stays", zap.Error(err))
	} else {
		s.metrics.revisionApply.WithLabelValues("applied").Inc()
		s.log.Info("configuration applied", zap.String("revision", s.state.Load().revision))
	}
	s.lastReload.Store(status)
	return err
}

// Rejected notes that a configuration was refused before it came to a reload: it could not be read, or nobody vouches for it.
func (s *Server) Rejected(err error) {
	s.metrics.revisionApply.WithLabelValues("rejected").Inc()
	s.lastReload.Store(&ReloadStatus{At: time.Now(), Error: err.Error()})
}

// Ready says whether the gateway takes traffic, and whether it is about to end.
func (s *Server) Ready() (ready, draining bool) {
	draining = s.draining.Load()
	return s.serving.Load() && !draining, draining
}

func (s *Server) reload() error {
	loaded, err := s.opts.Load()
	if err != nil {
		return err
	}
	old := s.state.Load()
	if loaded.Config.Admin != old.config.Admin {
		return fmt.Errorf("admin.address changed from %s to %s: that needs a restart", old.config.Admin.Address, loaded.Config.Admin.Address)
	}
	st, err := s.build(loaded)
	if err != nil && s.leaveOut != nil && s.leaveOut == s.actions.Load() { // a configuration must not fail by what an action leaves out
		left := s.leaveOut
		s.leaveOut = nil
		st, err = s.build(loaded)
		s.leaveOut = left
		if err == nil {
			s.log.Warn("the rules that emergency actions leave out are served: the configuration cannot be built without them")
		}
	}
	if err != nil {
		return err
	}
	plan, err := s.listeners.Prepare(listenerConfig(loaded))
	if err == nil {
		if err = s.records.Update(context.Background(), loaded.Config.Logs.Access, loaded.Config.Logs.Events); err != nil {
			plan.Discard()
		}
	}
	if err != nil {
		st.release()
		return err
	}
	// Connections of listeners that are gone drain: their requests go on being judged as before.
	for name, f := range old.fronts {
		if st.fronts[name] == nil {
			st.fronts[name] = f
		}
	}
	// The new state first: it knows the listeners that the plan is about to start.
	s.use(st)
	plan.Commit()
	old.release()
	s.observeCertificates()
	return nil
}

// use serves a state from now on.
func (s *Server) use(st *state) {
	for _, app := range st.apps {
		app.window = s.windows.of(st.revision, app.config.Name)
	}
	s.windows.prune(st.revision)
	s.state.Store(st)
	s.metrics.revision.Reset()
	s.metrics.revision.WithLabelValues(st.revision, st.group).Set(1)
}

// observeCertificates shows when the served certificates end.
func (s *Server) observeCertificates() {
	s.metrics.certificateExpiry.Reset()
	for _, e := range s.listeners.Expiry() {
		s.metrics.certificateExpiry.WithLabelValues(e.Certificate).Set(float64(e.NotAfter.Unix()))
	}
}

// watch reloads when a file of the configuration changes and on Hangup.
func (s *Server) watch() {
	every := s.opts.WatchInterval
	if every <= 0 {
		every = 2 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	warned := ""
	seen := s.state.Load().fingerprint
	for {
		select {
		case <-s.stopping.Done():
			return
		case <-s.hangup:
			if err := s.records.Reopen(s.stopping); err != nil {
				s.log.Error("reopen record files", zap.Error(err))
			}
			seen = fingerprint(s.state.Load().files, s.state.Load().dirs)
			_ = s.Reload() // logged and shown in /status
		case <-s.rulesBack:
			s.restoreRules()
		case <-tick.C:
			if w := s.clients.warning(); w != "" && w != warned {
				warned = w
				s.log.Warn("likely mistake", zap.String("warning", w))
			}
			st := s.state.Load()
			if now := fingerprint(st.files, st.dirs); now != seen {
				seen = now
				_ = s.Reload() // logged and shown in /status
				if s.state.Load() != st {
					seen = s.state.Load().fingerprint
				}
			}
		}
	}
}

// fingerprint tells whether files have changed: their names, sizes, times and, for directories, entries.
func fingerprint(files, dirs []string) string {
	h := sha256.New()
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			fmt.Fprintf(h, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		} else {
			fmt.Fprintf(h, "%s gone\n", name)
		}
	}
	for _, name := range dirs {
		entries, err := os.ReadDir(name)
		fmt.Fprintf(h, "%s %v\n", name, err)
		for _, e := range entries {
			fmt.Fprintln(h, e.Name())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
