// Package vars holds the variables of one transaction and fills them from a request, its body and its reply.
//
// Invariant: every variable has the values that the reference gives it for the same request.
//
// Strings are parts of the request's own text wherever nothing has to be decoded. What is made anew stands in memory
// that Reset recycles, so that a request costs no allocation once its Vars have seen a few.
package vars

import (
	"strings"
	"unicode/utf8"

	"gatehouse/rules/program/transform"
	"gatehouse/rules/program/variable"
)

// Entry is one value of a collection.
type Entry struct {
	Key   string
	Lower string // Key in lower case
	Value string
}

// Vars are the variables of one transaction, but for TX, RULE and the MATCHED ones, which rules write. It belongs to
// one goroutine; Reset makes it ready for the next request, and makes all its strings invalid that are not the
// request's own. The zero Vars is ready for use.
type Vars struct {
	// Singles are indexed by variables of the kind Single.
	Singles [variable.Count]string
	// Lists are indexed by variables of the kind Collection, in the order of the request.
	Lists [variable.Count][]Entry
	// TX are the fields of TX that the driver sets before any rule: gatehouse_host and its kin, and with the body
	// json_request_body.
	TX []Entry

	scratch transform.Scratch
	clock   clock
	fresh   bool // nothing was filled since Reset
}

// largestList is the length beyond which the memory of a list is not kept for the next request.
const largestList = 1 << 10

// filled are the collections that have values here.
var filled = [...]variable.ID{
	variable.ArgsGet,
	variable.ArgsPost,
	variable.Files,
	variable.FilesNames,
	variable.FilesSizes,
	variable.MultipartFilename,
	variable.MultipartFilenameCharset,
	variable.MultipartFilenameLanguage,
	variable.MultipartName,
	variable.MultipartPartHeaders,
	variable.RequestCookies,
	variable.RequestHeaders,
	variable.RequestXML,
	variable.ResponseHeaders,
}

// defaults are what variables hold before a request fills them.
var defaults = [variable.Count]string{
	variable.ArgumentsLimitReached:        "0",
	variable.Duration:                     "0",
	variable.FilesCombinedSize:            "0",
	variable.FullRequestLength:            "0",
	variable.HighestSeverity:              "255",
	variable.MultipartDataAfter:           "0",
	variable.MultipartDuplicatePartHeader: "0",
	variable.MultipartInvalidQuoting:      "0",
	variable.OutboundDataError:            "0",
	variable.ReqbodyError:                 "0",
	variable.ReqbodyProcessorError:        "0",
	variable.RequestBodyLength:            "0",
	variable.URIParseError:                "0",
	variable.UrlencodedError:              "0",
}

// Reset forgets the request, keeping the memory for the next one.
func (v *Vars) Reset() {
	v.Singles = defaults
	for _, id := range filled {
		v.Lists[id] = emptied(v.Lists[id])
	}
	v.TX = emptied(v.TX)
	v.scratch.Reset()
	v.fresh = true
}

// emptied is the list without its entries, which would keep the texts of the last request.
func emptied(list []Entry) []Entry {
	if cap(list) > largestList {
		return nil
	}
	clear(list)
	return list[:0]
}

// add appends a value to a collection.
func (v *Vars) add(id variable.ID, key, value string) {
	v.Lists[id] = append(v.Lists[id], Entry{Key: key, Lower: v.lower(key), Value: value})
}

// lower is strings.ToLower, without an allocation where the name is ASCII.
func (v *Vars) lower(name string) string {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c >= utf8.RuneSelf {
			return strings.ToLower(name)
		}
		if 'A' <= c && c <= 'Z' {
			return v.lowerFrom(name, i)
		}
	}
	return name
}

// lowerFrom is lower for a name whose first i bytes are ASCII and in lower case.
func (v *Vars) lowerFrom(name string, i int) string {
	b := append(v.scratch.Room(len(name)), name[:i]...)
	for ; i < len(name); i++ {
		c := name[i]
		if c >= utf8.RuneSelf {
			return strings.ToLower(name)
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return v.scratch.Keep(b)
}

// set sets a field of TX, whose name is in lower case.
func (v *Vars) set(name, value string) {
	v.TX = append(v.TX, Entry{Key: name, Lower: name, Value: value})
}
