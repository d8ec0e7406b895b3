// Package config is the typed configuration: the file, the API bodies and the revision are these structs.
//
// Invariant: a Config that Load returned without problems is complete (every default is filled in), consistent
// (every name it refers to exists) and is not changed afterwards.
package config

import "gatehouse/rules/policy"

// Config is one configuration, as read from a file, several files or the manager.
type Config struct {
	Version      int           `yaml:"version,omitempty" json:"version,omitempty"`
	Listeners    []Listener    `yaml:"listeners,omitempty" json:"listeners,omitempty"`
	Admin        Admin         `yaml:"admin,omitempty" json:"admin,omitempty"`
	Certificates []Certificate `yaml:"certificates,omitempty" json:"certificates,omitempty"`
	Upstreams    []Upstream    `yaml:"upstreams,omitempty" json:"upstreams,omitempty"`
	Applications []Application `yaml:"applications,omitempty" json:"applications,omitempty"`
	Policies     []Policy      `yaml:"policies,omitempty" json:"policies,omitempty"`
	Lists        []List        `yaml:"lists,omitempty" json:"lists,omitempty"`
	Groups       []Group       `yaml:"groups,omitempty" json:"groups,omitempty"`
	Logs         Logs          `yaml:"logs,omitempty" json:"logs,omitempty"`
}

// Listener is one address that takes traffic.
type Listener struct {
	Name          string   `yaml:"name,omitempty" json:"name,omitempty"`
	Address       string   `yaml:"address,omitempty" json:"address,omitempty"`
	Protocol      Protocol `yaml:"protocol,omitempty" json:"protocol,omitempty"`
	H2C           bool     `yaml:"h2c" json:"h2c"`
	ProxyProtocol PROXY    `yaml:"proxy_protocol,omitempty" json:"proxy_protocol,omitempty"`
	// TrustedHops counts our own proxies in front: the client is that many addresses from the right of
	// X-Forwarded-For. Nil until defaults are filled in: 1, or 0 with proxy_protocol required.
	TrustedHops *int `yaml:"trusted_hops,omitempty" json:"trusted_hops,omitempty"`
	// TrustedProxies are TCP peers whose PROXY or forwarding headers count. Empty means private ranges.
	TrustedProxies []Prefix         `yaml:"trusted_proxies" json:"trusted_proxies"`
	HealthPath     string           `yaml:"health_path,omitempty" json:"health_path,omitempty"`
	Timeouts       ListenerTimeouts `yaml:"timeouts,omitempty" json:"timeouts,omitempty"`
}

// ListenerTimeouts bound what a client may take.
type ListenerTimeouts struct {
	Header   Duration `yaml:"header,omitempty" json:"header,omitempty"`
	Idle     Duration `yaml:"idle,omitempty" json:"idle,omitempty"`
	BodyIdle Duration `yaml:"body_idle,omitempty" json:"body_idle,omitempty"`
}

// Admin is the listener for metrics, health and status.
type Admin struct {
	Address string `yaml:"address,omitempty" json:"address,omitempty"`
}

// Certificate is a TLS certificate chain and its key, from files or from a secret store.
type Certificate struct {
	Name     string `yaml:"name,omitempty" json:"name,omitempty"`
	CertFile string `yaml:"cert_file,omitempty" json:"cert_file,omitempty"`
	KeyFile  string `yaml:"key_file,omitempty" json:"key_file,omitempty"`
	Secret   string `yaml:"secret,omitempty" json:"secret,omitempty"`
}

// Upstream is where clean traffic goes.
type Upstream struct {
	Name string `yaml:"name,omitempty" json:"name,omitempty"`
	// URL is the short form of URLs; filling in defaults moves it there.
	URL           string           `yaml:"url,omitempty" json:"url,omitempty"`
	URLs          []string         `yaml:"urls,omitempty" json:"urls,omitempty"`
	AllowLoopback bool             `yaml:"allow_loopback" json:"allow_loopback"`
	TLS           UpstreamTLS      `yaml:"tls,omitempty" json:"tls,omitempty"`
	Timeouts      UpstreamTimeouts `yaml:"timeouts,omitempty" json:"timeouts,omitempty"`
	Balance       Balance          `yaml:"balance,omitempty" json:"balance,omitempty"`
	Health        Health           `yaml:"health,omitempty" json:"health,omitempty"`
}

// UpstreamTLS says how an https upstream is verified.
type UpstreamTLS struct {
	// VerifyName is url_host, request_host, or a DNS name that the certificate must carry.
	VerifyName string `yaml:"verify_name,omitempty" json:"verify_name,omitempty"`
	CAFile     string `yaml:"ca_file,omitempty" json:"ca_file,omitempty"`
	// ClientCertificate names an entry of certificates.
	ClientCertificate string `yaml:"client_certificate,omitempty" json:"client_certificate,omitempty"`
}

