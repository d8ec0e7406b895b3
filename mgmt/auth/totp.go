package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"net/url"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

// RFC 6238 with what every app reads: SHA-1, 30 s, six digits.
const (
	totpPeriod = 30 * time.Second
	totpBytes  = 20
	// totpDrift is by how many periods clocks may differ.
	totpDrift     = 1
	recoveryCodes = 10
	recoveryBytes = 10
)

func totpSecretName(user string) string { return "totp/" + user }

// TOTP is a second factor that is not asked for yet.
type TOTP struct {
	Secret string `json:"secret" doc:"base32, for an authenticator app"`
	URL    string `json:"url" doc:"the same as otpauth: URL, for a QR code"`
}

// StartTOTP makes a secret for a second factor, in the place of one that was not confirmed.
func (s *Service) StartTOTP(tx *store.Tx, p *Principal) (TOTP, error) {
	u, err := userByID(tx, p.ID)
	switch {
	case err != nil:
		return TOTP{}, err
	case u.TOTP:
		return TOTP{}, problem.New(problem.Conflict, "a second factor is in use; take it away first")
	case u.Issuer != "":
		return TOTP{}, problem.New(problem.Conflict, "this account signs in through the identity provider; its second factor is there")
	}
	raw := make([]byte, totpBytes)
	_, _ = rand.Read(raw) // it never fails
	t := TOTP{Secret: base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)}
	t.URL = (&url.URL{Scheme: "otpauth", Host: "totp", Path: "/Gatehouse:" + u.Name, RawQuery: url.Values{
		"secret": {t.Secret}, "issuer": {"Gatehouse"},
	}.Encode()}).String()
	if err := s.o.Vault.Put(tx, totpSecretName(u.ID), []byte(t.Secret)); err != nil {
		return TOTP{}, err
	}
	return t, tx.Audit(p.Actor(), "user.totp_start", "users/"+u.Name, nil)
}

// ConfirmTOTP has the second factor asked for from now on, once a code shows that it works. It gives the recovery codes, each of which
// stands for one code.
func (s *Service) ConfirmTOTP(tx *store.Tx, p *Principal, code string) ([]string, error) {
	u, err := userByID(tx, p.ID)
	if err != nil {
		return nil, err
	}
	if u.TOTP {
		return nil, problem.New(problem.Conflict, "a second factor is in use already")
	}
	if ok, err := s.totpCode(tx, u, code); err != nil || !ok {
		if err == nil {
			err = problem.Field("body.code", nil, "is not the code of now; is the clock of the app right?")
		}
		return nil, err
	}
	var codes []string
	for range recoveryCodes {
		raw := make([]byte, recoveryBytes)
		_, _ = rand.Read(raw) // it never fails
		code := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
		codes = append(codes, code[:4]+"-"+code[4:8]+"-"+code[8:12]+"-"+code[12:])
		if _, err := tx.Exec("INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)", u.ID, hashSecret(code)); err != nil {
			return nil, err
		}
	}
	if _, err := tx.Exec("UPDATE users SET totp = 1, version = version + 1 WHERE id = $1", u.ID); err != nil {
		return nil, err
	}
	return codes, tx.Audit(p.Actor(), "user.totp", "users/"+u.Name, nil)
}

// RemoveTOTP takes the second factor away.
func (s *Service) RemoveTOTP(tx *store.Tx, p *Principal, code string) error {
	u, err := userByID(tx, p.ID)
	if err != nil {
		return err
	}
	if !u.TOTP {
		return problem.New(problem.Conflict, "there is no second factor")
	}
	if ok, err := s.secondFactor(tx, u, code); err != nil || !ok {
		if err == nil {
			err = problem.Field("body.code", nil, "is not the code of now, nor a recovery code")
		}
		return err
	}
	if err := s.clearTOTP(tx, u.ID); err != nil {
		return err
	}
	return tx.Audit(p.Actor(), "user.totp_remove", "users/"+u.Name, nil)
}

func (s *Service) clearTOTP(tx *store.Tx, user string) error {
	if _, err := tx.Exec("UPDATE users SET totp = 0, version = version + 1 WHERE id = $1", user); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM recovery_codes WHERE user_id = $1", user); err != nil {
		return err
	}
	return s.o.Vault.Delete(tx, totpSecretName(user))
}

// secondFactor takes a code of the app or a recovery code, each of which works once.
func (s *Service) secondFactor(tx *store.Tx, u *User, code string) (bool, error) {
	if ok, err := s.totpCode(tx, u, code); ok || err != nil {
		return ok, err
	}
	plain := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(code), "-", ""))
	n, err := tx.Exec("DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2", u.ID, hashSecret(plain))
	return n == 1, err
}

// totpCode holds a code against those of now, but for the ones up to the last that was used.
func (s *Service) totpCode(tx *store.Tx, u *User, code string) (bool, error) {
	secret, err := s.o.Vault.Get(tx, totpSecretName(u.ID))
	if err != nil {
		return false, err
	}
	now := tx.Now().Unix() / int64(totpPeriod.Seconds())
	for step := now - totpDrift; step <= now+totpDrift; step++ {
		want, err := totp.GenerateCode(string(secret), time.Unix(step*int64(totpPeriod.Seconds()), 0))
		if err != nil {
			return false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) != 1 {
			continue
		}
		n, err := tx.Exec("UPDATE users SET totp_step = $1 WHERE id = $2 AND totp_step < $1", step, u.ID)
		return n == 1, err
	}
	return false, nil
}
