// Package limit counts requests against the rate limits of a policy, and bounds what all requests together may take:
// Budget, Lane and Connections.
//
// A limit is a token bucket for each of its keys. A bucket holds Burst requests and fills up at the pace of Limit: with
// limit: 10/1m and burst: 5, five requests may come at once and one every six seconds after them. So any span of the
// length of the limit (a minute) sees at most Burst + 10 requests of one key that are let through, and in the long run
// it is 10 a minute. A request that is refused takes nothing out of the bucket.
//
// A key names what is counted together: the client (an IPv6 client by its /64, which is what one subscriber gets), a
// header, a cookie, an argument of the query or the form, a field of a JSON body, or several of these in order. Values
// are compared without regard to case and to spaces around them; apart from that by their bytes, so that a value which
// the upstream accepts in several spellings has a bucket for each.
//
// Nothing gets a bucket of its own by being odd: a value that is missing, empty, sent more than once, or in a body
// that is longer than MaxBody or that parsers may read differently, is the empty value, which all such requests share.
//
// Invariant: a limit never counts a trusted proxy's own address, behind which are many clients. The memory of all
// limits together has a fixed bound, and what is dropped at that bound is the bucket that lacks the least.
package limit
