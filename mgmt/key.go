package mgmt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"gatehouse/mgmt/store"
	"gatehouse/rules/sealed"
)

// masterKey reads the key file, and makes it if both it and the database are new. A database that was used with another key is refused:
// nothing in it could be opened.
func masterKey(ctx context.Context, db *store.DB, file string, log *zap.Logger) (sealed.Key, error) {
	known, err := knownKey(ctx, db)
	if err != nil {
		return sealed.Key{}, err
	}
	key, err := sealed.ReadKey(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && known != "":
		return sealed.Key{}, fmt.Errorf("key_file %s is missing, and the database was made with key %s: bring that file back from where it is kept", file, known)
	case errors.Is(err, fs.ErrNotExist):
		if key, err = makeKey(file); err != nil {
			return sealed.Key{}, fmt.Errorf("make key_file: %w", err)
		}
		log.Warn("a master key was made: keep a copy of the file, apart from the backups of the database; without it no secret in the database can be opened",
			zap.String("key_file", file), zap.String("key", key.ID()))
	case err != nil:
		return sealed.Key{}, fmt.Errorf("key_file: %w", err)
	}
	if known != "" && known != key.ID() {
		return sealed.Key{}, fmt.Errorf("key_file %s holds key %s, and the database was made with key %s: bring that file back from where it is kept", file, key.ID(), known)
	}
	if known == "" {
		err = db.Write(ctx, func(tx *store.Tx) error { return claimKey(tx, file, key) })
	}
	return key, err
}

// claimKey notes the key, unless another manager on the same database was first, with another one.
func claimKey(tx *store.Tx, file string, key sealed.Key) error {
	switch known, err := tx.Meta(store.MetaMasterKey); {
	case errors.Is(err, store.ErrNotFound):
		return tx.SetMeta(store.MetaMasterKey, key.ID())
	case err != nil:
		return err
	case known != key.ID():
		return fmt.Errorf("another manager has just set up this database with key %s, and %s holds key %s: copy its key file here", known, file, key.ID())
	}
	return nil
}

// knownKey is empty of a new database.
func knownKey(ctx context.Context, db *store.DB) (id string, err error) {
	err = db.Read(ctx, func(tx *store.Tx) error {
		id, err = tx.Meta(store.MetaMasterKey)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return id, err
}

// makeKey writes a new key that nobody else may read, never over a file that is there.
func makeKey(file string) (sealed.Key, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return sealed.Key{}, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return sealed.Key{}, err
	}
	key := sealed.NewKey()
	_, err = f.WriteString(key.Text())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return sealed.Key{}, errors.Join(err, os.Remove(file))
	}
	return key, syncDir(filepath.Dir(file))
}

// syncDir has the names in a directory outlive a power failure.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
