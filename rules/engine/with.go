package engine

// With returns an engine with other options that shares with e what both have compiled, for as long as either uses it. Each
// of the two is closed on its own.
func (e *Engine) With(o Options) *Engine {
	other := New(o)
	other.compiler, other.trees = e.compiler, e.trees
	return other
}
