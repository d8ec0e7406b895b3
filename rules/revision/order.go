package revision

import (
	"cmp"
	"fmt"
)

// Order is the place of a revision among those of its group. Numbers are allotted one by one; the epoch is raised when the
// manager was restored from a backup, so that no number is given twice.
type Order struct {
	Epoch  uint64 `json:"epoch"`
	Number uint64 `json:"number"`
}

// Compare is negative if o comes before p, 0 if they are the same, else positive.
func (o Order) Compare(p Order) int {
	return cmp.Or(cmp.Compare(o.Epoch, p.Epoch), cmp.Compare(o.Number, p.Number))
}

func (o Order) String() string { return fmt.Sprintf("%d (epoch %d)", o.Number, o.Epoch) }

// OlderError says that a revision comes before one that is known.
type OlderError struct {
	Group      string
	Got, Known Order
}

func (e *OlderError) Error() string {
	return fmt.Sprintf("revision %s of group %s is older than %s, which was here before; to go back, publish the old content as a new revision",
		e.Got, e.Group, e.Known)
}

// ForkError says that there are two revisions of one number. Somebody else signs with the same key, or numbers were lost.
type ForkError struct {
	Group      string
	Order      Order
	Got, Known Hash
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("there are two revisions %s of group %s: %s, and before %s; restore the manager's data again with a higher epoch", e.Order, e.Group, e.Got, e.Known)
}

// Follows says whether a statement may take the place of one that is known. The zero Statement is none. The same one
// again follows itself.
func (s Statement) Follows(known Statement) error {
	if known.Group == "" {
		return nil
	}
	switch c := s.Order.Compare(known.Order); {
	case c < 0:
		return &OlderError{Group: s.Group, Got: s.Order, Known: known.Order}
	case c == 0 && s.Content != known.Content:
		return &ForkError{Group: s.Group, Order: s.Order, Got: s.Content, Known: known.Content}
	}
	return nil
}
