package revision

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Keep writes a revision to a directory, from which a Reader reads it like from any depot. What is there and whole stays; what was
// damaged is written again.
func (v *Revision) Keep(ctx context.Context, d Dir) error {
	group := v.Statement.Group
	have := d.Have(group)
	objects := map[Hash][]byte{v.Statement.Content: v.manifest}
	for _, f := range v.Manifest.Files {
		objects[f.Hash] = v.Files[f.Name]
	}
	for h, data := range objects {
		if _, ok := have(h); ok {
			continue
		}
		if err := d.put(ctx, objectName(group, h), compress(data)); err != nil {
			return err
		}
	}
	return d.put(ctx, revisionName(group, v.Statement.Order), v.signed)
}

// put writes an object, whatever was there.
func (d Dir) put(ctx context.Context, name string, data []byte) error {
	if err := d.Create(ctx, name, data); !errors.Is(err, ErrChanged) {
		return err
	}
	temporary, err := d.write(d.path(name), data)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, d.path(name)); err != nil {
		os.Remove(temporary)
		return err
	}
	return syncDir(filepath.Dir(d.path(name)))
}

// Have gives the parts of a group's revisions that the directory has, for a Reader. What was damaged is not among them.
func (d Dir) Have(group string) func(Hash) ([]byte, bool) {
	return func(h Hash) ([]byte, bool) {
		object, _, err := d.Get(context.Background(), objectName(group, h), maxObject(MaxFile))
		if err != nil {
			return nil, false
		}
		data, err := decompressMost(object, MaxFile)
		return data, err == nil && HashOf(data) == h
	}
}

// Retain removes what no revision of the list needs from what the directory has of a group.
func (d Dir) Retain(group string, list ...*Revision) error {
	needed := map[string]bool{HeadName(group): true}
	for _, v := range list {
		needed[revisionName(group, v.Statement.Order)] = true
		needed[objectName(group, v.Statement.Content)] = true
		for _, f := range v.Manifest.Files {
			needed[objectName(group, f.Hash)] = true
		}
	}
	var errs []error
	for _, below := range []string{"revisions", "objects"} {
		entries, err := os.ReadDir(d.path(path.Join(group, below)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			if name := path.Join(group, below, e.Name()); !needed[name] && !strings.HasSuffix(name, ".lock") {
				errs = append(errs, os.Remove(d.path(name)))
			}
		}
	}
	return errors.Join(errs...)
}
