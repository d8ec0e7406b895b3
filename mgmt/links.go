package mgmt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.uber.org/zap"

	"gatehouse/mgmt/auth"
)

// SetupLink gives the link with which the first account of an installation is made: once, within 15 minutes. A manager may run
// meanwhile, and has to for the link to be used.
func SetupLink(ctx context.Context, settings Settings, log *zap.Logger) (link string, err error) {
	err = withAuth(ctx, settings, log, func(a *auth.Service) error {
		link, err = a.SetupLink(ctx)
		return err
	})
	return link, err
}

// ResetUser ends the sessions and tokens of an account and gives the link with which its owner chooses another password.
func ResetUser(ctx context.Context, settings Settings, name string, log *zap.Logger) (link string, err error) {
	err = withAuth(ctx, settings, log, func(a *auth.Service) error {
		link, err = a.ResetUser(ctx, name)
		return err
	})
	return link, err
}

func withAuth(ctx context.Context, settings Settings, log *zap.Logger, do func(*auth.Service) error) (err error) {
	if err := started(settings); err != nil {
		return err
	}
	db, vault, err := open(ctx, settings, log, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	a, err := openAuth(settings, db, vault, log)
	if err != nil {
		return err
	}
	return do(a)
}

// started refuses to make the database and the key: they would belong to whoever runs the command, and not to the manager.
func started(settings Settings) error {
	if settings.Database.URL != "" {
		return nil
	}
	file := filepath.Join(settings.Data, databaseFile)
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("%s: %w; start gatehouse manager first", file, err)
	}
	return nil
}
