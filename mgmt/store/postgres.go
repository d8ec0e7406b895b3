package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgres is a database that managers share.
type postgres struct{}

func (postgres) name() string { return "postgres" }

func (postgres) word(name string) string {
	return map[string]string{"bytes": "BYTEA", "by_day": "PARTITION BY RANGE (day)"}[name]
}

func (postgres) open(ctx context.Context, o Options) (readers, writers *sql.DB, err error) {
	c, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, nil, err // it leaves the password out
	}
	// A standby that was not promoted yet takes no writes: not connecting to it is better than failing on it.
	c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	if o.Namespace != "" {
		if err := makeNamespace(ctx, *c, o.Namespace); err != nil {
			return nil, nil, err
		}
		c.RuntimeParams["search_path"] = o.Namespace
	}
	pool := stdlib.OpenDB(*c)
	const most = 16
	pool.SetMaxOpenConns(most)
	pool.SetMaxIdleConns(most)
	if err := pool.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(err, pool.Close())
	}
	return pool, pool, nil
}

// makeNamespace makes the schema that tables are put into, unless it is there: making it needs a right that using it does not.
func makeNamespace(ctx context.Context, c pgx.ConnConfig, name string) error {
	db := stdlib.OpenDB(c)
	var there bool
	err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)", name).Scan(&there)
	if err == nil && !there {
		_, err = db.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{name}.Sanitize())
	}
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == uniqueViolation { // another manager made it at the same time
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("the schema %s, which the manager's user makes or is given: %w", name, err)
	}
	return errors.Join(err, db.Close())
}

const uniqueViolation = "23505"

// The conditions under which PostgreSQL wants a transaction to be done again.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

func (postgres) retry(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == serializationFailure || e.Code == deadlockDetected)
}

// schemaLock is the advisory lock that migrations are made under.
const schemaLock = 0x6761746568 // "gateh"

func (postgres) lockSchema(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(schemaLock))
	return err
}

// channel is that of LISTEN and NOTIFY; the payload is the topic.
const channel = "gatehouse"

func (postgres) listen(ctx context.Context, db *sql.DB, wake func(string)) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // it goes back to the pool or is broken
	return conn.Raw(func(driverConn any) error {
		c := driverConn.(*stdlib.Conn).Conn()
		if _, err := c.Exec(ctx, "LISTEN "+channel); err != nil {
			return err
		}
		for {
			n, err := c.WaitForNotification(ctx)
			if err != nil {
				return fmt.Errorf("wait for a notification: %w", err)
			}
			wake(n.Payload)
		}
	})
}

func (postgres) notify(ctx context.Context, tx *sql.Tx, topic string) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_notify($1, $2)", channel, topic)
	return err
}
