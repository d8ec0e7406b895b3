package listener

import "context"

// NewContext gives a context that carries info, for requests that come from no socket: offline inspection and tests.
func NewContext(ctx context.Context, info *ConnInfo) context.Context {
	return context.WithValue(ctx, connInfoKey{}, info)
}
