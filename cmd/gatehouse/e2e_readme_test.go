//go:build e2e

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReadmeCommands follows README.md in a fresh copy of the checkout: make run, then the curl lines, with what the
// text promises of them. make test is this test's own caller and only looked for.
func TestReadmeCommands(t *testing.T) {
	for _, program := range []string{"make", "git", "curl"} {
		need(t, program, program)
	}
	for _, address := range []string{"127.0.0.1:8080", "127.0.0.1:9081", "127.0.0.1:9082"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatalf("the commands of README.md need this port to be free: %v", err)
		}
		l.Close()
	}
	dir := copyCheckout(t)
	shell := func(line string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "no_proxy=*")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	var curls []string
	ran := map[string]bool{}
	var output *lockedBuffer
	for _, line := range readmeCommands(t) {
		ran[line] = true
		switch {
		case line == "make run":
			output = makeRun(t, dir)
		case strings.HasPrefix(line, "make "):
			if out, err := shell(strings.Replace(line, "make ", "make -n ", 1)); err != nil || !strings.Contains(out, "./...") {
				t.Errorf("%s: %v\n%s", line, err, out)
			}
		case output == nil:
			t.Fatalf("%q stands before make run", line)
		default:
			curls = append(curls, line)
		}
	}
	for _, want := range []string{"make run", "make test"} {
		if !ran[want] {
			t.Fatalf("README.md has no %q", want)
		}
	}
	if len(curls) != 2 {
		t.Fatalf("README.md has %d curl lines, and the text is about two: %q", len(curls), curls)
	}
	// What the program prints to be tried is what README.md shows.
	for _, line := range curls {
		if !strings.Contains(output.String(), "  "+line+"\n") {
			t.Errorf("%q is not in what make run prints:\n%s", line, output.String())
		}
	}

	clean, err := shell(curls[0])
	if err != nil || !strings.Contains(clean, "HTTP/1.1 200 OK\r\n") {
		t.Errorf("the clean request: %v\n%.500s", err, clean)
	}
	refused, err := shell(curls[1])
	if err != nil || !strings.Contains(refused, "HTTP/1.1 403 Forbidden\r\n") {
		t.Errorf("the attack: %v\n%.500s", err, refused)
	}
	incident := regexp.MustCompile(`GH-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}`).FindString(refused)
	if incident == "" {
		t.Fatalf("the attack has no incident ID:\n%s", refused)
	}
	wait(t, "a line for the event", func() bool { return strings.Contains(output.String(), "BLOCK  "+incident) })

	// The commands in the text.
	var why string
	wait(t, "the event in the file", func() bool {
		why, err = shell("bin/gatehouse incident " + incident)
		return err == nil
	})
	if !strings.Contains(why, "exclusions:") || !strings.Contains(why, "anomaly score") {
		t.Errorf("gatehouse incident:\n%s", why)
	}
	if out, err := shell("bin/gatehouse version"); err != nil || !strings.HasPrefix(out, "gatehouse ") {
		t.Errorf("gatehouse version: %v\n%s", err, out)
	}
}

// copyCheckout copies the files of the checkout, committed or not, without what git ignores.
func copyCheckout(t *testing.T) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = projectDir
	names, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	dir := t.TempDir()
	copied := 0
	for _, name := range slices.Compact(strings.Split(strings.TrimRight(string(names), "\x00"), "\x00")) {
		from, to := filepath.Join(projectDir, name), filepath.Join(dir, name)
		info, err := os.Lstat(from)
		if errors.Is(err, os.ErrNotExist) { // deleted, and not committed yet
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !info.Mode().IsRegular() {
			t.Fatalf("%s is not a regular file", name)
		}
		if err := copyFile(from, to, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
		copied++
	}
	if copied < 100 {
		t.Fatalf("only %d files were copied", copied)
	}
	return dir
}

func copyFile(from, to string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// makeRun starts make run and waits until it says that it runs. At the end of the test it is interrupted as by Ctrl-C.
func makeRun(t *testing.T, dir string) *lockedBuffer {
	t.Helper()
	out := &lockedBuffer{}
	cmd := exec.Command("make", "run")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C goes to make and to what it runs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
			t.Errorf("interrupt make run: %v\n%s", err, out.String())
			return
		}
		select {
		case <-ended:
		case <-time.After(patience):
			t.Errorf("make run does not end at Ctrl-C: %v", syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
			<-ended
		}
	})
	begin := time.Now()
	for !strings.Contains(out.String(), "Ctrl-C ends") {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("make run ended: %v\n%s", err, out.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Since(begin) > 5*time.Minute { // a fresh machine compiles everything
			t.Fatalf("make run does not start:\n%s", out.String())
		}
	}
	t.Logf("make run took %v", time.Since(begin).Round(time.Second))
	return out
}
