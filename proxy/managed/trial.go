package managed

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// trial is a revision's first time in traffic. It is marked on disk: a process that finds the mark knows that the one before died.
type trial struct {
	of       *candidate
	length   time.Duration // of traffic
	traffic  time.Duration // so far
	began    time.Time
	requests int64
}

// Files of the state directory.
const (
	goodName  = "good.json"  // the last revision that survived its trial
	trialName = "trial.json" // the one on trial
	crashName = "crash.json" // the last one that a process died with
)

// headFile is a signed head.
type headFile struct {
	Head []byte `json:"head"`
}

// trialFile marks a trial.
type trialFile struct {
	Head   []byte           `json:"head"`
	Length fleetapi.Seconds `json:"length"`
	Began  time.Time        `json:"began"`
	// Stopped says that the process was told to end, and did.
	Stopped bool `json:"stopped,omitempty"`
}

// crashFile remembers what is not served again by itself.
type crashFile struct {
	Refusal  fleetapi.Refusal `json:"refusal"`
	Reported bool             `json:"reported"`
	// Again says that there was none before it, so that it is served again.
	Again bool `json:"again,omitempty"`
}

// longestTrial is after how many times its length a trial is over without traffic.
const longestTrial = 20

// beginTrial marks a trial on disk, before anything of the revision runs.
func (g *Gateway) beginTrial(c *candidate, length time.Duration) (*trial, error) {
	if length <= 0 {
		return nil, nil
	}
	t := &trial{of: c, length: length, began: time.Now()}
	return t, g.markTrial(t, false)
}

func (g *Gateway) markTrial(t *trial, stopped bool) error {
	return g.dir.write(trialName, trialFile{Head: t.of.head, Length: fleetapi.SecondsOf(t.length), Began: t.began.UTC(), Stopped: stopped})
}

// restoreTrial puts the mark back as it was before a revision that was refused.
func (g *Gateway) restoreTrial(before *trial) error {
	if before == nil {
		return g.dir.remove(trialName)
	}
	return g.markTrial(before, false)
}

// watchTrial counts the time in which there was traffic.
func (g *Gateway) watchTrial() {
	g.mu.Lock()
	t := g.serving.trial
	g.mu.Unlock()
	s := g.server.Load()
	if t == nil || s == nil {
		return
	}
	requests := int64(0)
	for _, w := range s.Windows() {
		if w.Revision == t.of.name() {
			requests += w.Requests
		}
	}
	if requests != t.requests {
		t.traffic += g.times.Second
	}
	t.requests = requests
	if t.traffic < t.length && time.Since(t.began) < longestTrial*t.length {
		return
	}
	g.passed() // it is on the disk before anybody is told
	g.mu.Lock()
	g.serving.trial = nil
	g.mu.Unlock()
	g.log.Info("trial passed", zap.String("revision", t.of.name()), zap.Duration("traffic", t.traffic))
	g.reportSoon()
}

// passed makes what is served the last good revision, and forgets what is older.
func (g *Gateway) passed() {
	g.mu.Lock()
	c := g.serving.candidate
	crashed := g.crashed
	if crashed != nil && c.Statement.Order.Compare(crashed.Refusal.Order) < 0 {
		crashed = nil // it is still to be remembered
	}
	g.mu.Unlock()
	err := g.dir.write(goodName, headFile{Head: c.head})
	if err == nil {
		err = g.dir.remove(trialName)
	}
	if err == nil && crashed != nil {
		err = g.dir.remove(crashName)
	}
	if err == nil {
		err = g.dir.depot().Retain(c.Statement.Group, c.Revision)
	}
	if err != nil {
		g.log.Error("the last good revision cannot be kept on disk", zap.Error(err))
		g.mu.Lock()
		g.diskErr = err
		g.mu.Unlock()
	}
}

// keepHead keeps a later head of the revision that is served. The caller holds mu.
func (g *Gateway) keepHead(head []byte) {
	if string(g.serving.head) == string(head) {
		return
	}
	g.serving.head = head
	if err := g.dir.write(goodName, headFile{Head: head}); err != nil {
		g.diskErr = err
	}
}

// endTrial notes at the end of the process that it was told to end: what is on trial did not end it.
func (g *Gateway) endTrial() error {
	g.mu.Lock()
	t := g.serving.trial
	g.mu.Unlock()
	if t == nil {
		return nil
	}
	return g.markTrial(t, true)
}

// offerDisk offers what is on disk: what was on trial if the process before this one was told to end, else the last good revision.
func (g *Gateway) offerDisk() {
	var crashed crashFile
	if err := g.dir.read(crashName, &crashed); err == nil {
		g.crashed = &crashed
	}
	var mark trialFile
	err := g.dir.read(trialName, &mark)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		g.refuse(fleetapi.Refusal{Kind: revision.KindHead, Reason: fmt.Sprintf("the mark of a trial on disk: %v (from disk)", err)})
	case mark.Stopped:
		g.offers.put(offer{source: fromDisk, head: mark.Head, depot: g.dir.depot(), trial: mark.Length.Duration()})
		g.offerGood(true)
		return
	default:
		g.noteCrash(mark)
	}
	g.offerGood(false)
}

// hasGood says whether there is a good revision on disk.
func (g *Gateway) hasGood() bool {
	var good headFile
	return g.dir.read(goodName, &good) == nil
}

// offerGood offers the last good revision; second says that something else is offered first.
func (g *Gateway) offerGood(second bool) {
	var good headFile
	err := g.dir.read(goodName, &good)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !second {
			g.log.Info("there is no revision on disk yet")
		}
	case err != nil:
		g.refuse(fleetapi.Refusal{Kind: revision.KindHead, Reason: fmt.Sprintf("the last good revision on disk: %v (from disk)", err)})
	case second:
		g.offers.add(offer{source: fromDisk, head: good.Head, depot: g.dir.depot()})
	default:
		g.offers.put(offer{source: fromDisk, head: good.Head, depot: g.dir.depot()})
	}
}

// noteCrash remembers that a process died with a revision on trial.
func (g *Gateway) noteCrash(mark trialFile) {
	r, ok := g.reader(nil)
	if !ok {
		return
	}
	head, err := r.VerifyHead(mark.Head)
	if err != nil {
		g.refuse(fleetapi.Refusal{Kind: revision.KindHead, Hash: revision.HashOf(mark.Head), Reason: fmt.Sprintf("the mark of a trial on disk: %v (from disk)", err)})
		return
	}
	then := "the one before it is served"
	again := !g.hasGood()
	if again {
		then = "there is none before it, so it is served again"
		g.offers.put(offer{source: fromDisk, head: mark.Head, depot: g.dir.depot(), trial: mark.Length.Duration()})
	}
	g.crashed = &crashFile{Again: again, Refusal: fleetapi.Refusal{
		Kind: revision.KindRevision, Order: head.Order, Hash: head.Content, At: time.Now().UTC(),
		Reason: fmt.Sprintf("the process ended while revision %s was on trial, which began at %s; %s", head.Order, mark.Began.UTC().Format(time.RFC3339), then),
	}}
	last := g.crashed.Refusal
	g.last = &last
	g.log.Error("a process before this one died with a revision on trial", zap.String("revision", revisionName(head.Group, head.Order)),
		zap.Time("began", mark.Began), zap.String("then", then))
	if err := errors.Join(g.dir.write(crashName, g.crashed), g.dir.remove(trialName)); err != nil {
		g.log.Error("the crash cannot be noted on disk", zap.Error(err))
	}
}

// fail ends the process for a fault of the server; Run gives the error.
func (g *Gateway) fail(err error) { g.fault = err }
