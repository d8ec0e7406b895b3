// Package secret keeps the manager's secrets in its database, sealed with a master key that is not in it.
package secret

import (
	"fmt"

	"gatehouse/mgmt/store"
	"gatehouse/rules/sealed"
)

// Vault seals and opens secrets by name. It is safe for concurrent use.
type Vault struct{ master sealed.Key }

// New is the vault of a master key.
func New(master sealed.Key) *Vault { return &Vault{master} }

func label(name string) string { return sealed.Label("manager", name) }

// Put stores a secret, in the place of one of that name.
func (v *Vault) Put(tx *store.Tx, name string, secret []byte) error {
	_, err := tx.Exec("INSERT INTO sealed (name, data, at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET data = excluded.data, at = excluded.at",
		name, v.master.Seal(label(name), secret), tx.Now())
	return err
}

// Get gives a secret, or store.ErrNotFound.
func (v *Vault) Get(tx *store.Tx, name string) ([]byte, error) {
	var data []byte
	if err := tx.Get(store.Row(&data), "SELECT data FROM sealed WHERE name = $1", name); err != nil {
		return nil, fmt.Errorf("the secret %s: %w", name, err)
	}
	secret, err := v.master.Open(label(name), data)
	if err != nil {
		return nil, fmt.Errorf("the secret %s: %w (is the key file the one that this database was made with?)", name, err)
	}
	return secret, nil
}

// Delete removes a secret.
func (v *Vault) Delete(tx *store.Tx, name string) error {
	_, err := tx.Exec("DELETE FROM sealed WHERE name = $1", name)
	return err
}
