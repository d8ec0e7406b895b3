// Package store is the manager's database: SQLite in one file, or PostgreSQL for more than one manager.
//
// Invariant: what a function given to Write has done is there whole once Write returns without an error, also after a crash,
// and not at all if it returns one.
//
// The statements are the same for both databases. Each package of the manager keeps its own tables, in a file of schema,
// and its own statements.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Options say where the database is.
type Options struct {
	// URL is that of a PostgreSQL database; empty is SQLite.
	URL string
	// File is SQLite's file, on a disk of this host: no network file system. It is made if it is missing.
	File   string
	Logger *zap.Logger
	Now    func() time.Time // nil is time.Now

	// Schema is another one than the manager's: a directory "schema" like the manager's, with the tables meta and topics in it.
	Schema fs.FS
	// Cache is how much of SQLite's file whoever writes may hold in memory, in bytes; 0 is 2 MiB. What does not fit is written more than once
	// in a transaction.
	Cache int64
	// Namespace is the PostgreSQL schema that the tables are in, which is made if it is missing; empty is the connection's.
	Namespace string
	// ReadCommitted has what Write runs see what others commit meanwhile. It locks what it reads and changes by itself.
	ReadCommitted bool
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect dialect
	log     *zap.Logger
	now     func() time.Time
	schema  fs.FS
	writing sql.IsolationLevel

	readers *sql.DB
	writers *sql.DB // the same in PostgreSQL; one connection in SQLite

	wakes   *wakes
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// dialect is what differs between the databases.
type dialect interface {
	name() string
	// open gives the pools for reading and for writing.
	open(ctx context.Context, o Options) (readers, writers *sql.DB, err error)
	// word is what stands for {{bytes}} (the type) and {{by_day}} (behind the columns of a table with the column day) in a schema.
	word(name string) string
	// retry says whether a transaction failed only because of others, and may be done again.
	retry(err error) bool
	// lockSchema makes other managers wait until tx ends.
	lockSchema(ctx context.Context, tx *sql.Tx) error
	// listen calls wake for every notification by another manager, until ctx ends.
	listen(ctx context.Context, db *sql.DB, wake func(topic string)) error
	// notify tells other managers when tx is committed.
	notify(ctx context.Context, tx *sql.Tx, topic string) error
}

// Open opens the database, makes or migrates its schema, and listens for what others write.
func Open(ctx context.Context, o Options) (*DB, error) {
	db, err := openPools(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.closePools())
	}
	listening, stop := context.WithCancel(context.Background())
	db.stop = stop
	db.stopped.Go(func() { db.listen(listening) })
	return db, nil
}

// openPools opens the database as it is.
func openPools(ctx context.Context, o Options) (*DB, error) {
	db := &DB{log: o.Logger, now: o.Now, dialect: sqlite{}, wakes: newWakes(), schema: o.Schema, writing: sql.LevelSerializable}
	if db.schema == nil {
		db.schema = schema
	}
	if o.ReadCommitted {
		db.writing = sql.LevelReadCommitted
	}
	if db.log == nil {
		db.log = zap.NewNop()
	}
	if db.now == nil {
		db.now = time.Now
	}
	if o.URL != "" {
		db.dialect = postgres{}
	}
	var err error
	if db.readers, db.writers, err = db.dialect.open(ctx, o); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return db, nil
}

// Close waits for nothing but the listening.
func (db *DB) Close() error {
	db.stop()
	db.stopped.Wait()
	return db.closePools()
}

func (db *DB) closePools() error {
	err := db.readers.Close()
	if db.writers != db.readers {
		err = errors.Join(err, db.writers.Close())
	}
	return err
}

// Now is the time, in microseconds, by the clock that the database was given.
func (db *DB) Now() time.Time { return db.now().UTC().Truncate(time.Microsecond) }

// Tx is a transaction: it sees the database as it was at its start. It is for one goroutine.
type Tx struct {
	ctx    context.Context
	db     *DB
	sql    *sql.Tx
	now    time.Time
	topics map[string]bool
}

// Context is the one that the transaction ends with.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Now is the time of the transaction, the same for all that it does.
func (tx *Tx) Now() time.Time { return tx.now }

