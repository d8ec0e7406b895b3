package config

import "reflect"

// Document is a YAML file of other keys than the gateway's, such as the manager's settings, read as strictly and with the
// same messages: unknown keys, wrong types and values that cannot be are problems with their places.
type Document struct{ l *loader }

// ReadDocument reads a file into the struct that to points to. Least is what the file must hold at least, for the message about an
// empty one. What is wrong with it is in Err, together with what the caller adds by Problem.
func ReadDocument(file string, to any, least string) *Document {
	l := newLoader(Options{})
	if data, ok := l.readConfig(file); ok {
		l.decodeInto(file, data, reflect.ValueOf(to).Elem(), least)
	}
	return &Document{l}
}

// Problem reports what is wrong with the value at a path such as api.address, unless it could not even be read.
func (d *Document) Problem(path, format string, args ...any) {
	if len(d.l.places) > 0 { // of a file that could not be read, nothing is known
		d.l.problem(path, format, args...)
	}
}

// Written says whether the file has the key.
func (d *Document) Written(path string) bool { return d.l.written(path) }

// Err gives all problems, of type Problems, or nil.
func (d *Document) Err() error {
	if len(d.l.problems) == 0 {
		return nil
	}
	return Problems(sortProblems(d.l.problems))
}
