package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modSecurityModule is where Debian puts the connector; nginx looks for modules in its own directory.
const modSecurityModule = "/usr/lib/nginx/modules/ngx_http_modsecurity_module.so"

func modSecurityMissing() string {
	if _, err := os.Stat(modSecurityModule); err != nil {
		return "libnginx-mod-http-modsecurity is not installed"
	}
	return ""
}

func modSecurityVersion(ctx context.Context, b *Built) string {
	version := versionOf("nginx", "-v")(ctx, b)
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Package} ${Version}, ", "libnginx-mod-http-modsecurity", "libmodsecurity3*").Output()
	if err != nil {
		return version + ", ModSecurity of unknown version"
	}
	return version + ", " + strings.TrimSuffix(string(out), ", ") + ", CRS " + CRSVersion
}

func startNginx(inspects bool) func(context.Context, setup) (*Process, error) {
	return func(ctx context.Context, s setup) (*Process, error) {
		module, inspect := "", ""
		if inspects {
			rules, err := writeRules(s.dir, s.Paranoia, "SecRequestBodyNoFilesLimit 1048576\n\nSecPcreMatchLimit 100000\n\nSecPcreMatchLimitRecursion 100000\n\nSecTmpDir "+s.dir+"\n\nSecDataDir "+s.dir+"\n\n")
			if err != nil {
				return nil, err
			}
			module = "load_module " + modSecurityModule + ";"
			inspect = "modsecurity on; modsecurity_rules_file " + rules + ";"
		}
		listen := s.address
		if s.TLS {
			listen += fmt.Sprintf(" ssl http2; ssl_certificate %s; ssl_certificate_key %s", s.certificate.chain, s.certificate.key)
		}
		user := ""
		if os.Geteuid() == 0 {
			user = "user root;"
		}
		config, err := s.write("nginx.conf", fmt.Sprintf(`%[1]s
%[2]s
worker_processes %[3]d;
daemon off;
pid %[4]s/nginx.pid;
error_log %[4]s/error.log error;
events { worker_connections 16384; }
http {
  access_log off;
  client_body_temp_path %[4]s/body; proxy_temp_path %[4]s/proxy; fastcgi_temp_path %[4]s/fastcgi;
  uwsgi_temp_path %[4]s/uwsgi; scgi_temp_path %[4]s/scgi;
  client_body_buffer_size 1m;
  client_max_body_size 10m;
  keepalive_requests 1000000000;
  upstream backend { server %[5]s; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen %[6]s;
    %[7]s
    location / { proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
  }
}
`, module, user, s.Workers, s.dir, s.Backend, listen, inspect))
		if err != nil {
			return nil, err
		}
		return s.run(ctx, nil, "nginx", "-e", filepath.Join(s.dir, "error.log"), "-c", config, "-p", s.dir)
	}
}

func startHAProxy(ctx context.Context, s setup) (*Process, error) {
	bind := s.address
	if s.TLS {
		bind += " ssl crt " + s.certificate.both + " alpn h2,http/1.1"
	}
	config, err := s.write("haproxy.cfg", fmt.Sprintf(`global
  nbthread %d
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  http-reuse always
frontend clients
  bind %s
  default_backend backends
backend backends
  server backend %s
`, s.Workers, bind, s.Backend))
	if err != nil {
		return nil, err
	}
	return s.run(ctx, nil, "haproxy", "-db", "-f", config)
}

func startCaddy(ctx context.Context, s setup) (*Process, error) {
	scheme, certificate := "http", ""
	if s.TLS {
		scheme, certificate = "https", fmt.Sprintf("tls %s %s", s.certificate.chain, s.certificate.key)
	}
	_, port, _ := strings.Cut(s.address, ":")
	config, err := s.write("Caddyfile", fmt.Sprintf(`{
  admin off
  auto_https off
  servers {
    protocols h1 h2
  }
}
%s://:%s {
  bind 127.0.0.1
  %s
  reverse_proxy %s
}
`, scheme, port, certificate, s.Backend))
	if err != nil {
		return nil, err
	}
	home := []string{"HOME=" + s.dir, "XDG_DATA_HOME=" + s.dir, "XDG_CONFIG_HOME=" + s.dir, fmt.Sprintf("GOMAXPROCS=%d", s.Workers)}
	return s.run(ctx, home, "caddy", "run", "--config", config, "--adapter", "caddyfile")
}
