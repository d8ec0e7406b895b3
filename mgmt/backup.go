package mgmt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/rules/sealed"
)

// Backup writes a backup of the database to a file, which must not exist yet, while managers use the database. Neither the master key nor
// the events are in it.
func Backup(ctx context.Context, settings Settings, file string) (header store.BackupHeader, rows int64, err error) {
	o, err := storeOptions(settings)
	if err != nil {
		return header, 0, err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return header, 0, err
	}
	header, rows, err = store.Backup(ctx, o, f)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return header, rows, errors.Join(fmt.Errorf("back up: %w", err), os.Remove(file))
	}
	return header, rows, syncDir(filepath.Dir(file))
}

// Restore fills the empty database of the settings from a backup, and raises the epoch above the backup's, the bucket's, the one that is
// given, and that of every restore before: a gateway that has served what was published after the backup takes what is published now.
func Restore(ctx context.Context, settings Settings, file string, above uint64) (header store.BackupHeader, epoch uint64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return header, 0, err
	}
	defer f.Close()
	if header, err = store.ReadBackupHeader(f); err != nil {
		return header, 0, fmt.Errorf("%s: %w", file, err)
	}
	vault, err := rightKey(settings.KeyFile, header.MasterKey)
	if err != nil {
		return header, 0, err
	}
	o, err := storeOptions(settings)
	if err != nil {
		return header, 0, err
	}
	header, err = store.Restore(ctx, o, f, func(tx *store.Tx, h store.BackupHeader) error {
		there, err := bucketEpoch(tx, vault, settings)
		if err != nil {
			return err
		}
		// The time is above the epoch of every restore before this one, whether its revisions can still be seen or not.
		seen := max(h.Epoch, there, above, uint64(tx.Now().Unix())) //nolint:gosec // after 1970
		if _, err := tx.RaiseEpoch(seen); err != nil {
			return err
		}
		if epoch, err = tx.Epoch(); err != nil {
			return err
		}
		return tx.Audit("manager", "manager.restore", "database", map[string]any{"made": h.At, "epoch": epoch})
	})
	return header, epoch, err
}

// rightKey gives the vault of the key that the secrets of a backup are sealed with, and refuses another one.
func rightKey(file, want string) (*secret.Vault, error) {
	key, err := sealed.ReadKey(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("key_file %s is missing: the backup needs key %s, which no backup holds; put the copy of that file there first", file, want)
	case err != nil:
		return nil, fmt.Errorf("key_file: %w", err)
	case key.ID() != want:
		return nil, fmt.Errorf("key_file %s holds key %s, and the backup was made with key %s: put the copy of that file there first", file, key.ID(), want)
	}
	return secret.New(key), nil
}
