package managed

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"gatehouse/rules/fleetapi"
	"gatehouse/rules/sealed"
)

// groupKey opens the secrets of the group. One that the manager gave is in memory alone.
type groupKey struct {
	key   sealed.Key
	local bool // it is this gateway's own, and there without the manager
}

// keyFor is the key for a revision, nil if it needs none. An UnavailableError says that it is only to be had later.
func (g *Gateway) keyFor(ctx context.Context, c *candidate) (*groupKey, error) {
	if !c.sealed() {
		return nil, nil
	}
	g.mu.Lock()
	key := g.groupKey
	g.mu.Unlock()
	if key != nil && (key.local || key.opens(c)) {
		return key, nil
	}
	if len(g.client.managers) == 0 {
		return nil, errNoKey
	}
	if g.identity.Load() == nil {
		return nil, &UnavailableError{Manager: "none", Err: errNoKey}
	}
	var in fleetapi.GroupKey
	if err := g.client.json(ctx, http.MethodGet, fleetapi.PathKey, nil, &in, fleetapi.MaxRequest); err != nil {
		var problem *fleetapi.Problem
		if errors.As(err, &problem) {
			return nil, fmt.Errorf("the revision has sealed secrets, and the manager does not give the key of the group: %w", err)
		}
		return nil, err
	}
	opened, err := sealed.KeyOf(in.Key)
	if err != nil {
		return nil, fmt.Errorf("the key of the group that the manager gave: %w", err)
	}
	key = &groupKey{key: opened}
	g.mu.Lock()
	g.groupKey = key
	g.mu.Unlock()
	return key, nil
}

// opens says whether the key is that of the revision's secrets.
func (k *groupKey) opens(c *candidate) bool {
	for file, data := range c.Files {
		if name, ok := cutSealed(file); ok {
			_, err := k.key.Open(sealed.CertificateLabel(c.Statement.Stack, c.Statement.Group, name), data)
			return err == nil
		}
	}
	return true
}
