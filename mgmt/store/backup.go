package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// A backup is all tables as they were at one moment, as JSON lines compressed with zstd, the same from SQLite and PostgreSQL:
// the header, for each table its columns and its rows, and a last line with the number of rows and the hash of all before it.

// BackupHeader is the first line of a backup.
type BackupHeader struct {
	Backup int       `json:"gatehouse_backup"` // version of the format
	Schema int       `json:"schema"`
	At     time.Time `json:"at"`
	// Audit is the number of the last entry of the audit log, Epoch the epoch of revisions.
	Audit int64  `json:"audit"`
	Epoch uint64 `json:"epoch"`
	// MasterKey names the key that the secrets in it are sealed with. It is not in the backup.
	MasterKey string `json:"master_key"`
}

const backupFormat = 1

// MetaMasterKey is where the installation names its master key.
const MetaMasterKey = "master_key"

type backupTable struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type backupEnd struct {
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// backupBytes is a value of bytes, or a text that is not UTF-8, which SQLite takes.
type backupBytes struct {
	Base64 []byte `json:"base64"`
	Text   bool   `json:"text,omitempty"`
}

// Backup writes all that the database holds, as of one moment, while a manager uses it. It answers the header and the number of
// rows. The schema stays as it is.
func Backup(ctx context.Context, o Options, to io.Writer) (header BackupHeader, rows int64, err error) {
	if o.URL == "" {
		if _, err := os.Stat(o.File); err != nil { // opening would make it
			return header, 0, err
		}
	}
	db, err := openPools(ctx, o)
	if err != nil {
		return header, 0, err
	}
	defer func() { err = errors.Join(err, db.closePools()) }()
	return db.backup(ctx, to)
}

func (db *DB) backup(ctx context.Context, to io.Writer) (BackupHeader, int64, error) {
	z, err := zstd.NewWriter(to)
	if err != nil {
		return BackupHeader{}, 0, err
	}
	w := &backupWriter{sum: sha256.New()}
	w.out = bufio.NewWriter(io.MultiWriter(z, w.sum))
	header := BackupHeader{Backup: backupFormat}
	err = db.Read(ctx, func(tx *Tx) error {
		if w.begun {
			return errors.New("the database was busy; try again") // what is written cannot be taken back
		}
		w.begun = true
		if err := tx.describe(&header); err != nil {
			return err
		}
		if err := w.line(header); err != nil {
			return err
		}
		tables, err := schemaTables(header.Schema)
		for _, table := range tables {
			if err == nil {
				err = w.table(tx, table)
			}
		}
		return err
	})
	if err == nil {
		err = w.out.Flush()
	}
	if err == nil {
		err = json.NewEncoder(z).Encode(backupEnd{w.rows, hex.EncodeToString(w.sum.Sum(nil))})
	}
	return header, w.rows, errors.Join(err, z.Close())
}

func (tx *Tx) describe(h *BackupHeader) (err error) {
	h.At = tx.now
	if h.Schema, err = tx.schemaVersion(); err != nil {
		return err
	}
	if versions, err := schemaVersions(schema); err != nil || h.Schema == 0 || !slices.Contains(versions, h.Schema) {
		return errors.Join(err, fmt.Errorf("the database has schema %d; back it up with the version of its manager", h.Schema))
	}
	if h.Epoch, err = tx.Epoch(); err != nil {
		return err
	}
	if h.MasterKey, err = tx.Meta(MetaMasterKey); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return tx.Get(Row(&h.Audit), "SELECT seq FROM audit_head WHERE id = 1")
}

var createTable = regexp.MustCompile(`(?m)^CREATE TABLE ([a-z_]+)`)

// schemaTables are the tables of a version, in the order in which they are made: one that refers to another comes behind it.
func schemaTables(version int) ([]string, error) {
	var tables []string
	for v := 1; v <= version; v++ {
		files, err := schema.ReadDir(path.Join("schema", strconv.Itoa(v)))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			text, err := schema.ReadFile(path.Join("schema", strconv.Itoa(v), f.Name()))
			if err != nil {
				return nil, err
			}
			for _, m := range createTable.FindAllStringSubmatch(uncommented(string(text)), -1) {
				tables = append(tables, m[1])
			}
		}
	}
	return tables, nil
}

type backupWriter struct {
	out   *bufio.Writer
	sum   hash.Hash
	rows  int64
	begun bool
}

func (w *backupWriter) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.out.Write(append(text, '\n'))
	return err
}

func (w *backupWriter) table(tx *Tx, table string) error {
	rows, err := tx.sql.QueryContext(tx.ctx, "SELECT * FROM "+table)
	if err != nil {
		return fmt.Errorf("table %s: %w", table, err)
	}
	defer rows.Close() // Err says it
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	if err := w.line(backupTable{table, columns}); err != nil {
		return err
	}
	row, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		dest[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
		for i, v := range row {
			switch v := v.(type) {
			case []byte:
				row[i] = backupBytes{Base64: v}
			case string:
				if !utf8.ValidString(v) {
					row[i] = backupBytes{[]byte(v), true}
				}
			}
		}
		if err := w.line(row); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
		w.rows++
	}
	return rows.Err()
}
