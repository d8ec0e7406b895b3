package mgmt

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/mgmt/auth"
	"gatehouse/proxy/config"
	"gatehouse/rules/revision"
)

// Settings are the file of gatehouse manager -config. Paths in it are relative to it.
type Settings struct {
	Version int `yaml:"version"`
	// Stack names the installation: what is signed for one is refused by the gateways of another.
	Stack string `yaml:"stack"`
	// Data is the directory of the SQLite file, the events and the master key.
	Data     string           `yaml:"data,file"`
	API      APISettings      `yaml:"api"`
	Gateways GatewaySettings  `yaml:"gateways"`
	Admin    AdminSettings    `yaml:"admin"`
	Database DatabaseSettings `yaml:"database"`
	// KeyFile holds the master key, which all secrets in the database are sealed with. Unless set, it is master.key in Data, made
	// at the first start.
	KeyFile string `yaml:"key_file,file"`
	// Bucket is where revisions are also written to, for gateways to boot from: s3://BUCKET/PREFIX or a directory.
	Bucket string        `yaml:"bucket"`
	OIDC   OIDCSettings  `yaml:"oidc"`
	Events EventSettings `yaml:"events"`
	Audit  AuditSettings `yaml:"audit"`
}

// APISettings are about the listener for people, scripts and browsers.
type APISettings struct {
	Address  string `yaml:"address"`
	CertFile string `yaml:"cert_file,file"`
	KeyFile  string `yaml:"key_file,file"`
	// ExternalURL is what browsers call the manager: scheme, host and port. Requests with a session must come from there.
	ExternalURL string `yaml:"external_url"`
}

// GatewaySettings are about the listener for gateways.
type GatewaySettings struct {
	Address string `yaml:"address"`
	// Names are the host names and addresses that gateways call the manager by; its certificate carries them.
	Names []string `yaml:"names"`
}

// AdminSettings are about the listener for metrics and health.
type AdminSettings struct {
	Address string `yaml:"address"`
}

// DatabaseSettings say which PostgreSQL; without a URL it is SQLite in Data.
type DatabaseSettings struct {
	URL string `yaml:"url"` // without a password
	// PasswordFile holds the password alone.
	PasswordFile string `yaml:"password_file,file"`
}

// OIDCSettings are about signing in through an identity provider.
type OIDCSettings struct {
	Issuer           string            `yaml:"issuer"`
	ClientID         string            `yaml:"client_id"`
	ClientSecretFile string            `yaml:"client_secret_file,file"`
	Claim            string            `yaml:"claim"` // whose values Roles maps
	Roles            map[string]string `yaml:"roles"` // value of the claim to role
}

// EventSettings bound what is kept of events: an hour and 64 MiB at least.
type EventSettings struct {
	Keep    config.Duration `yaml:"keep"`
	MaxSize config.Size     `yaml:"max_size"`
}

// AuditSettings are about the audit log.
type AuditSettings struct {
	// Anchor is where signed heads of the log are kept, out of reach of whoever can write the database: s3://BUCKET/PREFIX or an
	// append-only file.
	Anchor string `yaml:"anchor"`
}

// What is not written.
const (
	defaultStack       = "default"
	defaultAPI         = "127.0.0.1:9080"
	defaultGateways    = ":9443"
	defaultAdmin       = "127.0.0.1:9083"
	defaultEventsKeep  = config.Duration(30 * 24 * time.Hour)
	defaultEventsBytes = config.Size(10 << 30)
)

// LoadSettings reads, completes and checks the file. Its error is of type config.Problems.
func LoadSettings(file string) (Settings, error) {
	var s Settings
	d := config.ReadDocument(file, &s, "data: and api:")
	s.complete()
	s.check(d)
	s.Bucket, s.Audit.Anchor = resolve(file, s.Bucket), resolve(file, s.Audit.Anchor)
	return s, d.Err()
}

// resolve makes a path absolute that is not the URL of a bucket.
func resolve(file, path string) string {
	if path == "" || strings.Contains(path, "://") || filepath.IsAbs(path) {
		return path
	}
	abs, err := filepath.Abs(filepath.Join(filepath.Dir(file), path))
	if err != nil { // the working directory is gone
		return path
	}
	return abs
}

