package managed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"gatehouse/rules/fleetapi"
)

// enroll makes sure that the gateway has a certificate, and tries until it has one. An error says that trying again is of no use.
func (g *Gateway) enroll(ctx context.Context) error {
	wait := backoff{first: g.times.Backoff, most: g.times.MaxBackoff}
	for {
		err := g.enrollOnce(ctx)
		var away *UnavailableError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &away):
			return err
		}
		d := max(wait.next(), away.After)
		g.log.Warn("cannot join yet", zap.Error(err), zap.Duration("again_in", d))
		if !sleep(ctx, d) {
			return ctx.Err()
		}
	}
}

func (g *Gateway) enrollOnce(ctx context.Context) error {
	if err := g.trustManager(ctx); err != nil {
		return err
	}
	if g.identity.Load() != nil {
		return nil
	}
	if g.options.Join == JoinCertificate {
		return g.exchangeCertificate(ctx)
	}
	return g.joinWithToken(ctx)
}

// trustManager makes sure that the manager's certificate can be verified.
func (g *Gateway) trustManager(ctx context.Context) error {
	if t := g.trust.Load(); t != nil && t.pool != nil {
		return nil
	}
	a := g.anchor
	if a == nil || a.manual != nil { // keys alone were given, or nothing
		token, err := readToken(g.options.TokenFile)
		if err != nil {
			return err
		}
		a = &anchor{hash: token.Trust}
	}
	manager, _, at := g.client.current()
	t, err := fetchTrust(ctx, g.times, manager, a.hash)
	if err != nil {
		var away *UnavailableError
		if errors.As(err, &away) || len(g.client.managers) > 1 { // one of several may be what answers wrongly
			away = &UnavailableError{Manager: manager.Host, Err: err}
			g.client.note(ctx, at, away)
			return away
		}
		return err
	}
	return g.setTrust(ctx, t, a.root())
}

// joinWithToken asks for a first certificate.
func (g *Gateway) joinWithToken(ctx context.Context) error {
	if _, err := readToken(g.options.TokenFile); err != nil {
		return err
	}
	text, err := os.ReadFile(g.options.TokenFile)
	if err != nil {
		return err
	}
	key, csr, err := newRequest()
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	in := fleetapi.JoinRequest{Token: strings.TrimSpace(string(text)), CSR: csr, Instance: host, Version: g.options.Version}
	var out fleetapi.Credentials
	if err := g.client.json(ctx, http.MethodPost, fleetapi.PathJoin, in, &out, fleetapi.MaxRequest); err != nil {
		return refusedBy("the join token", err)
	}
	return g.become(out, key)
}

// exchangeCertificate shows a certificate that was made beforehand, once, and gets one of the gateway's own key for it.
func (g *Gateway) exchangeCertificate(ctx context.Context) error {
	if g.options.CertificateFile == "" || g.options.KeyFile == "" {
		return errors.New("-join certificate needs -join-certificate-file and -join-key-file")
	}
	pair, err := tls.LoadX509KeyPair(g.options.CertificateFile, g.options.KeyFile)
	if err != nil {
		return fmt.Errorf("-join-certificate-file and -join-key-file: %w", err)
	}
	g.client.use(g.trust.Load().pool, &pair)
	if err := g.renewOnce(ctx); err != nil {
		return refusedBy("the certificate", err)
	}
	return nil
}

// renewOnce gets a certificate of a new key for the one that is used now.
func (g *Gateway) renewOnce(ctx context.Context) error {
	key, csr, err := newRequest()
	if err != nil {
		return err
	}
	var out fleetapi.Credentials
	if err := g.client.json(ctx, http.MethodPost, fleetapi.PathRenew, fleetapi.RenewRequest{CSR: csr}, &out, fleetapi.MaxRequest); err != nil {
		return err
	}
	return g.become(out, key)
}

// become takes new credentials.
func (g *Gateway) become(c fleetapi.Credentials, key string) error {
	id, err := identityOf(c, key, g.trust.Load().pool)
	if err != nil {
		return err
	}
	if err := g.admit(id); err != nil {
		return err
	}
	if err := g.dir.write(identityName, id); err != nil {
		return fmt.Errorf("keep the certificate: %w", err)
	}
	before := g.identity.Swap(id)
	g.client.use(g.trust.Load().pool, id.pair)
	if before == nil {
		g.log.Info("joined", zap.String("gateway", id.Gateway), zap.String("stack", id.Stack), zap.String("group", id.Group))
	}
	g.log.Info("certificate", zap.Time("until", id.pair.Leaf.NotAfter), zap.Time("renewed_at", id.renewal()))
	return nil
}

// admit says whether an identity is what the command line says, and what this gateway was until now.
func (g *Gateway) admit(id *identity) error {
	for _, x := range []struct{ flag, want, got string }{{"-group", g.options.Group, id.Group}, {"-stack", g.options.Stack, id.Stack}} {
		if x.want != "" && x.want != x.got {
			return fmt.Errorf("%s is %s, and the manager has this gateway in %s; leave the flag out, or join with a token of %s", x.flag, x.want, x.got, x.want)
		}
	}
	if before := g.identity.Load(); before != nil && (before.Stack != id.Stack || before.Group != id.Group) {
		return fmt.Errorf("this gateway is of group %s of %s, and the manager has it in group %s of %s; to move it, start it with an empty -state-dir",
			before.Group, before.Stack, id.Group, id.Stack)
	}
	return nil
}

// refusedBy says what of the operator's the manager refused.
func refusedBy(what string, err error) error {
	var problem *fleetapi.Problem
	if errors.As(err, &problem) {
		return fmt.Errorf("the manager refuses %s: %w", what, err)
	}
	return err
}

// renew keeps the certificate young, and renews one that has expired too.
func (g *Gateway) renew(ctx context.Context) {
	wait := backoff{first: g.times.Backoff, most: 10 * g.times.MaxBackoff}
	for {
		id := g.identity.Load()
		d := time.Until(id.renewal())
		select {
		case <-ctx.Done():
			return
		case <-g.renewNow:
		case <-time.After(max(0, d)):
		}
		if err := g.renewOnce(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			g.log.Warn("the certificate is not renewed yet", zap.Error(err), zap.Time("until", id.pair.Leaf.NotAfter))
			var away *UnavailableError
			var problem *fleetapi.Problem
			d := wait.next()
			switch {
			case errors.As(err, &away):
				d = max(d, away.After)
			case errors.As(err, &problem) && (problem.Type == fleetapi.ProblemRevoked || problem.Type == fleetapi.ProblemRetired) && g.options.Join == JoinToken:
				if err := g.joinWithToken(ctx); err != nil {
					g.log.Error("this gateway has to join again, with a new token in its -join-token-file; it serves on", zap.Error(err))
				}
			}
			if !sleep(ctx, d) {
				return
			}
			continue
		}
		wait.reset()
	}
}

// askToRenew has the certificate renewed now.
func (g *Gateway) askToRenew() {
	select {
	case g.renewNow <- struct{}{}:
	default:
	}
}
