// Package vars holds the variables of one transaction and fills them from a request, its body and its reply.
//
// Invariant: every variable has the values that the reference gives it for the same request.
package vars

import "gatehouse/rules/program/variable"

// Entry is one value of a collection.
type Entry struct {
	Key   string
	Lower string // Key in lower case
	Value string
}

// Vars are the variables of one transaction, but for TX, RULE and the MATCHED ones, which rules write. It belongs to
// one goroutine; Reset makes it ready for the next request, and makes all its strings invalid that are not the
// request's own.
type Vars struct {
	// Singles are indexed by variables of the kind Single.
	Singles [variable.Count]string
	// Lists are indexed by variables of the kind Collection, in the order of the request.
	Lists [variable.Count][]Entry
	// TX are the fields of TX that the driver sets before any rule: gatehouse_host and its kin, and with the body
	// json_request_body.
	TX []Entry
}
