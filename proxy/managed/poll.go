package managed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"go.uber.org/zap"

	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// maxState bounds the answer to a poll, in bytes: lists of addresses come with it.
const maxState = 32 << 20

// poll asks the manager what to do until ctx ends, and waits there until it says something new.
func (g *Gateway) poll(ctx context.Context) {
	wait := backoff{first: g.times.Backoff, most: g.times.MaxBackoff}
	etag, told := "", false
	for ctx.Err() == nil {
		asked := time.Now()
		a, err := g.client.do(ctx, g.stateRequest(etag))
		if err == nil && a.status == http.StatusOK {
			err = g.takeState(ctx, a.body)
		}
		if err == nil {
			if !told {
				g.log.Info("the manager answers")
				g.reportSoon()
			}
			told = true
			wait.reset()
			if a.status == http.StatusOK {
				etag = a.header.Get("ETag")
			}
			if d := g.times.Least - time.Since(asked); d > 0 { // a manager that does not wait must not be asked all the time
				sleep(ctx, d)
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		told, etag = false, ""
		d := wait.next()
		var away *UnavailableError
		if errors.As(err, &away) {
			d = max(d, away.After)
		}
		g.actUpon(err)
		g.log.Warn("the manager does not answer; what is served stays", zap.Error(err), zap.Duration("again_in", d))
		sleep(ctx, d)
	}
}

func (g *Gateway) stateRequest(etag string) request {
	h := http.Header{"Accept": {"application/json"}}
	q := request{method: http.MethodGet, path: fleetapi.PathState, header: h, most: maxState}
	if etag != "" {
		h.Set("If-None-Match", etag)
		h.Set("Prefer", fmt.Sprintf("wait=%d", int(g.times.Wait.Seconds())))
		q.wait = g.times.Wait
	}
	return q
}

// actUpon does what the manager's problem asks for.
func (g *Gateway) actUpon(err error) {
	var problem *fleetapi.Problem
	if !errors.As(err, &problem) {
		return
	}
	switch problem.Type {
	case fleetapi.ProblemExpired, fleetapi.ProblemRevoked, fleetapi.ProblemRetired:
		g.askToRenew()
	}
}

// takeState does what the manager says.
func (g *Gateway) takeState(ctx context.Context, body []byte) error {
	s := &fleetapi.State{}
	if err := json.Unmarshal(body, s); err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	g.state.Store(s)
	if len(s.Trust) > 0 {
		g.rotate(ctx, s.Trust)
	}
	if len(s.Head) > 0 {
		g.offers.put(offer{source: fromManager, head: s.Head, depot: managerDepot{g.client}, trial: s.Trial.Duration()})
	}
	g.takeActions(s.Actions)
	g.answer(s.Questions)
	g.spool.Limit(s.FullEvents)
	return nil
}

// rotate takes a later trust bundle.
func (g *Gateway) rotate(ctx context.Context, data []byte) {
	now := g.trust.Load()
	stack, _, _ := g.stackAndGroup()
	next, err := now.Renew(data, stack)
	if err == nil && next.Serial == now.Serial {
		return
	}
	if err == nil {
		err = g.setTrust(ctx, next, now.root)
	}
	if err != nil {
		g.refuse(fleetapi.Refusal{Kind: revision.KindTrust, Hash: revision.HashOf(data), Reason: err.Error()})
		return
	}
	g.log.Info("trust was rotated", zap.Uint64("serial", next.Serial), zap.Int("keys", len(next.Keys)))
	g.offers.again(g.server.Load() == nil)
	g.reportSoon()
}

// watchBucket looks at the bucket now and then: for what is newer than what the manager says, or while it is away.
func (g *Gateway) watchBucket(ctx context.Context) {
	said := ""
	for {
		err := g.lookAtBucket(ctx)
		if text := errorText(err); text != said && ctx.Err() == nil {
			said = text
			if err != nil {
				g.log.Warn("the bucket cannot be read", zap.String("bucket", g.options.BucketName), zap.Error(err))
			}
		}
		d := jittered(g.times.Bucket)
		if g.server.Load() == nil { // nothing is served yet
			d = min(d, jittered(2*g.times.Backoff))
		}
		select {
		case <-ctx.Done():
			return
		case <-g.lookNow:
		case <-time.After(d):
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (g *Gateway) lookAtBucket(ctx context.Context) error {
	r, ok := g.reader(g.options.Bucket)
	if !ok {
		return nil // the group or the keys are still to be told
	}
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	head, err := r.SignedHead(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no revision of group %s: %w", r.Group, err)
	}
	if err != nil {
		return err
	}
	if g.offers.said(fromBucket, head) { // what was refused is looked at again after Times.Retry
		return nil
	}
	g.offers.put(offer{source: fromBucket, head: head, depot: g.options.Bucket, trial: defaultTrial})
	return nil
}
