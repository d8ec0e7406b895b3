package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxBackupLine bounds a row of a backup: objects of revisions are the longest.
const maxBackupLine = 256 << 20

// Restore fills an empty database from a backup, whichever kind of database that is of, and brings it to the latest schema. Then, in the
// same transaction, it calls do: to raise the epoch. After an error the database is as empty as before.
func Restore(ctx context.Context, o Options, from io.ReadSeeker, do func(*Tx, BackupHeader) error) (header BackupHeader, err error) {
	db, err := openPools(ctx, o)
	if err != nil {
		return header, err
	}
	defer func() { err = errors.Join(err, db.closePools()) }()
	err = db.Write(ctx, func(tx *Tx) error {
		if _, err := from.Seek(0, io.SeekStart); err != nil { // the transaction may be done again
			return err
		}
		if err := tx.dialectLock(); err != nil {
			return err
		}
		at, err := tx.schemaVersion()
		if err != nil {
			return err
		}
		if at != 0 {
			return errors.New("the database is not empty; a backup is restored into a new database or file")
		}
		r, err := newBackupReader(from)
		if err != nil {
			return err
		}
		defer r.close()
		header = r.header
		if err := r.restore(tx); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE leases SET until = 0"); err != nil { // whoever held them works on another database
			return err
		}
		return do(tx, header)
	})
	if err != nil {
		return header, fmt.Errorf("restore: %w", err)
	}
	return header, db.migrate(ctx)
}

func (tx *Tx) dialectLock() error { return tx.db.dialect.lockSchema(tx.ctx, tx.sql) }

// ReadBackupHeader reads the first line of a backup.
func ReadBackupHeader(from io.Reader) (BackupHeader, error) {
	r, err := newBackupReader(from)
	if err != nil {
		return BackupHeader{}, err
	}
	r.close()
	return r.header, nil
}

// backupReader reads a backup by lines.
type backupReader struct {
	z      *zstd.Decoder
	lines  *bufio.Scanner
	sum    hash.Hash
	header BackupHeader
	rows   int64
}

func newBackupReader(from io.Reader) (*backupReader, error) {
	z, err := zstd.NewReader(from)
	if err != nil {
		return nil, err
	}
	r := &backupReader{z: z, lines: bufio.NewScanner(z), sum: sha256.New()}
	r.lines.Buffer(nil, maxBackupLine)
	line, ok := r.next()
	if !ok || json.Unmarshal(line, &r.header) != nil || r.header.Backup == 0 {
		r.close()
		return nil, errors.New("it is not a backup of gatehouse manager backup")
	}
	if r.header.Backup > backupFormat {
		r.close()
		return nil, fmt.Errorf("the backup is of format %d, and this version knows %d; use the version that made it, or a later one", r.header.Backup, backupFormat)
	}
	r.count(line)
	return r, nil
}

func (r *backupReader) close() { r.z.Close() }

func (r *backupReader) next() ([]byte, bool) {
	if !r.lines.Scan() {
		return nil, false
	}
	return r.lines.Bytes(), true
}

func (r *backupReader) count(line []byte) {
	r.sum.Write(line)
	r.sum.Write([]byte{'\n'})
}

// restore makes the schema of the backup and fills it.
func (r *backupReader) restore(tx *Tx) error {
	versions, err := schemaVersions(schema)
	if err != nil {
		return err
	}
	if newest := versions[len(versions)-1]; r.header.Schema > newest {
		return fmt.Errorf("the backup has schema %d, and this version knows %d; use the version that made it, or a later one", r.header.Schema, newest)
	}
	for _, v := range versions {
		if v <= r.header.Schema {
			if err := tx.migrateTo(v); err != nil {
				return err
			}
		}
	}
	tables, err := schemaTables(r.header.Schema)
	if err != nil {
		return err
	}
	for _, table := range slices.Backward(tables) { // what the schema itself has put there
		if _, err := tx.Exec("DELETE FROM " + table); err != nil {
			return err
		}
	}
	return r.fill(tx, tables)
}

var columnName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// fill inserts all rows, and holds the whole against its last line.
func (r *backupReader) fill(tx *Tx, tables []string) error {
	insert := ""
	table := backupTable{}
	for {
		line, ok := r.next()
		if !ok {
			return errors.Join(r.lines.Err(), errors.New("the backup ends too early: it was cut off"))
		}
		switch {
		case line[0] == '[':
			if insert == "" {
				return errors.New("the backup has a row before its first table")
			}
			row, err := backupRow(line)
			if err == nil {
				_, err = tx.Exec(insert, row...)
			}
			if err != nil {
				return fmt.Errorf("table %s: %w", table.Table, err)
			}
			r.rows++
		case bytes.HasPrefix(line, []byte(`{"table"`)):
			table = backupTable{}
			if err := json.Unmarshal(line, &table); err != nil {
				return err
			}
			if !slices.Contains(tables, table.Table) || len(table.Columns) == 0 || slices.ContainsFunc(table.Columns, func(c string) bool { return !columnName.MatchString(c) }) {
				return fmt.Errorf("the backup has a table %.60q that schema %d has not", table.Table, r.header.Schema)
			}
			insert = fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table.Table, strings.Join(table.Columns, ", "), Placeholders(1, len(table.Columns)))
		default:
			return r.end(line)
		}
		r.count(line)
	}
}

func (r *backupReader) end(line []byte) error {
	var end backupEnd
	if err := json.Unmarshal(line, &end); err != nil {
		return fmt.Errorf("the backup's last line: %w", err)
	}
	if end.Rows != r.rows || end.SHA256 != hex.EncodeToString(r.sum.Sum(nil)) {
		return errors.New("the backup was changed after it was made: its hash is another")
	}
	return nil
}

// backupRow gives the values of a row.
func backupRow(line []byte) ([]any, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var raw []any
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	for i, v := range raw {
		switch v := v.(type) {
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return nil, err
			}
			raw[i] = n
		case map[string]any:
			encoded, _ := v["base64"].(string)
			b, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return nil, err
			}
			raw[i] = b
			if text, _ := v["text"].(bool); text {
				raw[i] = string(b)
			}
		}
	}
	return raw, nil
}
