package mgmt

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
	"gatehouse/rules/revision"
)

// signingKeySecret is the secret that holds the key which revisions, their heads and the audit log are signed with.
const signingKeySecret = "signing-key"

// signingKey gives the installation's key, and makes it at the first start.
func signingKey(ctx context.Context, db *store.DB, vault *secret.Vault) (key revision.PrivateKey, err error) {
	err = db.Write(ctx, func(tx *store.Tx) error {
		key, err = readSigningKey(tx, vault)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if key, err = revision.NewPrivateKey(); err != nil {
			return err
		}
		pem, err := key.EncodePEM()
		if err != nil {
			return err
		}
		if err := vault.Put(tx, signingKeySecret, pem); err != nil {
			return err
		}
		return tx.Audit("manager", "key.make", "keys/"+key.Public().ID(), map[string]string{"public": key.Public().String()})
	})
	if err != nil {
		return revision.PrivateKey{}, fmt.Errorf("the signing key: %w", err)
	}
	return key, nil
}

func readSigningKey(tx *store.Tx, vault *secret.Vault) (revision.PrivateKey, error) {
	pem, err := vault.Get(tx, signingKeySecret)
	if err != nil {
		return revision.PrivateKey{}, err
	}
	return revision.ParsePrivateKey(pem)
}
