package managed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"gatehouse/rules/fleetapi"
)

// managerDepot is the depot of the group as the manager gives it. Nothing is written to it.
type managerDepot struct{ client *client }

// Get implements revision.Depot.
func (d managerDepot) Get(ctx context.Context, name string, most int64) ([]byte, string, error) {
	a, err := d.client.do(ctx, request{method: http.MethodGet, path: fleetapi.PathObjects + name, most: most})
	var problem *fleetapi.Problem
	switch {
	case errors.As(err, &problem) && problem.Status == http.StatusNotFound:
		return nil, "", fmt.Errorf("the manager does not have %s: %w", name, fs.ErrNotExist)
	case errors.As(err, &problem) && problem.Status == http.StatusOK:
		return nil, "", fmt.Errorf("%s: it has more than %d bytes", name, most)
	case err != nil:
		return nil, "", err
	}
	return a.body, a.header.Get("ETag"), nil
}

// Create implements revision.Depot.
func (managerDepot) Create(context.Context, string, []byte) error { return errReadOnly }

// Replace implements revision.Depot.
func (managerDepot) Replace(context.Context, string, string, []byte) error { return errReadOnly }

var errReadOnly = errors.New("a gateway publishes nothing")
