package store_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
)

var update = flag.Bool("update", false, "write the fixture of the latest schema; that of a release is never written again")

func fixture(version int) string {
	return filepath.Join("testdata", fmt.Sprintf("schema-%d.backup", version))
}

// TestFixtures restores a database of each schema that was released, brings it to the latest one, and works with it, on both databases.
func TestFixtures(t *testing.T) {
	versions, err := store.SchemaVersions()
	if err != nil || len(versions) == 0 {
		t.Fatal(versions, err)
	}
	if *update {
		writeFixture(t, fixture(versions[len(versions)-1]))
	}
	for _, version := range versions {
		data, err := os.ReadFile(fixture(version))
		if err != nil {
			t.Fatal(err)
		}
		for kind, options := range map[string]func(*testing.T) store.Options{"sqlite": sqliteOptions, "postgres": storetest.PostgresOptions} {
			t.Run(fmt.Sprint(version, " ", kind), func(t *testing.T) {
				o := options(t)
				header, err := store.Restore(t.Context(), o, bytes.NewReader(data), raise)
				if err != nil {
					t.Fatal(err)
				}
				if header.Schema != version {
					t.Errorf("the fixture has schema %d", header.Schema)
				}
				checkFixture(t, openStore(t, o))
			})
		}
	}
}

// writeFixture makes a database that has something in each table of the store, and backs it up.
func writeFixture(t *testing.T, file string) {
	t.Helper()
	o := sqliteOptions(t)
	db := openStore(t, o)
	s := newSite(t)
	s.use(db)
	if _, err := db.Acquire(t.Context(), "outbox", "manager", 1); err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= 3; n++ {
		if err := publishOnce(t.Context(), db, s.key, n, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	write(t, db, func(tx *store.Tx) error {
		if err := tx.SetMeta("fixture", "yes"); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO sealed (name, data, at) VALUES ($1, $2, $3)", "secret", []byte{0, 1, 0xff}, tx.Now())
		return err
	})
	var backup bytes.Buffer
	if _, _, err := store.Backup(t.Context(), o, &backup); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, backup.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkFixture wants what writeFixture wrote, and the next revision behind it.
func checkFixture(t *testing.T, db *store.DB) {
	t.Helper()
	read(t, db, func(tx *store.Tx) error {
		if value, err := tx.Meta("fixture"); err != nil || value != "yes" {
			t.Errorf("meta has %q, %v", value, err)
		}
		var sealed []byte
		if err := tx.Get(store.Row(&sealed), "SELECT data FROM sealed WHERE name = 'secret'"); err != nil || !bytes.Equal(sealed, []byte{0, 1, 0xff}) {
			t.Errorf("a secret is %x, %v", sealed, err)
		}
		result, err := store.VerifyAudit(tx.AuditAll(), nil, "test", nil)
		if result.Entries != 4 { // three revisions, and that it was restored
			t.Errorf("the audit log has %d entries", result.Entries)
		}
		return err
	})
	n, oldest, err := db.OutboxLag(t.Context())
	if err != nil || n == 0 || oldest.IsZero() {
		t.Errorf("%d objects wait since %v, %v", n, oldest, err)
	}
	s := newSite(t) // with another key: the fixture's was not kept
	write(t, db, func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM depot")
		return err
	})
	for range 2 {
		if err := publishOnce(t.Context(), db, s.key, 4, func(string) {}); err != nil {
			t.Error(err)
		}
	}
	read(t, db, func(tx *store.Tx) error {
		result, err := store.VerifyAudit(tx.AuditAll(), nil, "test", nil)
		if result.Entries != 5 {
			t.Errorf("after a request that was sent twice the audit log has %d entries", result.Entries)
		}
		return err
	})
}
