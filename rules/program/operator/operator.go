package operator

import (
	"errors"
	"fmt"

	"gatehouse/rules/program/byteset"
)

// Operator decides one rule's operator.
type Operator interface {
	// Match reports whether the operator matches value. With captures, which stand for a rule that captures, it sets the
	// fields that Coraza sets; others keep what they have. Captured strings are parts of value.
	Match(value string, captures *Captures) bool
}

// ErrUnsupported is the error of operators and arguments that only the reference decides.
var ErrUnsupported = errors.New("operator is not supported")

// Data finds what arguments refer to. A nil function finds nothing.
type Data struct {
	File    func(name string) ([]byte, error)
	Dataset func(name string) (lines []string, ok bool)
}

// Compile makes the operator of that name, which is case-sensitive and without "@", for the argument as it stands in the
// rule without the space around it.
func Compile(name, argument string, data Data) (Operator, error) {
	op, err := compile(name, argument, data)
	if err != nil {
		return nil, fmt.Errorf("@%s: %w", name, err)
	}
	return op, nil
}

func compile(name, argument string, data Data) (Operator, error) {
	if c, ok := Compare(name); ok {
		if argument == "" {
			return nil, errors.New("argument is empty; write the text to compare with")
		}
		return c.With(argument), nil
	}
	switch name {
	case "rx":
		return newRx(argument)
	case "pm":
		return newPm(splitWords(argument))
	case "pmFromFile", "pmf":
		lines, err := data.lines(argument)
		if err != nil {
			return nil, err
		}
		return newPm(lowerAll(lines))
	case "pmFromDataset":
		lines, ok := data.dataset(argument)
		if !ok {
			return nil, fmt.Errorf("dataset %q does not exist", argument)
		}
		return newPm(lines)
	case "ipMatch":
		return newIPMatch(splitList(argument)), nil
	case "ipMatchFromFile", "ipMatchF":
		lines, err := data.lines(argument)
		if err != nil {
			return nil, err
		}
		return newIPMatch(splitAll(lines)), nil
	case "ipMatchFromDataset":
		lines, ok := data.dataset(argument)
		if !ok || len(lines) == 0 {
			return nil, fmt.Errorf("dataset %q does not exist or is empty", argument)
		}
		return newIPMatch(splitAll(lines)), nil
	case "validateByteRange":
		return newByteRange(argument)
	case "validateNid":
		return newNid(argument)
	case "restpath":
		return newRestPath(argument)
	case "validateUrlEncoding":
		return &guarded{byteset.Of("%"), invalidURLEncoding}, nil
	case "validateUtf8Encoding":
		return &guarded{byteset.Range(0x80, 0xff), invalidUTF8}, nil
	case "detectXSS":
		return detectXSS{}, nil
	case "detectSQLi":
		return detectSQLi{}, nil
	case "noMatch":
		return predicate(func(string) bool { return false }), nil
	case "unconditionalMatch", "geoLookup":
		// geoLookup has no database in the reference either: it matches and sets nothing.
		return always, nil
	case "inspectFile", "rbl", "validateSchema":
		return nil, ErrUnsupported
	}
	return nil, errors.New("there is no such operator")
}

// CanCapture reports whether the operator of that name ever sets captures.
func CanCapture(name string) bool {
	switch name {
	case "rx", "pm", "pmFromFile", "pmf", "pmFromDataset", "detectSQLi", "validateNid", "rbl":
		return true
	}
	return false
}
