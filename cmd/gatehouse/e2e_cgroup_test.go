//go:build e2e

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// limitedGroup makes a cgroup with a memory limit, of version 1 or 2, and answers the file that takes processes into it.
func limitedGroup(t *testing.T, bytes int) (procs string) {
	t.Helper()
	root, limit := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err != nil {
		root, limit = filepath.Join(root, "memory"), "memory.limit_in_bytes"
	}
	dir := filepath.Join(root, fmt.Sprintf("gatehouse-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("cgroups cannot be made here: %v", err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	if err := os.WriteFile(filepath.Join(dir, limit), fmt.Append(nil, bytes), 0o644); err != nil {
		t.Skipf("memory cannot be limited here: %v", err)
	}
	return filepath.Join(dir, "cgroup.procs")
}

// testCgroup shows that the gateway keeps to the memory of its cgroup, and that GOMEMLIMIT goes before.
func (e *endToEnd) testCgroup(t *testing.T) {
	const limit = 512 << 20
	procs := limitedGroup(t, limit)
	for _, c := range []struct{ env, want string }{
		{"GOMEMLIMIT", fmt.Sprintf(`"memory is limited","bytes":%d`, limit*4/5)},
		{"GOMEMLIMIT=300MiB", fmt.Sprintf(`"memory is limited","bytes":%d`, 300<<20)},
	} {
		t.Run(c.env, func(t *testing.T) {
			// The shell enters the group, and becomes the gateway.
			script := filepath.Join(t.TempDir(), "limited")
			set := "export " + c.env
			if !strings.Contains(c.env, "=") {
				set = "unset " + c.env
			}
			text := "#!/bin/sh\nset -e\n" + set + "\necho $$ >" + procs + "\nexec " + e.binary + " \"$@\"\n"
			if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
			p := (&endToEnd{binary: script}).start(t, shopConfig, "-drain-delay", "0s")
			if log := p.stderr.String(); !strings.Contains(log, c.want) {
				t.Errorf("the log has no %s:\n%s", c.want, log)
			}
			if status, body := p.get(p.url + "/"); status != http.StatusOK {
				t.Errorf("a request is answered by %d %.100q", status, body)
			}
		})
	}
}