// UpstreamTimeouts bound what an upstream may take.
type UpstreamTimeouts struct {
	Connect   Duration `yaml:"connect,omitempty" json:"connect,omitempty"`
	FirstByte Duration `yaml:"first_byte,omitempty" json:"first_byte,omitempty"`
	Idle      Duration `yaml:"idle,omitempty" json:"idle,omitempty"`
}

// Health is an active health check; without a path only passive health (failed connections) counts.
type Health struct {
	Path      string   `yaml:"path,omitempty" json:"path,omitempty"`
	Interval  Duration `yaml:"interval,omitempty" json:"interval,omitempty"`
	Healthy   int      `yaml:"healthy,omitempty" json:"healthy,omitempty"`     // consecutive successes, default 2
	Unhealthy int      `yaml:"unhealthy,omitempty" json:"unhealthy,omitempty"` // consecutive failures, default 3
}

// Application is a protected site.
type Application struct {
	Name              string            `yaml:"name,omitempty" json:"name,omitempty"`
	Owner             string            `yaml:"owner,omitempty" json:"owner,omitempty"`
	Hosts             []string          `yaml:"hosts,omitempty" json:"hosts,omitempty"`
	Mode              Mode              `yaml:"mode,omitempty" json:"mode,omitempty"`
	Policy            string            `yaml:"policy,omitempty" json:"policy,omitempty"`
	OnInspectionError OnInspectionError `yaml:"on_inspection_error,omitempty" json:"on_inspection_error,omitempty"`
	Replies           Replies           `yaml:"replies,omitempty" json:"replies,omitempty"`
	// Upstream is a URL or the name of an upstream; filling in defaults turns a URL into a named upstream.
	Upstream   string             `yaml:"upstream,omitempty" json:"upstream,omitempty"`
	Routes     []Route            `yaml:"routes,omitempty" json:"routes,omitempty"`
	Exclusions []policy.Exclusion `yaml:"exclusions,omitempty" json:"exclusions,omitempty"`
	Rules      []policy.Rule      `yaml:"rules,omitempty" json:"rules,omitempty"`
}

// Replies say what a refused client sees.
type Replies struct {
	Contact  string `yaml:"contact" json:"contact"`
	HTMLFile string `yaml:"html_file" json:"html_file"`
	Status   int    `yaml:"status,omitempty" json:"status,omitempty"`
}

// Route is a path and methods to an upstream, with the traffic that it carries and its limits.
type Route struct {
	Path    string    `yaml:"path,omitempty" json:"path,omitempty"`
	Match   Match     `yaml:"match,omitempty" json:"match,omitempty"`
	Methods []string  `yaml:"methods" json:"methods"`
	Traffic []Traffic `yaml:"traffic,omitempty" json:"traffic,omitempty"`
	// Upstream is a URL or the name of an upstream; filling in defaults turns a URL into a named upstream and gives
	// an empty one the application's. It stays empty only beside a redirect.
	Upstream     string       `yaml:"upstream,omitempty" json:"upstream,omitempty"`
	Mode         Mode         `yaml:"mode,omitempty" json:"mode,omitempty"` // empty = the application's
	Rewrite      Rewrite      `yaml:"rewrite,omitempty" json:"rewrite,omitempty"`
	EncodedSlash EncodedSlash `yaml:"encoded_slash,omitempty" json:"encoded_slash,omitempty"`
	Body         Body         `yaml:"body,omitempty" json:"body,omitempty"`
	Response     Response     `yaml:"response,omitempty" json:"response,omitempty"`
}

// Rewrite changes the request on its way to the upstream, or answers it with a redirect.
type Rewrite struct {
	StripPrefix   string            `yaml:"strip_prefix,omitempty" json:"strip_prefix,omitempty"`
	ReplacePrefix string            `yaml:"replace_prefix,omitempty" json:"replace_prefix,omitempty"`
	Host          string            `yaml:"host,omitempty" json:"host,omitempty"`
	SetHeaders    map[string]string `yaml:"set_headers,omitempty" json:"set_headers,omitempty"`
	RemoveHeaders []string          `yaml:"remove_headers,omitempty" json:"remove_headers,omitempty"`
	Redirect      *Redirect         `yaml:"redirect,omitempty" json:"redirect,omitempty"`
}

// Redirect answers with a Location instead of forwarding.
type Redirect struct {
	To     string `yaml:"to,omitempty" json:"to,omitempty"`
	Status int    `yaml:"status,omitempty" json:"status,omitempty"`
}