// Exec runs a statement, whose parameters are $1, $2 and so on, and says how many rows it concerned.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	result, err := tx.sql.ExecContext(tx.ctx, query, values(args)...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Query runs a statement and calls each with every row. It has read them all before the first call, so that each may use tx.
func (tx *Tx) Query(each func(scan func(dest ...any) error) error, query string, args ...any) error {
	rows, err := tx.sql.QueryContext(tx.ctx, query, values(args)...)
	if err != nil {
		return err
	}
	defer rows.Close() // Err says it
	for rows.Next() {
		if err := each(func(dest ...any) error { return rows.Scan(destinations(dest)...) }); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ErrNotFound says that there is no such row.
var ErrNotFound = errors.New("not found")

// Get reads one row, or gives ErrNotFound.
func (tx *Tx) Get(dest []any, query string, args ...any) error {
	err := tx.sql.QueryRowContext(tx.ctx, query, values(args)...).Scan(destinations(dest)...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// Row is Get's destinations.
func Row(dest ...any) []any { return dest }

// Read runs do in a transaction that writes nothing.
func (db *DB) Read(ctx context.Context, do func(*Tx) error) error {
	return db.transact(ctx, db.readers, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}, do)
}

// Write runs do in a transaction, and runs it again if others were in its way: do changes nothing but through its Tx.
func (db *DB) Write(ctx context.Context, do func(*Tx) error) error {
	return db.transact(ctx, db.writers, &sql.TxOptions{Isolation: db.writing}, do)
}

// tries is how often a transaction is begun that others are in the way of.
const tries = 20

func (db *DB) transact(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, do func(*Tx) error) error {
	var err error
	for try := range tries {
		if try > 0 {
			select {
			case <-ctx.Done():
				return errors.Join(ctx.Err(), err)
			case <-time.After(time.Duration(try) * 2 * time.Millisecond):
			}
		}
		if err = db.attempt(ctx, pool, opts, do); err == nil || !db.dialect.retry(err) {
			return err
		}
	}
	return fmt.Errorf("after %d attempts: %w", tries, err)
}

func (db *DB) attempt(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, do func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The statements end with ctx, and so does what they are in. If the beginning did, a request that ends just after its rollback would
	// spoil SQLite's connection for the next one.
	inner, err := pool.BeginTx(context.WithoutCancel(ctx), db.isolation(opts))
	if err != nil {
		return err
	}
	tx := &Tx{ctx: ctx, db: db, sql: inner, now: db.Now(), topics: make(map[string]bool)}
	defer inner.Rollback() //nolint:errcheck // after a commit it does nothing, and before one its error adds nothing
	if err := do(tx); err != nil {
		return err
	}
	for topic := range tx.topics {
		if err := tx.notify(topic); err != nil {
			return err
		}
	}
	if err := inner.Commit(); err != nil {
		return err
	}
	for topic := range tx.topics {
		db.wakes.wake(topic)
	}
	return nil
}

// isolation leaves out what SQLite does not know: its transactions are serializable anyway.
func (db *DB) isolation(opts *sql.TxOptions) *sql.TxOptions {
	if db.dialect.name() == "sqlite" {
		return &sql.TxOptions{ReadOnly: opts.ReadOnly}
	}
	return opts
}

// values writes times as microseconds and booleans as 0 or 1.
func values(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		switch v := a.(type) {
		case time.Time:
			out[i] = micros(v)
		case bool:
			out[i] = map[bool]int64{true: 1}[v]
		default:
			out[i] = a
		}
	}
	return out
}

// micros is the zero time as 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// destinations reads what values wrote.
func destinations(dest []any) []any {
	out := make([]any, len(dest))
	for i, d := range dest {
		switch v := d.(type) {
		case *time.Time:
			out[i] = timeScanner{v}
		case *bool:
			out[i] = boolScanner{v}
		default:
			out[i] = d
		}
	}
	return out
}

type timeScanner struct{ to *time.Time }

func (s timeScanner) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a time is a %T", src)
	}
	*s.to = time.Time{}
	if n != 0 {
		*s.to = time.UnixMicro(n).UTC()
	}
	return nil
}

type boolScanner struct{ to *bool }

func (s boolScanner) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a boolean is a %T", src)
	}
	*s.to = n != 0
	return nil
}

// Placeholders are $from, $from+1 and so on, n of them with commas.
func Placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", from+i)
	}
	return b.String()
}

// Kind names the database: sqlite or postgres.
func (db *DB) Kind() string { return db.dialect.name() }
