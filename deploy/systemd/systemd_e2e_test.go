//go:build e2e

package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mostExposed is the score of systemd-analyze that no unit exceeds: 0 is fully confined, 10 not at all.
const mostExposed = "2.0"

// TestUnits has systemd check the units, as installed below a directory, and rate how confined they are.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("systemd-analyze is not installed: apt-get install systemd")
		}
		t.Skip("systemd-analyze is not installed: apt-get install systemd")
	}
	program := executable(t)
	for _, role := range []string{"gateway", "manager"} {
		t.Run(role, func(t *testing.T) {
			root := installed(t, program, role)
			unit := "/etc/systemd/system/gatehouse-" + role + ".service"
			// The targets of the unit are this host's.
			for _, target := range []string{"network-online.target", "multi-user.target", "sysinit.target", "basic.target", "shutdown.target"} {
				copyUnit(t, root, target)
			}
			verify := exec.CommandContext(t.Context(), analyze, "verify", "--root="+root, "--man=no", "gatehouse-"+role+".service")
			if out, err := verify.CombinedOutput(); err != nil || strings.Contains(string(out), "gatehouse-"+role) {
				t.Errorf("systemd-analyze verify: %v\n%s", err, out)
			}
			security := exec.CommandContext(t.Context(), analyze, "security", "--offline=true", "--threshold="+strings.ReplaceAll(mostExposed, ".", ""), filepath.Join(root, unit))
			out, err := security.CombinedOutput()
			if err != nil {
				t.Errorf("systemd-analyze security, more than %s: %v\n%s", mostExposed, err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			t.Log(lines[len(lines)-1])
		})
	}
}

// TestInstallKeeps installs over what an operator wrote.
func TestInstallKeeps(t *testing.T) {
	root, program := t.TempDir(), executable(t)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "./install", args...)
		cmd.Env = append(os.Environ(), "DESTDIR="+root)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(program); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	env := filepath.Join(root, "etc/gatehouse/gateway.env")
	if err := os.WriteFile(env, []byte("GATEHOUSE_MANAGER=https://manager.example.com:9443\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(program, "gateway"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if text, err := os.ReadFile(env); err != nil || !strings.Contains(string(text), "manager.example.com") {
		t.Errorf("gateway.env after a second install: %s %v", text, err)
	}
	for _, bad := range [][]string{{program, "proxy"}, {filepath.Join(root, "none")}, {}} {
		if out, err := run(bad...); err == nil || !strings.Contains(out, "install") && !strings.Contains(out, "make build") {
			t.Errorf("install %q: %v\n%s", bad, err, out)
		}
	}
}

// executable is a program to install.
func executable(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gatehouse")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// installed is a root with the service in it.
func installed(t *testing.T, program, role string) string {
	t.Helper()
	root := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "./install", program, role)
	cmd.Env = append(os.Environ(), "DESTDIR="+root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	for _, file := range []string{"usr/bin/gatehouse", "usr/lib/sysusers.d/gatehouse.conf", "etc/systemd/system/gatehouse-" + role + ".service"} {
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			t.Fatal(err)
		}
	}
	// The shell that reloads the gateway.
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(program, filepath.Join(root, "bin/sh")); err != nil {
		t.Fatal(err)
	}
	return root
}

// copyUnit copies a unit of this host, or makes one that does nothing.
func copyUnit(t *testing.T, root, name string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/usr/lib/systemd/system", name))
	if err != nil {
		text = []byte("[Unit]\nDescription=" + name + "\n")
	}
	file := filepath.Join(root, "usr/lib/systemd/system", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
