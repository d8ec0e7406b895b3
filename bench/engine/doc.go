// Package engine measures rule engines in process: how long a request takes, on the compiled engine and on the reference in
// the same run, and what the worst request costs.
//
// Invariant: no number comes from one request repeated. Every case has at least a thousand distinct requests, since what
// an engine keeps of the last one (automata that grow, caches, branch predictors) makes a repeated request look cheaper
// than the next client's.
//
// What repeats between the requests of a case is what repeats between those of a site: names of fields, and the headers by
// which browsers say what they are. The engine remembers those; BenchmarkFreshNames measures it without.
//
// Means are over all requests of a case with the 99th percentile beside them. The engines judge what a gateway gives them:
// phases 1 and 2, phase 3 of a text/html reply without inspection of its body, and phase 5.
package engine
