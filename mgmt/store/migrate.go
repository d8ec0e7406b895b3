package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// schema has a directory a version, with files that are carried out in the order of their names. A version that was
// released is never changed: the next one adds to it, and takes away only what no release before it uses.
//
//go:embed schema
var schema embed.FS

// compatibleKey is where a schema says from which version of the product's schema on it can be used.
const versionKey = "schema"

// migrate brings the schema to the latest version, in one transaction a version. Other managers wait meanwhile.
func (db *DB) migrate(ctx context.Context) error {
	versions, err := schemaVersions(db.schema)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if err := db.Write(ctx, func(tx *Tx) error { return tx.migrateTo(v) }); err != nil {
			return fmt.Errorf("bring the schema to version %d: %w", v, err)
		}
	}
	newest := versions[len(versions)-1]
	return db.Read(ctx, func(tx *Tx) error {
		at, err := tx.schemaVersion()
		if err == nil && at > newest+1 {
			err = fmt.Errorf("the database has schema %d; this version knows %d, and works with %d", at, newest, newest+1)
		}
		return err
	})
}

func schemaVersions(schema fs.FS) ([]int, error) {
	entries, err := fs.ReadDir(schema, "schema")
	if err != nil {
		return nil, err
	}
	var versions []int
	for _, e := range entries {
		v, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, err
		}
		versions = append(versions, v)
	}
	slices.Sort(versions)
	return versions, nil
}

func (tx *Tx) migrateTo(version int) error {
	if err := tx.db.dialect.lockSchema(tx.ctx, tx.sql); err != nil {
		return err
	}
	at, err := tx.schemaVersion()
	if err != nil || at >= version {
		return err
	}
	dir := path.Join("schema", strconv.Itoa(version))
	return fs.WalkDir(tx.db.schema, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(tx.db.schema, name)
		if err != nil {
			return err
		}
		for i, statement := range strings.Split(uncommented(string(text)), ";\n") {
			if statement = strings.TrimSpace(statement); statement == "" {
				continue
			}
			for _, word := range []string{"bytes", "by_day"} {
				statement = strings.ReplaceAll(statement, "{{"+word+"}}", tx.db.dialect.word(word))
			}
			if _, err := tx.Exec(strings.TrimSuffix(statement, ";")); err != nil {
				return fmt.Errorf("%s, statement %d: %w", name, i+1, err)
			}
		}
		return tx.SetMeta(versionKey, strconv.Itoa(version))
	})
}

// uncommented leaves out what follows -- on a line.
func uncommented(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		before, _, _ := strings.Cut(l, "--")
		lines[i] = strings.TrimRight(before, " \t")
	}
	return strings.Join(lines, "\n")
}

// schemaVersion is 0 of an empty database.
func (tx *Tx) schemaVersion() (int, error) {
	var n int
	query := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'"
	if tx.db.dialect.name() == "postgres" {
		query = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'meta'"
	}
	if err := tx.Get(Row(&n), query); err != nil || n == 0 {
		return 0, err
	}
	text, err := tx.Meta(versionKey)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// Meta reads a value of the installation, such as its name.
func (tx *Tx) Meta(key string) (string, error) {
	var value string
	err := tx.Get(Row(&value), "SELECT value FROM meta WHERE key = $1", key)
	if errors.Is(err, ErrNotFound) {
		return "", fmt.Errorf("the value %s of the installation: %w", key, err)
	}
	return value, err
}

// SetMeta writes a value of the installation.
func (tx *Tx) SetMeta(key, value string) error {
	_, err := tx.Exec("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	return err
}
