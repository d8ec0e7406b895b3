package fleet

import (
	"fmt"
	"time"

	"gatehouse/mgmt/fleet/authority"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// maxInstance is how long the name is at most that a gateway gives itself, in bytes.
const maxInstance = 253

// join takes a gateway in by its token. Nothing of a refused request counts, nor is its token used.
func (s *Service) join(tx *store.Tx, in fleetapi.JoinRequest, from string) (fleetapi.Credentials, error) {
	id, group, err := useToken(tx, in.Token)
	if err != nil {
		return fleetapi.Credentials{}, err
	}
	detail := map[string]string{"group": group, "instance": in.Instance, "from": from, "version": clip(in.Version)}
	return s.admit(tx, "token:"+id, group, in.Instance, in.CSR, fleetapi.CertificateLife, detail)
}

// IssueCertificate takes a gateway in beforehand, for the key of a request that an operator brings (gateway -join certificate).
func (s *Service) IssueCertificate(tx *store.Tx, by, group, instance string, csr []byte, life time.Duration) (fleetapi.Credentials, error) {
	switch {
	case !revision.ValidName(group):
		return fleetapi.Credentials{}, problem.Field("body.group", group, "%.80q is no name of a group; write letters, digits, dots, dashes and underscores, 63 at most", group)
	case life < time.Minute || life > fleetapi.RenewWithin:
		return fleetapi.Credentials{}, problem.Field("body.expires_in", life.String(), "must be between 1m and %s", fleetapi.RenewWithin)
	}
	out, err := s.admit(tx, by, group, instance, csr, life, map[string]string{"group": group, "instance": instance})
	if p, ok := err.(*fleetapi.Problem); ok { //nolint:errorlint // admit gives it as it is
		return out, problem.Field("body.csr", nil, "%s", p.Detail)
	}
	return out, err
}

// admit makes a gateway with a certificate.
func (s *Service) admit(tx *store.Tx, by, group, instance string, csr []byte, life time.Duration, detail map[string]string) (fleetapi.Credentials, error) {
	if instance = clip(instance); instance == "" {
		instance = "unknown"
	}
	g := authority.Gateway{Stack: s.o.Stack, Group: group, Name: store.NewID("gw", tx.Now())}
	chain, g, err := s.issuer().Issue(g, csr, tx.Now(), life)
	if err != nil {
		return fleetapi.Credentials{}, &fleetapi.Problem{Title: "the certificate cannot be made", Status: 422, Detail: err.Error()}
	}
	_, err = tx.Exec(`INSERT INTO gateways (name, grp, instance, joined, joined_by, serial, not_after, ended, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '', 0)`, g.Name, group, instance, tx.Now(), by, g.Serial, g.NotAfter)
	if err != nil {
		return fleetapi.Credentials{}, err
	}
	// From now on it is waited for.
	if _, err := tx.Exec("INSERT INTO gateway_status (name, seen, away, report) VALUES ($1, 0, 0, '')", g.Name); err != nil {
		return fleetapi.Credentials{}, err
	}
	if err := tx.Audit(by, "gateway.join", "gateways/"+g.Name, detail); err != nil {
		return fleetapi.Credentials{}, err
	}
	return fleetapi.Credentials{Gateway: g.Name, Stack: g.Stack, Group: g.Group, Certificate: chain}, nil
}

// renew gives a gateway its next certificate.
func (s *Service) renew(tx *store.Tx, g authority.Gateway, in fleetapi.RenewRequest) (fleetapi.Credentials, error) {
	chain, next, err := s.issuer().Issue(authority.Gateway{Stack: g.Stack, Group: g.Group, Name: g.Name}, in.CSR, tx.Now(), fleetapi.CertificateLife)
	if err != nil {
		return fleetapi.Credentials{}, &fleetapi.Problem{Title: "the certificate cannot be made", Status: 422, Detail: err.Error()}
	}
	if _, err := tx.Exec("UPDATE gateways SET serial = $2, not_after = $3 WHERE name = $1", g.Name, next.Serial, next.NotAfter); err != nil {
		return fleetapi.Credentials{}, err
	}
	return fleetapi.Credentials{Gateway: g.Name, Stack: g.Stack, Group: g.Group, Certificate: chain}, nil
}

// clip is a text that a gateway gave, as far as it is kept: printable and short.
func clip(text string) string {
	clean := make([]rune, 0, len(text))
	for _, r := range text {
		if r < ' ' || r == 0x7f {
			r = '?'
		}
		clean = append(clean, r)
	}
	return fmt.Sprintf("%.*s", maxInstance, string(clean))
}
