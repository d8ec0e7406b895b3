// Package http1 is the gateway's HTTP/1.1 server (RFC 9110, RFC 9112): it reads requests strictly, gives them to an
// http.Handler, and writes the replies.
//
// Invariant: nothing is repaired. A request is either read in the one way in which every recipient must read it, or
// refused and its connection closed. What is accepted, net/http's reader accepts with the same meaning
// (FuzzAgainstNetHTTP). DESIGN.md says why the package exists and how it works.
package http1
