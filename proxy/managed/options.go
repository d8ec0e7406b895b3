package managed

import (
	"time"

	"go.uber.org/zap"

	"gatehouse/proxy"
	"gatehouse/proxy/config"
	"gatehouse/rules/fleetapi"
	"gatehouse/rules/revision"
)

// Join is how a gateway without a certificate gets one.
type Join string

// The ways to join.
const (
	JoinToken       Join = "token"       // with a join token, once
	JoinCertificate Join = "certificate" // with a certificate that was made beforehand
)

// Options are what a Gateway needs. StateDir and Logger are required, and managers, a bucket, or both.
type Options struct {
	StateDir string
	Logger   *zap.Logger
	Version  string

	// Managers are URLs of managers of one installation, tried in turn; each is https://host:port.
	Managers []string
	Join     Join
	// TokenFile holds the join token. CertificateFile and KeyFile are the certificate of JoinCertificate.
	TokenFile                string
	CertificateFile, KeyFile string
	// ManagerCA is a PEM file of the authorities that the manager's certificate is of, or sha256:HEX, the hash of the trust
	// bundle. RevisionKeys is a file of the public keys that revisions are signed with.
	ManagerCA    string
	RevisionKeys string

	// Stack and Group are those of a gateway that no manager has told; empty is what the manager says.
	Stack, Group string
	// Bucket is asked beside the manager, or alone; nil is none. BucketName is for messages.
	Bucket     revision.Depot
	BucketName string

	// SecretKeyFile holds the group's key, with which secrets of revisions are opened; empty asks the manager for it.
	SecretKeyFile string

	// Proxy are the options of the gateway itself, without Load, Managed and Version.
	Proxy proxy.Options
	// Config adjusts how the configuration of a revision is loaded, without Sealed and Revision.
	Config config.Options

	Times Times
}

// Times are those of the protocol, for tests. Zero values are the real ones.
type Times struct {
	Wait       time.Duration // of a poll; 50 s
	Ping       time.Duration // after silence on a connection; 20 s
	PingAnswer time.Duration // until the connection counts as lost; 10 s
	Age        time.Duration // of a connection; 10 min, a fifth less to a fifth more
	Least      time.Duration // between polls that did not wait; 1 s
	Backoff    time.Duration // the first; 1 s, twice as long each time, up to MaxBackoff
	MaxBackoff time.Duration // 30 s
	Bucket     time.Duration // between looks at the bucket; 60 s, 15 s without a manager
	Report     time.Duration // between reports until the manager says; 30 s
	Retry      time.Duration // of what was refused; 5 min
	Second     time.Duration // of traffic on trial; 1 s
	Events     time.Duration // between batches of events; 1 s
}

// aloneBucket is how long a gateway without a manager waits between looks at the bucket: it hears of revisions nowhere else.
const aloneBucket = 15 * time.Second

// defaultTrial is how long a revision is on trial that no manager speaks of.
const defaultTrial = 60 * time.Second

func (t Times) complete() Times {
	for _, d := range []struct {
		of  *time.Duration
		def time.Duration
	}{
		{&t.Wait, fleetapi.LongestWait},
		{&t.Ping, 20 * time.Second},
		{&t.PingAnswer, 10 * time.Second},
		{&t.Age, 10 * time.Minute},
		{&t.Least, time.Second},
		{&t.Backoff, time.Second},
		{&t.MaxBackoff, 30 * time.Second},
		{&t.Bucket, time.Minute},
		{&t.Report, 30 * time.Second},
		{&t.Retry, 5 * time.Minute},
		{&t.Second, time.Second},
		{&t.Events, time.Second},
	} {
		if *d.of <= 0 {
			*d.of = d.def
		}
	}
	return t
}
