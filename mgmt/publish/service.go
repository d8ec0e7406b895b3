// Package publish keeps what operators save, and makes revisions of it.
//
// Invariant: a revision is what a gateway would take: it was composed, loaded, proven, signed and stored in the one transaction that
// allots its number, and whatever fails changes nothing.
package publish

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/proxy/config"
	"gatehouse/rules/crs"
	"gatehouse/rules/revision"
)

// Options are what a Service works with.
type Options struct {
	Stack   string
	Signers []revision.Signer
	Vault   *secret.Vault
	// Prove compiles and self-tests a configuration as a gateway does. It is called within transactions: what was compiled before
	// must cost it little.
	Prove func(*config.Loaded) error
	// Published is called in the transaction of every new revision, and starts its rollout. Without one, the group's head moves at once.
	Published func(*store.Tx, Revision) error
}

// Service is safe for concurrent use.
type Service struct {
	o Options

	mu     sync.Mutex
	proven []string // digests of configurations that were proven, the latest last
}

// New makes a Service.
func New(o Options) *Service { return &Service{o: o} }

// Author is who changes something, and why.
type Author struct {
	Name   string // user:NAME or token:NAME
	Note   string
	Source string // where it comes from, such as a commit and a pull request
	// Owner is who manages the objects: ui, git:NAME or discovery. Objects of another owner are only changed with Takeover.
	Owner    string
	Takeover bool
	// MayLower refuses to turn an application's protection down; nil allows it.
	MayLower func(application string) error
}

// OwnerUI is the owner of what people edit.
const OwnerUI = "ui"

// CheckOwner refuses what is no owner.
func CheckOwner(owner string) error {
	name, git := strings.CutPrefix(owner, "git:")
	if owner == OwnerUI || owner == "discovery" || git && name != "" && len(name) <= 100 && !strings.ContainsAny(name, " \t\r\n") {
		return nil
	}
	return problem.Field("body.owner", owner, "is no owner; write ui, or git:NAME")
}

// root is where the files of a draft would be: nowhere.
const root = "/draft"

// load loads a set as a gateway would. Places of what is wrong are those of the objects: the ones that edited names below
// the prefix it gives, others below their own key. Without any application, which a draft may be, it gives nil.
func (s *Service) load(tx *store.Tx, set object.Set, edited map[object.Key]string) (*config.Loaded, error) {
	doc := object.Compose(set)
	o := config.Options{CRSVersions: crs.Versions(), Now: tx.Now, Root: root, Files: map[string][]byte{}, Sealed: s.opener(tx, set)}
	loaded, err := o.LoadBytes(root+"/"+config.BundleMain, doc.Text)
	if err == nil {
		return loaded, nil
	}
	if err = refused(doc, err, edited, hasApplications(set)); err == nil {
		return nil, nil
	}
	return nil, err
}

func hasApplications(set object.Set) bool {
	for k := range set {
		if k.Kind == object.Applications {
			return true
		}
	}
	return false
}

// placeRE matches lines of the composed configuration, which nobody has written.
var placeRE = regexp.MustCompile(` at ` + root + `/[^ ]*:\d+:\d+`)

// refused gives problems of a configuration the places of its objects.
func refused(doc *object.Document, err error, edited map[object.Key]string, applications bool) error {
	var list config.Problems
	if !errors.As(err, &list) {
		return problem.New(problem.Invalid, "%v", err)
	}
	var p *problem.Problem
	for _, x := range list {
		if x.Path == "applications" && !applications {
			continue
		}
		at := x.Path
		if key, field, ok := doc.Find(x.Path); ok {
			prefix, mine := edited[key]
			if !mine {
				prefix = key.String()
			}
			at = join(prefix, field)
		}
		message := placeRE.ReplaceAllString(x.Message, "")
		if p == nil {
			p = problem.New(problem.Invalid, "%s: %s", at, message)
		}
		p = p.At(at, message, nil)
	}
	if p == nil { // not a nil *problem.Problem
		return nil
	}
	return p
}

func join(prefix, field string) string {
	switch {
	case field == "":
		return prefix
	case prefix == "":
		return field
	}
	return prefix + "." + field
}

// prove proves a configuration, unless it was lately.
func (s *Service) prove(loaded *config.Loaded, doc *object.Document, edited map[object.Key]string) error {
	s.mu.Lock()
	known := slices.Contains(s.proven, loaded.Digest)
	s.mu.Unlock()
	if known || s.o.Prove == nil {
		return nil
	}
	if err := s.o.Prove(loaded); err != nil {
		return refused(doc, err, edited, true)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 64
	s.proven = append(s.proven, loaded.Digest)
	s.proven = s.proven[max(0, len(s.proven)-most):]
	return nil
}

// check loads and proves a set.
func (s *Service) check(tx *store.Tx, set object.Set, edited map[object.Key]string) (*config.Loaded, error) {
	loaded, err := s.load(tx, set, edited)
	if err != nil || loaded == nil {
		return nil, err
	}
	return loaded, s.prove(loaded, object.Compose(set), edited)
}

// opener opens the certificates of a set.
func (s *Service) opener(tx *store.Tx, set object.Set) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		id, _ := set[object.Key{Kind: object.Certificates, Name: name}][object.CertificateSecret].(string)
		if id == "" {
			return nil, fmt.Errorf("there is no certificate %q", name)
		}
		return s.o.Vault.Get(tx, certificateSecret(id))
	}
}
