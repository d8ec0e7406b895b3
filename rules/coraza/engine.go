package coraza

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"go.uber.org/zap"

	"gatehouse/rules"
)

// Defaults for limits that a policy does not set.
const (
	defaultArguments = 1000
	defaultJSONDepth = 128
)

// Options configure an Engine.
type Options struct {
	// Log receives what is worth knowing about loads; nil discards it.
	Log *zap.Logger
	// Target names a matched value in the syntax of exclusions: json:items[0].comment for ARGS_POST,
	// json.items.0.comment of a body that was processed as JSON. It answers an empty string where there is no such
	// name. Nil leaves all targets empty.
	Target func(variable, key, processor string) string
}

// Engine loads policies into Coraza. Policies with equal sources and limits share one WAF. It is safe for concurrent use.
type Engine struct {
	options Options
	log     *zap.Logger

	mu sync.Mutex // guards wafs and the reference counts in it
	// wafs are those in use, by the digest of their text.
	wafs map[digest]*sharedWAF
}

var _ rules.Engine = (*Engine)(nil)

type digest [sha256.Size]byte

// sharedWAF is a WAF with those who use it. It is closed with the last of them.
type sharedWAF struct {
	engine *Engine
	key    digest
	// ready is closed when loaded and err are set.
	ready  chan struct{}
	loaded *loaded
	err    error
	// users counts rule sets and open transactions.
	users int
}

// New returns an engine without policies.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Target == nil {
		o.Target = func(_, _, _ string) string { return "" }
	}
	return &Engine{options: o, log: o.Log.Named("coraza"), wafs: make(map[digest]*sharedWAF)}
}

// Load loads p. Problems in its text are returned as rules.TextErrors, all of them at once.
func (e *Engine) Load(p rules.Policy) (rules.RuleSet, error) {
	key := digestOf(p)
	e.mu.Lock()
	w, known := e.wafs[key]
	if !known {
		w = &sharedWAF{engine: e, key: key, ready: make(chan struct{})}
		e.wafs[key] = w
	}
	w.users++
	e.mu.Unlock()

	if known {
		<-w.ready
	} else {
		w.load(p)
	}
	if w.err != nil {
		return nil, errors.Join(w.err, w.release())
	}
	return &ruleSet{waf: w, limits: p.Limits}, nil
}

// load fills in the WAF, whatever happens on the way.
func (w *sharedWAF) load(p rules.Policy) {
	defer close(w.ready)
	defer func() {
		if r := recover(); r != nil {
			w.err = fmt.Errorf("load policy %s: panic: %v", p.Name, r)
		}
	}()
	w.loaded, w.err = load(p)
	if w.err == nil {
		w.engine.log.Debug("policy loaded", zap.String("policy", p.Name), zap.Int("rules", ruleCount(w.loaded.waf)))
	}
}

// acquire adds a user.
func (w *sharedWAF) acquire() {
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	w.users++
}

// release takes a user away, and closes the WAF after the last.
func (w *sharedWAF) release() error {
	w.engine.mu.Lock()
	w.users--
	last := w.users == 0
	if last {
		delete(w.engine.wafs, w.key)
	}
	w.engine.mu.Unlock()
	if !last || w.loaded == nil {
		return nil
	}
	return closeWAF(w.loaded.waf)
}

// Loaded counts the WAFs in memory.
func (e *Engine) Loaded() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.wafs)
}

// digestOf identifies the text and limits of a policy; its name does not count.
func digestOf(p rules.Policy) digest {
	h := sha256.New()
	writeNumber := func(n int) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:])
	}
	write := func(s string) {
		writeNumber(len(s))
		// A hash.Hash never returns an error.
		_, _ = io.WriteString(h, s)
	}
	writeNumber(p.Limits.Arguments)
	writeNumber(p.Limits.JSONDepth)
	for _, s := range p.Sources {
		write(s.Name)
		write(s.Text)
	}
	return digest(h.Sum(nil))
}

// ruleSet is a use of a shared WAF.
type ruleSet struct {
	waf    *sharedWAF
	limits rules.Limits
	closed sync.Once
}

// Rules counts the rules.
func (s *ruleSet) Rules() int { return ruleCount(s.waf.loaded.waf) }

// Close ends this use. Only the first call counts.
func (s *ruleSet) Close() error {
	var err error
	s.closed.Do(func() { err = s.waf.release() })
	return err
}
