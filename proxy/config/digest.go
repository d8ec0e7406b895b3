package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
)

// digest identifies what a configuration does: it hashes the complete configuration with every file name replaced by
// the hash of what the file holds.
func digest(l *Loaded) string {
	c := clone(reflect.ValueOf(l.Config)).Interface().(*Config)
	replaceFiles(reflect.ValueOf(c).Elem(), func(file string) string {
		sum := contentHash(l.contents[file])
		return "sha256:" + hex.EncodeToString(sum[:])
	})
	for i := range c.Certificates {
		if name, ok := strings.CutPrefix(c.Certificates[i].Secret, SealedPrefix); ok {
			sum := contentHash(l.secrets[name])
			c.Certificates[i].Secret = "sha256:" + hex.EncodeToString(sum[:])
		}
	}
	data, err := json.Marshal(c)
	if err != nil { // the texts of this package have no errors, and nothing else can fail
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// contentHash is the hash of what a file holds.
func contentHash(data []byte) [sha256.Size]byte { return sha256.Sum256(data) }

// replaceFiles applies f to every file name in v. The files of log sinks are not read, so they stay.
func replaceFiles(v reflect.Value, f func(string) string) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			replaceFiles(v.Index(i), f)
		}
	case reflect.Struct:
		t := v.Type()
		for i := range t.NumField() {
			field := v.Field(i)
			switch {
			case !t.Field(i).IsExported():
			case field.Kind() != reflect.String:
				replaceFiles(field, f)
			case fieldOf(t, t.Field(i)).file && field.String() != "":
				field.SetString(f(field.String()))
			case t == reflect.TypeFor[Certificate]() && t.Field(i).Name == "Secret":
				if file, ok := strings.CutPrefix(field.String(), "file:"); ok {
					field.SetString(f(file))
				}
			}
		}
	}
}

// clone copies the slices and structs of v, which is all that replaceFiles changes.
func clone(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(clone(v.Elem()))
		return p
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			s.Index(i).Set(clone(v.Index(i)))
		}
		return s
	case reflect.Struct:
		s := reflect.New(v.Type()).Elem()
		s.Set(v)
		for i := range v.NumField() {
			if s.Field(i).CanSet() {
				s.Field(i).Set(clone(v.Field(i)))
			}
		}
		return s
	}
	return v
}
