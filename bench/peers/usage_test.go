package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// writeStat writes /proc/PID/stat of a process that only has what usage reads.
func writeStat(t *testing.T, root string, pid int, name string, parent, utime, stime, cutime, cstime, pages int) {
	t.Helper()
	dir := filepath.Join(root, strconv.Itoa(pid))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4194560 1 2 3 4 %d %d %d %d 20 0 1 0 100 1000000 %d 18446744073709551615\n",
		pid, name, parent, utime, stime, cutime, cstime, pages)
	if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUsageOfTree(t *testing.T) {
	root := t.TempDir()
	writeStat(t, root, 10, "master", 1, 1, 2, 30, 40, 5)
	writeStat(t, root, 11, "a worker) S 99", 10, 100, 200, 0, 0, 7)
	writeStat(t, root, 12, "worker", 10, 300, 400, 0, 0, 11)
	writeStat(t, root, 13, "helper", 12, 1000, 2000, 0, 0, 13)
	writeStat(t, root, 14, "stranger", 1, 50000, 50000, 0, 0, 1000)
	got, err := usageOf(root, 10)
	if err != nil {
		t.Fatal(err)
	}
	want := Usage{CPU: (3 + 70 + 300 + 700 + 3000) * 10 * time.Millisecond, RSS: 36 * int64(os.Getpagesize()), Processes: 4}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := usageOf(root, 99); err == nil {
		t.Error("a process that is not there has used something")
	}
}

func TestParseStatRefuses(t *testing.T) {
	for _, text := range []string{"", "1 S 0", "1 (a) S 0 1", "x (a) S 1 1 1 0 -1 1 1 2 3 4 1 1 1 1 20 0 1 0 100 1 1 1", "1 (a) S 1 1 1 0 -1 1 1 2 3 4 x 1 1 1 20 0 1 0 100 1 1 1"} {
		if s, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, s)
		}
	}
}

// TestUsageOfRealProcess holds a shell's two children, which are busy, against what the kernel says of them at their end.
func TestUsageOfRealProcess(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `for i in 1 2; do timeout 0.5 sh -c 'while :; do :; done' & done; wait; read line`)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	most := 0
	var got Usage
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
		if got, err = usageOf("/proc", cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
		most = max(most, got.Processes)
		if most > 1 && got.Processes == 1 { // the children have ended
			break
		}
	}
	stdin.Close()
	_ = cmd.Wait() // read fails at the end of its input
	if most < 3 {
		t.Errorf("%d processes, want the shell and two children at least", most)
	}
	if total := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(); got.CPU <= 0 || total-got.CPU > 100*time.Millisecond || got.CPU-total > 100*time.Millisecond {
		t.Errorf("%v used, and the kernel says %v", got.CPU, total)
	}
}
