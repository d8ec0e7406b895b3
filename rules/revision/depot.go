package revision

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Depot is where revisions are kept as objects that never change, and heads that do: a directory or a bucket. It is
// trusted with nothing. It is safe for concurrent use, also by several processes.
type Depot interface {
	// Get reads an object, with a tag of what it holds. Its error is a fs.ErrNotExist if there is none, and another if it is
	// longer than most bytes.
	Get(ctx context.Context, name string, most int64) (data []byte, tag string, err error)
	// Create writes an object if there is none of that name, and fails with ErrChanged if there is one.
	Create(ctx context.Context, name string, data []byte) error
	// Replace writes an object whose tag is this one, and fails with ErrChanged if it is another. The empty tag is that of
	// no object.
	Replace(ctx context.Context, name, tag string, data []byte) error
}

// ErrChanged says that an object is not the one that a writer has seen: somebody else has written.
var ErrChanged = errors.New("somebody else has written it")

func HeadName(group string) string { return group + "/head.json" }

func revisionName(group string, o Order) string {
	return fmt.Sprintf("%s/revisions/%d-%d.json", group, o.Epoch, o.Number)
}

func objectName(group string, h Hash) string {
	return group + "/objects/" + strings.TrimPrefix(h.String(), hashPrefix)
}
