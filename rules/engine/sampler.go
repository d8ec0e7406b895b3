package engine

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"gatehouse/rules"
	"gatehouse/rules/engine/compare"
)

// The defaults of Options.
const (
	defaultSampleCPU      = 0.05
	defaultMaxSampleBytes = 64 << 10
	defaultSpoolBytes     = 16 << 20
)

const (
	// maxWaiting bounds the samples that wait. With their bodies of at most MaxSampleBytes, they bound the memory.
	maxWaiting = 32
	// maxAsking bounds how long the reference is asked again about one sample, once it was asked leastAsked times.
	maxAsking  = 2 * time.Second
	leastAsked = 3
	// maxAlike bounds the reports of disagreements about the same rules of one policy. All are counted; without a bound, one
	// defect would push all others out of the spool.
	maxAlike = 5
	// maxKinds bounds the kinds of disagreement that are told apart. After that many, the count starts anew.
	maxKinds = 1000
)

// sampler runs some transactions on the reference too, one after another on one goroutine, and reports disagreements. The
// program's answer stands in any case: switching to the reference would let clients slow the gateway down.
type sampler struct {
	options    Options
	log        *zap.Logger
	observer   Observer
	references *references
	spool      *spool         // nil if nothing is written; used by the goroutine alone
	alike      map[string]int // reports by kind; used by the goroutine alone

	queue chan sample
	stop  chan struct{}
	ended chan error
	close func() error
}

// sample is a transaction that is to run on the reference.
type sample struct {
	recorded
	policy *sampledPolicy
}

// sampledPolicy is a loaded policy whose transactions are sampled.
type sampledPolicy struct {
	rules.Policy
	digest digest
	close  func() error
}

func newSampler(e *Engine) *sampler {
	s := &sampler{
		options: e.options, log: e.log, observer: e.options.Observer, references: newReferences(e.reference), alike: make(map[string]int),
		queue: make(chan sample, maxWaiting), stop: make(chan struct{}), ended: make(chan error, 1),
	}
	s.options.SampleCPU = min(cmp.Or(s.options.SampleCPU, defaultSampleCPU), 1)
	s.options.MaxSampleBytes = cmp.Or(s.options.MaxSampleBytes, defaultMaxSampleBytes)
	if s.observer == nil {
		s.observer = nobody{}
	}
	s.close = sync.OnceValue(func() error {
		close(s.stop)
		return <-s.ended
	})
	go s.run()
	return s
}

// nobody counts nothing.
type nobody struct{}

func (nobody) Evaluated(Result) {}
func (nobody) Disagreed()       {}
func (nobody) SampleDropped()   {}

// retain notes that a policy is loaded.
func (s *sampler) retain(p rules.Policy) *sampledPolicy {
	policy := &sampledPolicy{Policy: p, digest: digestOf(p)}
	s.references.retain(policy.digest)
	policy.close = sync.OnceValue(func() error { return s.references.release(policy.digest) })
	return policy
}

// sample has a transaction recorded if chance will have it. Chance is the process's own source, seeded by the system.
func (s *sampler) sample(tx rules.Transaction, r *rules.Request, p *sampledPolicy) rules.Transaction {
	if rand.Float64() >= s.options.Sample {
		return tx
	}
	if len(s.queue) == cap(s.queue) || s.stopped() {
		s.observer.SampleDropped()
		return tx
	}
	return record(tx, r, s.options.MaxSampleBytes, func(r recorded) { s.add(sample{r, p}) })
}

func (s *sampler) stopped() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// add has a sample judged, if there is room for it.
func (s *sampler) add(x sample) {
	if !s.stopped() {
		select {
		case s.queue <- x:
			return
		default:
		}
	}
	s.observer.SampleDropped()
}

// run judges samples until the sampler is closed, resting after each so long that it takes no more than its share.
func (s *sampler) run() {
	s.openSpool()
	for !s.stopped() {
		select {
		case <-s.stop:
		case x := <-s.queue:
			start := time.Now()
			s.judge(x)
			s.rest(time.Since(start))
		}
	}
	for len(s.queue) > 0 {
		<-s.queue
		s.observer.SampleDropped()
	}
	s.ended <- s.references.close()
}

func (s *sampler) openSpool() {
	if s.options.Spool == "" {
		return
	}
	var err error
	if s.spool, err = openSpool(s.options.Spool, cmp.Or(s.options.SpoolBytes, defaultSpoolBytes)); err != nil {
		s.log.Error("disagreements are counted, but not stored", zap.Error(err))
	}
}

// rest waits after work of that duration.
func (s *sampler) rest(worked time.Duration) {
	share := s.options.SampleCPU
	timer := time.NewTimer(time.Duration(float64(worked) * (1 - share) / share))
	defer timer.Stop()
	select {
	case <-s.stop:
	case <-timer.C:
	}
}

// judge runs a sample on the reference.
func (s *sampler) judge(x sample) {
	defer func() { // the gateway serves on whatever happens here
		if r := recover(); r != nil {
			s.observer.SampleDropped()
			s.log.Error("sampled transaction", zap.String("policy", x.policy.Name), zap.Any("panic", r), zap.Stack("stack"))
		}
	}()
	c := Comparison{Exchange: x.exchange, Program: x.outcome}
	err := s.references.use(x.policy.digest, x.policy.Policy, func(reference rules.RuleSet) {
		run := func() compare.Outcome { return x.exchange.Run(reference) }
		c.Reference = run()
		c.settle(x.policy.Policy, s.patience(compare.Times(mostAsked, run)))
	})
	switch {
	case err == nil && c.Differ() && s.stopped(): // perhaps for want of asking
		err = errRetired
	case err == nil && c.Differ():
		s.report(x.policy, &c)
	}
	if err != nil {
		s.observer.SampleDropped()
	}
	if err != nil && !errors.Is(err, errRetired) {
		s.log.Error("sampled transaction", zap.String("policy", x.policy.Name), zap.Error(err))
	}
}

// patience bounds how long the reference is asked again.
func (s *sampler) patience(ask func() (compare.Outcome, bool)) func() (compare.Outcome, bool) {
	start, asked := time.Now(), 0
	return func() (compare.Outcome, bool) {
		if s.stopped() || asked >= leastAsked && time.Since(start) > maxAsking {
			return compare.Outcome{}, false
		}
		asked++
		return ask()
	}
}

// report counts a disagreement, and stores and logs the first of its kind.
func (s *sampler) report(p *sampledPolicy, c *Comparison) {
	s.observer.Disagreed()
	kind := p.digest.short()
	for _, line := range c.Difference.Redacted {
		kind += "\n" + line
	}
	if len(s.alike) >= maxKinds {
		clear(s.alike)
	}
	if s.alike[kind]++; s.alike[kind] > maxAlike {
		return
	}
	fields := []zap.Field{
		zap.String("policy", p.Name), zap.String("policy_digest", p.digest.short()),
		zap.String("application", c.Exchange.Request.Application), zap.String("request_id", c.Exchange.Request.ID),
		zap.Strings("difference", c.Difference.Redacted), zap.Int("alike", s.alike[kind]),
	}
	if s.spool != nil {
		name, err := s.spool.store(p, c)
		fields = append(fields, zap.String("stored", name))
		if err != nil {
			fields = append(fields, zap.NamedError("store_error", err))
		}
	}
	s.log.Warn("program and reference engine disagree", fields...)
}
