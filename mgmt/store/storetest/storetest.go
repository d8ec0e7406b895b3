// Package storetest opens databases for tests: the same tests run on SQLite and on a real PostgreSQL.
package storetest

import (
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"gatehouse/mgmt/store"
)

// Each runs a test on each kind of database, empty but for the schema. open may be called again: it opens the same one once more, as
// another manager would, or the same after a restart. Whatever was not closed is closed at the test's end.
func Each(t *testing.T, test func(t *testing.T, open func() *store.DB)) {
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite gives a function that opens a fresh file.
func SQLite(t *testing.T) func() *store.DB {
	file := filepath.Join(t.TempDir(), "manager.db")
	return func() *store.DB { return open(t, store.Options{File: file}) }
}

// Postgres gives a function that opens a fresh database of a server that all tests of the process share. Without the programs of
// PostgreSQL the test is skipped, and fails in CI.
func Postgres(t *testing.T) func() *store.DB {
	o := PostgresOptions(t)
	return func() *store.DB { return open(t, o) }
}

// PostgresOptions name a fresh database, of which the schema is not there yet.
func PostgresOptions(t *testing.T) store.Options {
	t.Helper()
	return store.Options{URL: newDatabase(t)}
}

func open(t *testing.T, o store.Options) *store.DB {
	t.Helper()
	o.Logger, o.Now = zaptest.NewLogger(t), time.Now
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