// Body limits what a request body may be and how much of it is inspected. Sizes are in bytes, after decoding for
// InspectBytes, and as received for MaxBytes, beyond which no body may be found to decode either.
type Body struct {
	MaxBytes     Size     `yaml:"max_bytes,omitempty" json:"max_bytes,omitempty"`
	InspectBytes Size     `yaml:"inspect_bytes,omitempty" json:"inspect_bytes,omitempty"`
	Oversize     Oversize `yaml:"oversize,omitempty" json:"oversize,omitempty"`
}

// Response says whether and how replies are inspected (phases 3 and 4).
type Response struct {
	Inspect      bool     `yaml:"inspect" json:"inspect"`
	InspectBytes Size     `yaml:"inspect_bytes,omitempty" json:"inspect_bytes,omitempty"`
	Types        []string `yaml:"types,omitempty" json:"types,omitempty"`
}

// Policy is a reusable set of rule settings.
type Policy struct {
	Name    string        `yaml:"name,omitempty" json:"name,omitempty"`
	Extends string        `yaml:"extends" json:"extends"`
	CRS     policy.CRS    `yaml:"crs,omitempty" json:"crs,omitempty"`
	Rules   []policy.Rule `yaml:"rules,omitempty" json:"rules,omitempty"`
	// SecLang is the text itself; loading fills it from SecLangFile.
	SecLang     string             `yaml:"seclang,omitempty" json:"seclang,omitempty"`
	SecLangFile string             `yaml:"seclang_file,omitempty" json:"seclang_file,omitempty"`
	Exclusions  []policy.Exclusion `yaml:"exclusions,omitempty" json:"exclusions,omitempty"`
	RateLimits  []RateLimit        `yaml:"rate_limits,omitempty" json:"rate_limits,omitempty"`
}

// RateLimit bounds how often one key may be seen: Burst requests at once, and Limit in the long run.
type RateLimit struct {
	Name    string   `yaml:"name,omitempty" json:"name,omitempty"`
	Path    string   `yaml:"path,omitempty" json:"path,omitempty"`
	Methods []string `yaml:"methods,omitempty" json:"methods,omitempty"`
	// Key lists what is counted together: client, or a target such as "form:email" (ParseRateKey).
	Key   []string `yaml:"key,omitempty" json:"key,omitempty"`
	Limit Rate     `yaml:"limit,omitempty" json:"limit,omitempty"`
	Burst int      `yaml:"burst,omitempty" json:"burst,omitempty"` // 0 until defaults are filled in: the count of Limit
}

// List is a named set of client addresses. Loading fills Addresses from File.
type List struct {
	Name      string      `yaml:"name,omitempty" json:"name,omitempty"`
	Addresses []ListEntry `yaml:"addresses,omitempty" json:"addresses,omitempty"`
	File      string      `yaml:"file,omitempty" json:"file,omitempty"`
	URL       string      `yaml:"url,omitempty" json:"url,omitempty"` // fetched by the manager
}

// ListEntry is one prefix of a list; the short form is the prefix alone.
type ListEntry struct {
	Address Prefix      `yaml:"address" json:"address"`
	Expires policy.Date `yaml:"expires,omitempty" json:"expires,omitempty"`
}

// Group is a set of gateways that serve the same applications on the same listeners. Only the manager uses it.
type Group struct {
	Name         string   `yaml:"name,omitempty" json:"name,omitempty"`
	Listeners    []string `yaml:"listeners,omitempty" json:"listeners,omitempty"`
	Applications []string `yaml:"applications,omitempty" json:"applications,omitempty"`
	Rollout      Rollout  `yaml:"rollout,omitempty" json:"rollout,omitempty"`
}

// Rollout is how a revision reaches a group: each stage is a count, a percentage or "all".
type Rollout struct {
	Stages []Stage  `yaml:"stages,omitempty" json:"stages,omitempty"`
	Soak   Duration `yaml:"soak,omitempty" json:"soak,omitempty"`
}

// Logs says where the records go. The process's own log goes to stderr.
type Logs struct {
	Access Sink `yaml:"access,omitempty" json:"access,omitempty"`
	Events Sink `yaml:"events,omitempty" json:"events,omitempty"`
}

// Sink is stdout, none, or a file with rotation; the short form is the word or the path alone.
type Sink struct {
	To      string `yaml:"to,omitempty" json:"to,omitempty"`
	MaxSize Size   `yaml:"max_size,omitempty" json:"max_size,omitempty"` // a file is rotated beyond it, default 100 MiB
	Keep    int    `yaml:"keep,omitempty" json:"keep,omitempty"`         // rotated files that stay, default 5
}
