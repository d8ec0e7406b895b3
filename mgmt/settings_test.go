package mgmt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/mgmt/auth"
)

func writeSettings(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manager.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const goodSettings = `version: 1
stack: shop
data: state
api: { address: ":9080", cert_file: api.pem, key_file: api.key, external_url: "https://gatehouse.example.com/" }
gateways: { address: ":9443", names: [manager.example.com, 192.0.2.7] }
database: { url: "postgres://gatehouse@db.example.com/gatehouse", password_file: password }
bucket: s3://revisions/shop
oidc: { issuer: "https://id.example.com", client_id: gatehouse, client_secret_file: secret, claim: groups, roles: { waf-admins: admin, everyone: viewer } }
events: { keep: 48h, max_size: 1GiB }
audit: { anchor: anchor.jsonl }
`

func TestSettings(t *testing.T) {
	file := writeSettings(t, goodSettings)
	s, err := LoadSettings(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file)
	for _, c := range []struct{ what, got, want string }{
		{"data", s.Data, filepath.Join(dir, "state")},
		{"key_file", s.KeyFile, filepath.Join(dir, "state", "master.key")},
		{"api.cert_file", s.API.CertFile, filepath.Join(dir, "api.pem")},
		{"api.external_url", s.API.ExternalURL, "https://gatehouse.example.com"},
		{"bucket", s.Bucket, "s3://revisions/shop"},
		{"audit.anchor", s.Audit.Anchor, filepath.Join(dir, "anchor.jsonl")},
		{"admin.address", s.Admin.Address, "127.0.0.1:9083"},
		{"events.keep", s.Events.Keep.String(), "48h"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, not %q", c.what, c.got, c.want)
		}
	}
	if err := os.WriteFile(s.OIDC.ClientSecretFile, []byte("of the client\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	provider, err := s.OIDC.provider()
	if err != nil || provider.ClientSecret != "of the client" || provider.Roles["waf-admins"] != auth.Admin || provider.Roles["everyone"] != auth.Viewer {
		t.Errorf("the identity provider is %+v, %v", provider, err)
	}
	if err := os.WriteFile(s.Database.PasswordFile, []byte("p@ss:/word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url, err := s.databaseURL()
	if want := "postgres://gatehouse:p%40ss%3A%2Fword@db.example.com/gatehouse"; err != nil || url != want {
		t.Errorf("the URL of the database is %q, %v", url, err)
	}
}

func TestSettingsRefused(t *testing.T) {
	local := "data: d\ngateways: { address: \"127.0.0.1:0\" }\n"
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", ":1:1: the file is empty"},
		{"unknown key", local + "datas: e\n", `:3:1: datas: is not a key; did you mean "data"?`},
		{"unknown key inside", local + "api: { adddress: x }\n", `:3:8: api.adddress: is not a key; did you mean "address"?`},
		{"short keep", local + "events: { keep: 59m }\n", ":3:17: events.keep: 59m0s is too short"},
		{"small size", local + "events: { max_size: 63MiB }\n", ":3:21: events.max_size: is too small"},
		{"wrong type", local + "events: { keep: 3 }\n", ":3:17: events.keep:"},
		{"twice", local + "data: e\n", ":3:1: data: is given twice"},
		{"no data", "gateways: { address: \"127.0.0.1:0\" }\n", "data: is missing"},
		{"API in clear", local + "api: { address: \":9080\", external_url: \"https://a.example\" }\n", `:3:17: api.address: ":9080" can be reached from other hosts`},
		{"half a certificate", local + "api: { cert_file: a.pem, external_url: \"https://a.example\" }\n", "cert_file and key_file belong together"},
		{"external URL in clear", local + "api: { external_url: \"http://a.example\" }\n", "is not https"},
		{"external URL with a path", local + "api: { external_url: \"https://a.example/x\" }\n", "scheme, host and port alone"},
		{"no external URL", local + "api: { cert_file: a.pem, key_file: a.key }\n", "external_url is missing"},
		{"no names", "data: d\n", "names is missing"},
		{"bad name", "data: d\ngateways: { names: [\"https://x\"] }\n", `gateways.names[0]: "https://x" is not a host name`},
		{"password in the URL", local + "database: { url: \"postgres://u:p@h/d\" }\n", "holds a password"},
		{"password as a parameter", local + "database: { url: \"postgres://u@h/d?password=p\" }\n", "holds a password"},
		{"another database", local + "database: { url: \"mysql://h/d\" }\n", "is not a URL such as postgres://"},
		{"another bucket", local + "bucket: gs://b\n", "is neither s3://"},
		{"bad stack", local + "stack: \"a b\"\n", "stack: \"a b\" is not a name"},
		{"client without issuer", local + "oidc: { client_id: a }\n", "issuer is missing"},
		{"issuer in clear", local + "oidc: { client_id: a, issuer: \"http://id.example\" }\n", "is not an https URL"},
		{"nobody may sign in", local + "oidc: { client_id: a, issuer: \"https://id.example\", claim: groups }\n", "claim and roles are missing"},
		{"unknown role", local + "oidc: { client_id: a, issuer: \"https://id.example\", claim: groups, roles: { x: admn } }\n", ":3:80: oidc.roles.x: "},
		{"another version", local + "version: 2\n", "2 is not supported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadSettings(writeSettings(t, c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, not %q", err, c.want)
			}
		})
	}
	_, err := LoadSettings(filepath.Join(t.TempDir(), "none.yaml"))
	if err == nil || !strings.Contains(err.Error(), "cannot be read") || strings.Contains(err.Error(), "missing") {
		t.Errorf("without a file: %v", err)
	}
}
