package listener

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portHolder finds the process that listens on a TCP port by the tables under proc (normally /proc). It is best
// effort: other users' processes can only be seen by root, and systems without /proc have none to see.
func portHolder(proc string, port uint16) (pid int, name string, found bool) {
	sockets := map[string]bool{}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		listeningSockets(filepath.Join(proc, table), port, sockets)
	}
	if len(sockets) == 0 {
		return 0, "", false
	}
	processes, err := os.ReadDir(proc)
	if err != nil {
		return 0, "", false
	}
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(proc, process.Name(), "fd")
		files, err := os.ReadDir(dir)
		if err != nil {
			continue // not ours to see, or gone
		}
		for _, file := range files {
			target, err := os.Readlink(filepath.Join(dir, file.Name()))
			if err != nil || !sockets[target] {
				continue
			}
			comm, err := os.ReadFile(filepath.Join(proc, process.Name(), "comm"))
			if err != nil {
				comm = []byte("a process")
			}
			return pid, string(bytes.TrimSpace(comm)), true
		}
	}
	return 0, "", false
}

// listeningSockets adds the sockets that listen on port, as "socket:[inode]", from one table of the kernel.
func listeningSockets(path string, port uint16, sockets map[string]bool) {
	const listening = "0A"
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	suffix := ":" + strings.ToUpper(hex4(port))
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text()) // sl local rem st tx:rx tr:tm retrnsmt uid timeout inode
		if len(fields) > 9 && fields[3] == listening && strings.HasSuffix(fields[1], suffix) {
			sockets["socket:["+fields[9]+"]"] = true
		}
	}
}

// hex4 writes port with four hexadecimal digits.
func hex4(port uint16) string {
	s := strconv.FormatUint(uint64(port), 16)
	return strings.Repeat("0", 4-len(s)) + s
}
