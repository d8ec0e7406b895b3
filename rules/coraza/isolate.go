package coraza

import (
	"errors"
	"reflect"
	"unsafe"

	"github.com/corazawaf/coraza/v3"
)

// isolate makes transactions of one WAF independent of each other. While Coraza evaluates a rule, it appends what
// ctl:ruleRemoveTarget* excludes in one transaction to the exceptions that the rule has from its text. Where that list has
// room to spare, all transactions append into the same memory, and one request's exclusion could take effect in another.
// Without spare room every append is a copy.
//
// The lists are not exported; an error says that this version of Coraza keeps them elsewhere.
func isolate(waf coraza.WAF) error {
	errMoved := errors.New("this version of Coraza keeps the exceptions of rules in an unknown place")
	wrapper := reflect.ValueOf(waf)
	if wrapper.Kind() != reflect.Struct || !wrapper.FieldByName("waf").IsValid() {
		return errMoved
	}
	group := wrapper.FieldByName("waf").Elem().FieldByName("Rules")
	if !group.IsValid() {
		return errMoved
	}
	list := group.FieldByName("rules")
	if !list.IsValid() || list.Kind() != reflect.Slice {
		return errMoved
	}
	for i := range list.Len() {
		for r := list.Index(i); ; r = r.FieldByName("Chain").Elem() {
			if !isolateRule(r) {
				return errMoved
			}
			if r.FieldByName("Chain").IsNil() {
				break
			}
		}
	}
	return nil
}

// isolateRule takes the spare room out of a rule's lists of exceptions.
func isolateRule(r reflect.Value) bool {
	variables := r.FieldByName("variables")
	if !variables.IsValid() || variables.Kind() != reflect.Slice || !r.FieldByName("Chain").IsValid() {
		return false
	}
	for i := range variables.Len() {
		exceptions := variables.Index(i).FieldByName("Exceptions")
		if !exceptions.IsValid() || exceptions.Kind() != reflect.Slice {
			return false
		}
		// The field is reached through unexported ones, so that reflect refuses to change it without this detour.
		reflect.NewAt(exceptions.Type(), unsafe.Pointer(exceptions.UnsafeAddr())).Elem().SetCap(exceptions.Len())
	}
	return true
}
