package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"sync"

	"gatehouse/rules"
)

// maxReferences bounds the rule sets of the reference that are kept for samples; one takes some megabytes.
const maxReferences = 4

// digest identifies the text and limits of a policy; its name does not count.
type digest [sha256.Size]byte

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// short is enough of a digest to tell policies of one gateway apart.
func (d digest) short() string { return hex.EncodeToString(d[:6]) }

func digestOf(p rules.Policy) digest {
	h := sha256.New()
	number := func(n int) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:]) // a hash.Hash never returns an error
	}
	text := func(s string) {
		number(len(s))
		_, _ = io.WriteString(h, s)
	}
	number(p.Limits.Arguments)
	number(p.Limits.JSONDepth)
	for _, s := range p.Sources {
		text(s.Name)
		text(s.Text)
	}
	return digest(h.Sum(nil))
}

// errRetired says that a policy is not loaded any more.
var errRetired = errors.New("the policy was closed")

// references keeps the rule sets of the reference for the policies that were sampled last. Only policies that someone has
// loaded are kept; use is for one goroutine, retain and release for any.
type references struct {
	engine rules.Engine

	mu     sync.Mutex     // guards what follows; never held while a policy is loaded or closed, or a request judged
	users  map[digest]int // those who have loaded a policy
	loaded []*reference   // the one used last at the end
	closed bool
}

// reference is a rule set. Who takes it out of the list closes it, unless it is in use: then the user does.
type reference struct {
	key   digest
	set   rules.RuleSet
	inUse bool
}

func newReferences(e rules.Engine) *references {
	return &references{engine: e, users: make(map[digest]int)}
}

// retain says that a policy is loaded.
func (r *references) retain(key digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users[key]++
}

// release takes a retain back. After the last, the policy's rule set is closed.
func (r *references) release(key digest) error {
	r.mu.Lock()
	r.users[key]--
	var unused *reference
	if r.users[key] == 0 {
		delete(r.users, key)
		unused = r.remove(key)
	}
	r.mu.Unlock()
	return unused.close()
}

// use calls f with the rule set of a policy, which it loads if it is not. The error is errRetired or that of loading.
func (r *references) use(key digest, p rules.Policy, f func(rules.RuleSet)) (err error) {
	used, err := r.take(key, p)
	if err != nil {
		return err
	}
	defer func() { err = r.put(used) }()
	f(used.set)
	return nil
}

func (r *references) take(key digest, p rules.Policy) (*reference, error) {
	if used, err := r.find(key); used != nil || err != nil {
		return used, err
	}
	if err := r.makeRoom(); err != nil {
		return nil, err
	}
	set, err := r.engine.Load(p)
	if err != nil {
		return nil, err
	}
	used := &reference{key: key, set: set, inUse: true}
	r.mu.Lock()
	retired := r.users[key] == 0 || r.closed
	if !retired {
		r.loaded = append(r.loaded, used)
	}
	r.mu.Unlock()
	if retired {
		return nil, errors.Join(errRetired, set.Close())
	}
	return used, nil
}

// find gives the rule set of a policy if it is loaded.
func (r *references) find(key digest) (*reference, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users[key] == 0 || r.closed {
		return nil, errRetired
	}
	for i, l := range r.loaded {
		if l.key == key {
			r.loaded = append(append(r.loaded[:i:i], r.loaded[i+1:]...), l)
			l.inUse = true
			return l, nil
		}
	}
	return nil, nil
}

// put ends a take.
func (r *references) put(used *reference) error {
	r.mu.Lock()
	used.inUse = false
	kept := false
	for _, l := range r.loaded {
		kept = kept || l == used
	}
	r.mu.Unlock()
	if kept {
		return nil
	}
	return used.close()
}

// makeRoom closes the rule set that was not used for the longest time, if there are many.
func (r *references) makeRoom() error {
	r.mu.Lock()
	var oldest *reference
	if len(r.loaded) >= maxReferences {
		oldest = r.remove(r.loaded[0].key)
	}
	r.mu.Unlock()
	return oldest.close()
}

// remove takes the rule set of a policy out of the list, and answers it if the caller has to close it.
func (r *references) remove(key digest) *reference {
	for i, l := range r.loaded {
		if l.key != key {
			continue
		}
		r.loaded = append(r.loaded[:i:i], r.loaded[i+1:]...)
		if l.inUse {
			return nil
		}
		return l
	}
	return nil
}

// close closes all rule sets; no more are loaded.
func (r *references) close() error {
	r.mu.Lock()
	r.closed = true
	var unused []*reference
	for len(r.loaded) > 0 {
		unused = append(unused, r.remove(r.loaded[0].key))
	}
	r.mu.Unlock()
	var errs []error
	for _, l := range unused {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// close closes the rule set of a reference that is not nil.
func (l *reference) close() error {
	if l == nil {
		return nil
	}
	return l.set.Close()
}
