package managed

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/proxy/config"
	"gatehouse/rules/revision"
	"gatehouse/rules/sealed"
)

// candidate is a verified revision that is served or shall be.
type candidate struct {
	*revision.Revision
	head   []byte // the signed head that led to it
	source source
}

// name is how the revision is called in metrics, records and messages.
func (c *candidate) name() string { return revisionName(c.Statement.Group, c.Statement.Order) }

func revisionName(group string, o revision.Order) string {
	return fmt.Sprintf("%s/%d", group, o.Number)
}

// cutSealed is the name of the secret that a file of a revision is.
func cutSealed(file string) (name string, ok bool) { return strings.CutPrefix(file, sealed.FilePrefix) }

// sealed says whether the revision has secrets that must be opened.
func (c *candidate) sealed() bool {
	for name := range c.Files {
		if _, ok := cutSealed(name); ok {
			return true
		}
	}
	return false
}

// load reads the configuration of a revision. key opens its secrets; nil is none.
func (c *candidate) load(o config.Options, key *groupKey) (*config.Loaded, error) {
	if c.Manifest.Main != config.BundleMain {
		return nil, fmt.Errorf("the configuration of the revision is %.80q, not %s", c.Manifest.Main, config.BundleMain)
	}
	for _, release := range c.Manifest.CRS {
		if !slices.Contains(o.CRSVersions, release) {
			return nil, fmt.Errorf("the revision needs release %.40q of the core rule set, and this version of the gateway has %s; upgrade it", release, strings.Join(o.CRSVersions, ", "))
		}
	}
	s := c.Statement
	o.Revision = config.Revision{Name: c.name(), Group: s.Group, Published: s.Time}
	o.Sealed = func(name string) ([]byte, error) {
		data, ok := c.Files[sealed.FilePrefix+name]
		switch {
		case !ok:
			return nil, errors.New("it is not in the revision")
		case key == nil:
			return nil, errNoKey
		}
		return key.key.Open(sealed.CertificateLabel(s.Stack, s.Group, name), data)
	}
	return o.LoadBundle("/revision/"+s.Group, c.Files)
}

// errNoKey says that nothing here opens secrets.
var errNoKey = errors.New("this gateway has no key of its group; give -secret-key-file, or let it reach the manager")
