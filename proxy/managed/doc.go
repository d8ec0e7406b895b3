// Package managed is the gateway's side of a fleet: it joins, renews its certificate, asks the manager what to serve, keeps the last
// good revision on disk, and reports.
//
// Invariant: what is served was signed by a trusted key for this stack and group, is not older than what was served before, and has
// been proven by this gateway. Who offers it (the manager, a bucket, the gateway's own disk) counts for nothing, and whatever
// is wrong with an offer leaves what is served as it is.
//
// Traffic never waits for any of this: the manager may be away for as long as it likes.
package managed
