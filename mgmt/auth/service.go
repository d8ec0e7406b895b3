// Package auth holds who may use the manager: users, their sessions, API tokens, sign-in through an identity provider, and roles.
//
// Invariant: what proves who somebody is (passwords, tokens, links, cookies) is in the database only as a hash that it cannot be read
// from, and is told once. Each request is judged by what the database says then: whoever is disabled or loses a role loses it at once.
package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"go.uber.org/zap"

	"gatehouse/mgmt/secret"
	"gatehouse/mgmt/store"
)

// Options are what a Service works on.
type Options struct {
	DB     *store.DB
	Vault  *secret.Vault
	Logger *zap.Logger
	// ExternalURL is what browsers call the manager: scheme, host and port. Empty is https with whatever host a request names.
	ExternalURL string
	OIDC        OIDC
	// Hashing is the cost of passwords; zero is the default.
	Hashing Hashing
}

// Service says who may use the manager. It is safe for concurrent use.
type Service struct {
	o      Options
	db     *store.DB
	log    *zap.Logger
	site   *url.URL // nil: not given
	hasher *hasher
	idp    provider
	decoy  string // hash of a password that nobody has
	plain  bool   // http, on a loopback address: cookies go without TLS
}

// New makes a Service.
func New(o Options) (*Service, error) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	s := &Service{o: o, db: o.DB, log: o.Logger.Named("auth"), hasher: newHasher(o.Hashing)}
	if o.ExternalURL != "" {
		u, err := url.Parse(o.ExternalURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("api.external_url: %q is not a URL such as https://manager.example.com", o.ExternalURL)
		}
		if s.plain = u.Scheme == "http"; s.plain && !loopback(u.Hostname()) {
			return nil, fmt.Errorf("api.external_url: %s is not https, and no loopback address: sessions would go in clear", o.ExternalURL)
		}
		s.site = u
	}
	if o.OIDC.Issuer != "" {
		if err := o.OIDC.check(s.site); err != nil {
			return nil, err
		}
	}
	s.decoy = s.hasher.hash(newSecret())
	return s, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// newSecret is 256 random bits as text.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// hashSecret is what the database has of a secret. Such a hash needs no salt: the secret has 256 random bits (80 of recovery codes).
func hashSecret(secret string) string {
	h := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(h[:])
}

// Client is where a request comes from.
type Client struct {
	Address string // IPv6 by /64, which is what one client has
	Agent   string
	Cookie  string // of a session, if there is one
}

const maxAgent = 200

// Client reads where a request comes from.
func (s *Service) Client(r *http.Request) Client {
	c := Client{Agent: r.UserAgent(), Cookie: s.cookie(r)}
	if len(c.Agent) > maxAgent {
		c.Agent = c.Agent[:maxAgent]
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	c.Address = host
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap().WithZone("")
		c.Address = ip.String()
		if ip.Is6() {
			prefix, _ := ip.Prefix(64) // it has so many bits
			c.Address = prefix.String()
		}
	}
	return c
}

// Times of what is kept.
const (
	sessionIdle  = 30 * time.Minute
	sessionLife  = 12 * time.Hour
	usedEvery    = time.Minute // how exact "last used" is
	linkLife     = 15 * time.Minute
	oidcLife     = 10 * time.Minute
	longestToken = 366 * 24 * time.Hour
)
