package secret_test

import (
	"bytes"
	"errors"
	"testing"

	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/mgmt/store/storetest"
	"gatehouse/rules/sealed"
)

func TestVault(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		master := sealed.NewKey()
		v, stranger := secret.New(master), secret.New(sealed.NewKey())
		plain := []byte("the signing key")
		if err := db.Write(t.Context(), func(tx *store.Tx) error {
			return errors.Join(v.Put(tx, "signing", []byte("old")), v.Put(tx, "signing", plain))
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), func(tx *store.Tx) error {
			if got, err := v.Get(tx, "signing"); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("got %q, %v", got, err)
			}
			if _, err := stranger.Get(tx, "signing"); !errors.Is(err, sealed.ErrSealed) {
				t.Errorf("with another master key: %v", err)
			}
			var data []byte
			if err := tx.Get(store.Row(&data), "SELECT data FROM sealed"); err != nil || bytes.Contains(data, plain) {
				t.Errorf("the database holds %q, %v", data, err)
			}
			// Under another name the same row does not open.
			if _, err := tx.Exec("UPDATE sealed SET name = $1", "authority"); err != nil {
				return err
			}
			if _, err := v.Get(tx, "authority"); !errors.Is(err, sealed.ErrSealed) {
				t.Errorf("under another name: %v", err)
			}
			if err := v.Delete(tx, "authority"); err != nil {
				return err
			}
			if _, err := v.Get(tx, "authority"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("deleted: %v", err)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}
