package revision

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Kind says what a statement is about. A signature of one kind is none of another.
type Kind string

// The kinds.
const (
	KindRevision Kind = "revision" // the content is the hash of the manifest
	KindHead     Kind = "head"     // of the latest revision: the content is the same
	KindTrust    Kind = "trust"    // the content is the hash of a trust bundle, the order its serial
	KindAudit    Kind = "audit"    // the content is the hash of the audit log's latest entry, the order its number
	KindActions  Kind = "actions"  // the content is the hash of the emergency actions that are in force, the order theirs alone
	KindLists    Kind = "lists"    // the content is the hash of the changes to lists, the order theirs alone
)

// Statement is what is signed: a few lines, of fewer than MaxStatement bytes, that say all that must not be changed.
type Statement struct {
	Kind Kind
	// Stack is the installation, so that a bucket that was copied from another one is refused.
	Stack string
	// Group is the gateway group, or empty for what is all groups': a trust bundle, the audit log.
	Group   string
	Order   Order
	Content Hash
	// Time is when it was signed, in seconds.
	Time time.Time
}

// MaxStatement is how long a statement is at most, in bytes: AWS KMS signs no longer messages.
const MaxStatement = 4 << 10

const (
	statementFormat = 1
	maxName         = 63
)

// ValidName reports whether a stack or group may be called so: letters, digits, dots, dashes and underscores, of which the
// first is a letter or digit, 63 at most. Names are parts of the names of objects.
func ValidName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && strings.IndexByte("._-", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// Encode is the text of the statement. There is one for each.
func (s Statement) Encode() []byte {
	return fmt.Appendf(nil, "gatehouse %s %d\nstack %s\ngroup %s\nepoch %d\nnumber %d\ncontent %s\ntime %s\n",
		s.Kind, statementFormat, s.Stack, s.Group, s.Order.Epoch, s.Order.Number, s.Content, s.Time.UTC().Format(time.RFC3339))
}

// FormatError says that a statement, manifest or bundle is of a format that this version does not know.
type FormatError struct {
	What    string
	Format  int
	Highest int
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("the %s is of format %d, and this version knows %d at most; upgrade it", e.What, e.Format, e.Highest)
}

// parseStatement reads the text of a statement. Only what Encode writes is one.
func parseStatement(text []byte) (s Statement, err error) {
	if len(text) > MaxStatement {
		return s, fmt.Errorf("the statement has %d bytes, more than %d", len(text), MaxStatement)
	}
	lines := strings.Split(string(text), "\n")
	kind, format, ok := strings.Cut(strings.TrimPrefix(lines[0], "gatehouse "), " ")
	version, err := strconv.Atoi(format)
	if !ok || err != nil {
		return s, fmt.Errorf("%.60q begins no statement", lines[0])
	}
	if version > statementFormat {
		return s, &FormatError{What: "statement", Format: version, Highest: statementFormat}
	}
	const names, rest = 6, 2 // of lines with a name; the first line, and nothing behind the last
	if len(lines) != names+rest {
		return s, fmt.Errorf("the statement has %d lines, not %d", len(lines)-1, names+1)
	}
	values := make([]string, names)
	for i, name := range [names]string{"stack", "group", "epoch", "number", "content", "time"} {
		value, ok := strings.CutPrefix(lines[1+i], name+" ")
		if !ok {
			return s, fmt.Errorf("line %d of the statement is not its %s", i+2, name)
		}
		values[i] = value
	}
	s = Statement{Kind: Kind(kind), Stack: values[0], Group: values[1]}
	if s.Order.Epoch, err = strconv.ParseUint(values[2], 10, 64); err != nil {
		return s, fmt.Errorf("epoch: %w", err)
	}
	if s.Order.Number, err = strconv.ParseUint(values[3], 10, 64); err != nil {
		return s, fmt.Errorf("number: %w", err)
	}
	if err := s.Content.UnmarshalText([]byte(values[4])); err != nil {
		return s, err
	}
	if s.Time, err = time.Parse(time.RFC3339, values[5]); err != nil {
		return s, fmt.Errorf("time: %w", err)
	}
	if err := s.check(); err != nil {
		return s, err
	}
	if string(s.Encode()) != string(text) {
		return s, fmt.Errorf("the statement is not written as statements are")
	}
	return s, nil
}

// check says what is wrong with a statement before it is signed, or after it was read.
func (s Statement) check() error {
	switch s.Kind {
	case KindRevision, KindHead, KindActions, KindLists:
		if !ValidName(s.Group) {
			return fmt.Errorf("%.80q is no name of a group", s.Group)
		}
	case KindTrust, KindAudit:
		if s.Group != "" {
			return fmt.Errorf("a statement of kind %s is not of a group", s.Kind)
		}
	default:
		return fmt.Errorf("there are no statements of kind %.60q", s.Kind)
	}
	switch {
	case !ValidName(s.Stack):
		return fmt.Errorf("%.80q is no name of a stack", s.Stack)
	case s.Order.Number == 0:
		return fmt.Errorf("numbers begin at 1")
	}
	return nil
}
