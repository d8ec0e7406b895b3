package engine

// Result is what became of one transaction.
type Result string

// The results. A transaction has exactly one of them.
const (
	// Clean is a transaction in which a program matched no rule that is logged.
	Clean Result = "clean"
	// Matched is one in which it did.
	Matched Result = "match"
	// OnReference is one that the reference judged, because its policy needs it.
	OnReference Result = "reference"
	// Failed is one in which a phase failed, on either engine.
	Failed Result = "error"
)

// Results are all results.
func Results() []Result { return []Result{Clean, Matched, OnReference, Failed} }

// Observer counts what the engine does. Its methods are called from the goroutines of transactions and from the engine's
// own, and must not block.
type Observer interface {
	// Evaluated is called once for every transaction, when it is closed.
	Evaluated(Result)
	// Disagreed is called for every sampled transaction that the reference judges differently.
	Disagreed()
	// SampleDropped is called for every transaction that was chosen to run on the reference too and did not, because too
	// many were waiting, or its policy or the engine was closed meanwhile.
	SampleDropped()
}