func (s *Settings) complete() {
	for _, d := range []struct {
		to    *string
		value string
	}{
		{&s.Stack, defaultStack},
		{&s.API.Address, defaultAPI},
		{&s.Gateways.Address, defaultGateways},
		{&s.Admin.Address, defaultAdmin},
	} {
		if *d.to == "" {
			*d.to = d.value
		}
	}
	if s.Version == 0 {
		s.Version = 1
	}
	if len(s.Gateways.Names) == 0 && loopback(s.Gateways.Address) {
		s.Gateways.Names = []string{"localhost", "127.0.0.1", "::1"}
	}
	if s.KeyFile == "" && s.Data != "" {
		s.KeyFile = filepath.Join(s.Data, "master.key")
	}
	if s.API.ExternalURL == "" && s.API.CertFile == "" && loopback(s.API.Address) {
		s.API.ExternalURL = "http://" + s.API.Address
	}
	if s.Events.Keep == 0 {
		s.Events.Keep = defaultEventsKeep
	}
	if s.Events.MaxSize == 0 {
		s.Events.MaxSize = defaultEventsBytes
	}
}

func (s *Settings) check(d *config.Document) {
	if s.Version != 1 {
		d.Problem("version", "%d is not supported; write 1", s.Version)
	}
	if !revision.ValidName(s.Stack) {
		d.Problem("stack", "%q is not a name; write letters, digits, dots, dashes and underscores, 63 at most", s.Stack)
	}
	if s.Data == "" {
		d.Problem("data", "is missing: the directory of the database and of the events")
	}
	for _, a := range []struct{ path, address string }{
		{"api.address", s.API.Address}, {"gateways.address", s.Gateways.Address}, {"admin.address", s.Admin.Address},
	} {
		if err := config.CheckListenAddress(a.address); err != nil {
			d.Problem(a.path, "%v", err)
		}
	}
	s.checkAPI(d)
	s.checkNames(d)
	s.checkDatabase(d)
	s.checkOIDC(d)
	s.checkEvents(d)
	for _, b := range []struct{ path, value string }{{"bucket", s.Bucket}, {"audit.anchor", s.Audit.Anchor}} {
		checkPlace(d, b.path, b.value)
	}
}

func (s *Settings) checkAPI(d *config.Document) {
	if (s.API.CertFile == "") != (s.API.KeyFile == "") {
		d.Problem("api", "cert_file and key_file belong together; one is missing")
	}
	if s.API.CertFile == "" && s.API.KeyFile == "" && !loopback(s.API.Address) {
		d.Problem("api.address", "%q can be reached from other hosts, where passwords and tokens must not travel in clear; set cert_file and key_file, or listen on 127.0.0.1", s.API.Address)
	}
	if s.API.ExternalURL == "" {
		d.Problem("api", "external_url is missing: what browsers call the manager, such as https://gatehouse.example.com")
		return
	}
	u, err := url.Parse(s.API.ExternalURL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		d.Problem("api.external_url", "%q is not a URL of scheme, host and port alone, such as https://gatehouse.example.com", s.API.ExternalURL)
	case u.Scheme == "https", u.Scheme == "http" && loopbackHost(u.Hostname()):
		s.API.ExternalURL = strings.TrimSuffix(s.API.ExternalURL, "/")
	default:
		d.Problem("api.external_url", "%q is not https, which only 127.0.0.1, ::1 and localhost may do without", s.API.ExternalURL)
	}
}

func (s *Settings) checkNames(d *config.Document) {
	if len(s.Gateways.Names) == 0 && !loopback(s.Gateways.Address) {
		d.Problem("gateways", "names is missing: the host names or addresses that gateways call the manager by")
	}
	for i, name := range s.Gateways.Names {
		if _, err := netip.ParseAddr(name); err != nil && !validHost(name) {
			d.Problem(fmt.Sprintf("gateways.names[%d]", i), "%q is not a host name or an IP address", name)
		}
	}
}

