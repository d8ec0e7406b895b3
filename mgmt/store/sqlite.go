package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqlite is one file, written by one manager: every commit is on the disk before it is acknowledged.
type sqlite struct{}

func (sqlite) name() string { return "sqlite" }

func (sqlite) word(name string) string { return map[string]string{"bytes": "BLOB"}[name] }

func (sqlite) open(ctx context.Context, o Options) (readers, writers *sql.DB, err error) {
	if err := private(o.File); err != nil {
		return nil, nil, err
	}
	source := func(lock string, pragmas ...string) string {
		pragmas = append(pragmas, "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "busy_timeout(10000)")
		q := url.Values{"_pragma": pragmas, "_txlock": {lock}}
		return (&url.URL{Scheme: "file", OmitHost: true, Path: o.File, RawQuery: q.Encode()}).String()
	}
	cache := o.Cache
	if cache == 0 {
		cache = 2 << 20
	}
	if writers, err = sql.Open("sqlite", source("immediate", fmt.Sprintf("cache_size(-%d)", cache>>10))); err != nil {
		return nil, nil, err
	}
	writers.SetMaxOpenConns(1) // one writer at a time: they wait here and not in the database
	if err := writers.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", o.File, err), writers.Close())
	}
	if readers, err = sql.Open("sqlite", source("deferred", "query_only(1)")); err != nil {
		return nil, nil, errors.Join(err, writers.Close())
	}
	const most = 8
	readers.SetMaxOpenConns(most)
	readers.SetMaxIdleConns(most)
	return readers, writers, nil
}

// private makes the file, which nobody else may read.
func private(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (sqlite) retry(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

func (sqlite) lockSchema(context.Context, *sql.Tx) error { return nil } // the transaction is the only one that writes

func (sqlite) listen(ctx context.Context, _ *sql.DB, _ func(string)) error {
	<-ctx.Done() // there is no other manager
	return nil
}

func (sqlite) notify(context.Context, *sql.Tx, string) error { return nil }
