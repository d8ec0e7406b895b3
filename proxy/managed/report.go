package managed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// reportSoon has a report sent at once.
func (g *Gateway) reportSoon() {
	select {
	case g.reportNow <- struct{}{}:
	default:
	}
}

// report tells the manager how it is, after changes and from time to time, until ctx ends.
func (g *Gateway) report(ctx context.Context) {
	wait := backoff{first: g.times.Backoff, most: g.times.MaxBackoff}
	sequence := int64(0)
	defer func() { g.reportEnd(sequence + 1) }()
	for {
		every := g.times.Report
		if s := g.state.Load(); s != nil && s.ReportEvery > 0 {
			every = s.ReportEvery.Duration()
		}
		select {
		case <-ctx.Done():
			return
		case <-g.reportNow:
		case <-time.After(jittered(every)):
		}
		sequence++
		r, took := g.makeReport(sequence)
		if err := g.send(ctx, r); err != nil {
			if ctx.Err() != nil {
				return
			}
			g.log.Debug("a report was not taken", zap.Error(err))
			d := wait.next()
			var away *UnavailableError
			if errors.As(err, &away) {
				d = max(d, away.After)
			}
			if !sleep(ctx, d) {
				return
			}
			g.reportSoon() // with all that is true by then
			continue
		}
		wait.reset()
		g.reported(took)
	}
}

// lastReport is how long the last report may take.
const lastReport = time.Second

// reportEnd tells the manager, if it was there, that this gateway was told to end: it is missing for no fault of what it serves.
func (g *Gateway) reportEnd(sequence int64) {
	if _, answered, failure := g.client.health(); g.fault != nil || answered.IsZero() || failure != "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastReport)
	defer cancel()
	r, _ := g.makeReport(sequence)
	r.Ready, r.Draining = false, true
	if err := g.send(ctx, r); err != nil {
		g.log.Debug("the last report was not taken", zap.Error(err))
	}
}

func (g *Gateway) send(ctx context.Context, r *fleetapi.Report) error {
	return g.client.json(ctx, http.MethodPost, fleetapi.PathReport, r, nil, fleetapi.MaxRequest)
}

// makeReport says how it is. took is how many refusals are in the report.
func (g *Gateway) makeReport(sequence int64) (r *fleetapi.Report, took int) {
	r = &fleetapi.Report{
		Boot: g.boot, Sequence: sequence, Started: g.started.UTC(), Version: g.options.Version, Formats: []int{revision.Format},
		Memory: residentMemory(), CPU: fleetapi.SecondsOf(processorTime()),
	}
	g.mu.Lock()
	took = len(g.refused)
	r.Refused = append(r.Refused, g.refused...)
	if g.crashed != nil && !g.crashed.Reported {
		crash := g.crashed.Refusal
		r.Crashed = &crash
	}
	s := g.serving
	r.Serving = fleetapi.Serving{HeadTime: g.headTime.UTC()}
	if s.candidate != nil {
		r.Serving.Revision, r.Serving.Hash, r.Serving.Since = s.Statement.Order, s.Statement.Content, s.since.UTC()
		r.Serving.Source, r.Serving.Trial = string(s.source), s.trial != nil
	}
	g.mu.Unlock()
	g.reportActions(r)
	r.Restartable, r.Why = g.restartable()
	if server := g.server.Load(); server != nil {
		r.Ready, r.Draining = server.Ready()
		r.Windows = windowsOf(server.Windows(), g.knownOrders())
	}
	if g.spool != nil {
		r.Spool = g.spool.State()
	}
	return r, took
}

// reported forgets what the manager knows now.
func (g *Gateway) reported(took int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = append([]fleetapi.Refusal(nil), g.refused[min(took, len(g.refused)):]...)
	if c := g.crashed; c != nil && !c.Reported {
		c.Reported = true
		if err := g.dir.write(crashName, c); err != nil {
			g.log.Error("the crash cannot be noted on disk", zap.Error(err))
		}
	}
}

// knownOrders are the orders of the revisions that were served, by name.
func (g *Gateway) knownOrders() map[string]revision.Order {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[string]revision.Order, len(g.orders))
	for name, o := range g.orders {
		out[name] = o
	}
	return out
}

func windowsOf(list []proxy.Window, orders map[string]revision.Order) []fleetapi.Window {
	var out []fleetapi.Window
	for _, w := range list {
		o, ok := orders[w.Revision]
		if !ok {
			continue
		}
		out = append(out, fleetapi.Window{
			Revision: o, Application: w.Application, Requests: w.Requests, Blocked: w.Blocked, Detected: w.Detected,
			Own5xx: w.Own5xx, Upstream5xx: w.Upstream5xx, Added: w.Added,
		})
	}
	return out
}

// restartable says whether this gateway could start again with the manager away, and if not, what is missing.
func (g *Gateway) restartable() (ok bool, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.serving.candidate == nil:
		return false, "nothing is served yet"
	case g.diskErr != nil:
		return false, fmt.Sprintf("the revision is not on disk: %v", g.diskErr)
	case g.serving.sealed() && (g.groupKey == nil || !g.groupKey.local):
		return false, "the revision has sealed certificates, whose key only the manager has; give -secret-key-file or the credential gatehouse-group-key"
	}
	return true, ""
}

// Status is how it is with the manager.
func (g *Gateway) Status() *proxy.ManagedStatus {
	st := &proxy.ManagedStatus{}
	st.Stack, st.Group, _ = g.stackAndGroup()
	if id := g.identity.Load(); id != nil {
		st.Gateway, st.CertificateEnd = id.Gateway, id.pair.Leaf.NotAfter
	}
	st.Manager, st.LastAnswer, st.ManagerError = g.client.health()
	st.Reachable = !st.LastAnswer.IsZero() && st.ManagerError == ""
	st.Restartable, st.Why = g.restartable()
	if g.spool != nil {
		state := g.spool.State()
		st.Events = &proxy.SpoolStatus{Waiting: state.Waiting, Dropped: state.Dropped}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.serving; s.candidate != nil {
		st.Source, st.Trial = string(s.source), s.trial != nil
		st.Epoch, st.Number, st.Hash = s.Statement.Order.Epoch, s.Statement.Order.Number, s.Statement.Content.String()
	}
	st.HeadTime = g.headTime
	if !g.headTime.IsZero() {
		st.HeadAge = max(0, time.Since(g.headTime).Seconds())
	}
	if l := g.last; l != nil {
		st.Refused = &proxy.RefusedStatus{Revision: l.Order.String(), Reason: l.Reason, At: l.At}
	}
	return st
}

// residentMemory is what the process has in memory, in bytes; 0 if the system does not say.
func residentMemory() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.Sys) //nolint:gosec // far below 2^63
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// processorTime is what the process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
