// Package tuning reads events for the person who tunes a policy: why a request was refused, the smallest exclusion that
// would let it pass, and whether an application can be switched to mode block.
//
// Invariant: an exclusion that is suggested is valid by policy.CheckExclusion, names the rules that refused the request
// and only those, and is scoped to the place where they matched. Where an exclusion would be wrong, none is suggested
// and the suggestion says what helps instead.
package tuning
