package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
)

// TestBackup restores from each kind of database into each kind, from a backup that was made while others wrote.
func TestBackup(t *testing.T) {
	kinds := map[string]func(*testing.T) store.Options{"sqlite": sqliteOptions, "postgres": storetest.PostgresOptions}
	for from, options := range kinds {
		o := options(t)
		db := openStore(t, o)
		s := newSite(t)
		s.use(db)
		s.publish(db, 1, "one")
		if _, err := db.Acquire(t.Context(), "outbox", "before", time.Hour); err != nil {
			t.Fatal(err)
		}
		write(t, db, func(tx *store.Tx) error {
			if _, err := tx.RaiseEpoch(6); err != nil {
				return err
			}
			return tx.SetMeta("odd", "line\nbreak, \"quote\", <tag>, \u2028, \\, ü")
		})
		backup := backupUnderWrites(t, db, o)
		for to, options := range kinds {
			t.Run(from+" to "+to, func(t *testing.T) {
				into := options(t)
				header, err := store.Restore(t.Context(), into, bytes.NewReader(backup), raise)
				if err != nil {
					t.Fatal(err)
				}
				if header.Epoch != 7 || header.Audit < 5 {
					t.Errorf("the header is %+v", header)
				}
				got := openStore(t, into)
				read(t, got, func(tx *store.Tx) error {
					odd, err := tx.Meta("odd")
					if err == nil && odd != "line\nbreak, \"quote\", <tag>, \u2028, \\, ü" {
						t.Errorf("a text came back as %q", odd)
					}
					epoch, epochErr := tx.Epoch()
					if epochErr == nil && epoch != 100 {
						t.Errorf("the epoch is %d", epoch)
					}
					result, verifyErr := store.VerifyAudit(tx.AuditAll(), nil, "test", nil)
					if result.Entries != header.Audit+1 { // and that it was restored
						t.Errorf("%d entries of the audit log, the backup had %d", result.Entries, header.Audit)
					}
					return errors.Join(err, epochErr, verifyErr)
				})
				if err := s.outbox(got, "a").Carry(t.Context()); err != nil {
					t.Error(err)
				}
				s.want(1, "one")
				if _, err := store.Restore(t.Context(), into, bytes.NewReader(backup), raise); err == nil || !strings.Contains(err.Error(), "not empty") {
					t.Errorf("over a database that is in use: %v", err)
				}
			})
		}
	}
}

func raise(tx *store.Tx, h store.BackupHeader) error {
	if _, err := tx.RaiseEpoch(99); err != nil {
		return err
	}
	return tx.Audit("manager", "manager.restore", "database", nil)
}

func sqliteOptions(t *testing.T) store.Options {
	t.Helper()
	return store.Options{File: filepath.Join(t.TempDir(), "manager.db")}
}

func openStore(t *testing.T, o store.Options) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// backupUnderWrites makes a backup while entries are added to the audit log.
func backupUnderWrites(t *testing.T, db *store.DB, o store.Options) []byte {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	enough := make(chan struct{})
	writers.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			write(t, db, func(tx *store.Tx) error { return tx.Audit("manager", "test.add", "test", map[string]int{"n": n}) })
			if n == 5 {
				close(enough)
			}
		}
	})
	<-enough
	var backup bytes.Buffer
	header, rows, err := store.Backup(t.Context(), o, &backup)
	stop()
	writers.Wait()
	if err != nil || rows < header.Audit {
		t.Fatalf("%d rows, %v", rows, err)
	}
	return backup.Bytes()
}

// TestBackupHasAllTables compares the tables that a backup has with those of the databases: the schema's text is read for them.
func TestBackupHasAllTables(t *testing.T) {
	versions, err := store.SchemaVersions()
	if err != nil {
		t.Fatal(err)
	}
	want, err := store.SchemaTables(versions[len(versions)-1])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	queries := map[string]string{
		"sqlite":   "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
		"postgres": "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()",
	}
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		var got []string
		read(t, db, func(tx *store.Tx) error {
			return tx.Query(func(scan func(...any) error) error {
				var name string
				err := scan(&name)
				got = append(got, name)
				return err
			}, queries[db.Kind()])
		})
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("a backup has %q, the database %q", want, got)
		}
	})
}

// TestRestoreRefuses changes a backup in many ways: nothing of it is taken, and what is whole can be restored after all.
func TestRestoreRefuses(t *testing.T) {
	o := sqliteOptions(t)
	db := openStore(t, o)
	for n := range 3 {
		write(t, db, func(tx *store.Tx) error { return tx.Audit("manager", "test.add", "test", map[string]int{"n": n}) })
	}
	var whole bytes.Buffer
	if _, _, err := store.Backup(t.Context(), o, &whole); err != nil {
		t.Fatal(err)
	}
	text := string(unzstd(t, whole.Bytes()))
	lines := strings.SplitAfter(text, "\n")
	into := sqliteOptions(t)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "not a backup"},
		{"no zstd", []byte(text), "not a backup"},
		{"something else", zstdOf(t, "hello\n"), "not a backup"},
		{"cut off", zstdOf(t, strings.Join(lines[:len(lines)-3], "")), "cut off"},
		{"without its last line", zstdOf(t, strings.Join(lines[:len(lines)-2], "")), "cut off"},
		{"a file cut off", whole.Bytes()[:whole.Len()/2], "restore"},
		{"a value changed", zstdOf(t, strings.Replace(text, "test.add", "test.sub", 1)), "was changed"},
		{"a row taken out", zstdOf(t, strings.Replace(text, lineWith(lines, "test.add"), "", 1)), "was changed"},
		{"another table", zstdOf(t, strings.Replace(text, `{"table":"audit"`, `{"table":"sqlite_master"`, 1)), "has not"},
		{"another column", zstdOf(t, strings.Replace(text, `"columns":["seq"`, `"columns":["seq) VALUES (1); --"`, 1)), "has not"},
		{"a later schema", zstdOf(t, strings.Replace(text, `"schema":`, `"schema":9`, 1)), "the backup has schema 9"},
		{"a later format", zstdOf(t, strings.Replace(text, `"gatehouse_backup":1`, `"gatehouse_backup":2`, 1)), "format 2"},
	} {
		if _, err := store.Restore(t.Context(), into, bytes.NewReader(c.data), raise); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, not %q", c.name, err, c.want)
		}
	}
	if _, err := store.Restore(t.Context(), into, bytes.NewReader(whole.Bytes()), raise); err != nil {
		t.Errorf("the whole one, afterwards: %v", err)
	}
	if _, _, err := store.Backup(t.Context(), sqliteOptions(t), &whole); err == nil {
		t.Error("a backup of a file that is not there")
	}
}

func lineWith(lines []string, part string) string {
	for _, l := range lines {
		if strings.Contains(l, part) {
			return l
		}
	}
	return fmt.Sprintf("no line has %s", part)
}

func zstdOf(t *testing.T, text string) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll([]byte(text), nil)
}

func unzstd(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