func (s *Settings) checkDatabase(d *config.Document) {
	if s.Database.URL == "" {
		if s.Database.PasswordFile != "" {
			d.Problem("database.password_file", "is of no use without database.url")
		}
		return
	}
	u, err := url.Parse(s.Database.URL)
	switch {
	case err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql":
		d.Problem("database.url", "is not a URL such as postgres://gatehouse@db.example.com/gatehouse") // not quoted: it may hold a password
	case hasPassword(u):
		d.Problem("database.url", "holds a password; put it into a file of its own and name that in database.password_file")
	}
}

// hasPassword also finds one among the parameters.
func hasPassword(u *url.URL) bool {
	_, inUser := u.User.Password()
	return inUser || u.Query().Has("password")
}

// The least that may be kept of events.
const (
	leastKeep   = config.Duration(time.Hour)
	leastEvents = config.Size(64 << 20)
)

func (s *Settings) checkEvents(d *config.Document) {
	if s.Events.Keep < leastKeep {
		d.Problem("events.keep", "%v is too short; write 1h or more", time.Duration(s.Events.Keep))
	}
	if s.Events.MaxSize < leastEvents {
		d.Problem("events.max_size", "is too small for a database; write 64MiB or more")
	}
}

func (s *Settings) checkOIDC(d *config.Document) {
	o := s.OIDC
	if o.Issuer == "" {
		if o.ClientID != "" || o.ClientSecretFile != "" || len(o.Roles) > 0 {
			d.Problem("oidc", "issuer is missing: the URL of the identity provider")
		}
		return
	}
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopbackHost(u.Hostname())) {
		d.Problem("oidc.issuer", "%q is not an https URL", o.Issuer)
	}
	if o.ClientID == "" {
		d.Problem("oidc", "client_id is missing: what the provider calls the manager")
	}
	if o.Claim == "" || len(o.Roles) == 0 {
		d.Problem("oidc", "claim and roles are missing: without them nobody could sign in")
	}
	for value, role := range o.Roles {
		if _, err := auth.ParseRole(role); err != nil {
			d.Problem("oidc.roles."+value, "%v", err)
		}
	}
}

// checkPlace refuses URLs of other kinds.
func checkPlace(d *config.Document, path, value string) {
	if scheme, _, ok := strings.Cut(value, "://"); ok && scheme != "s3" {
		d.Problem(path, "%q is neither s3://BUCKET/PREFIX nor a path", value)
	}
}

// provider is the identity provider, with its secret.
func (o OIDCSettings) provider() (auth.OIDC, error) {
	out := auth.OIDC{Issuer: o.Issuer, ClientID: o.ClientID, Claim: o.Claim, Roles: make(map[string]auth.Role, len(o.Roles))}
	for value, name := range o.Roles {
		role, err := auth.ParseRole(name)
		if err != nil {
			return out, fmt.Errorf("oidc.roles.%s: %w", value, err)
		}
		out.Roles[value] = role
	}
	if o.ClientSecretFile == "" {
		return out, nil
	}
	secret, err := os.ReadFile(o.ClientSecretFile)
	if err != nil {
		return out, fmt.Errorf("oidc.client_secret_file: %w", err)
	}
	out.ClientSecret = strings.TrimSpace(string(secret))
	return out, nil
}

// databaseURL is that of the settings with the password.
func (s *Settings) databaseURL() (string, error) {
	if s.Database.URL == "" || s.Database.PasswordFile == "" {
		return s.Database.URL, nil
	}
	password, err := os.ReadFile(s.Database.PasswordFile)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(s.Database.URL)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(u.User.Username(), strings.TrimRight(string(password), "\r\n"))
	return u.String(), nil
}

// loopback says whether only this host can connect to a listener's address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopbackHost(host)
}

func loopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || host == "localhost"
}

// validHost says whether a name is one of DNS: letters, digits and dashes between dots.
func validHost(name string) bool {
	const longest, longestLabel = 253, 63
	if len(name) > longest {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > longestLabel || strings.Trim(label, "-") != label {
			return false
		}
		if strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
