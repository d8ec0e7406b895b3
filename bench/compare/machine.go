package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"gatehouse/bench/report"
)

// thisMachine is what can be read of the machine; what cannot stays empty.
func thisMachine() report.Machine {
	memory, _, _ := strings.Cut(field("/proc/meminfo", "MemTotal", ":"), " ") // kB
	kilobytes, _ := strconv.ParseInt(memory, 10, 64)
	m := report.Machine{
		MemoryMiB: kilobytes / 1024, CPU: field("/proc/cpuinfo", "model name", ":"), Cores: runtime.NumCPU(), System: strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
	}
	m.Kernel = "Linux " + content("/proc/sys/kernel/osrelease")
	m.Load = strings.Join(strings.Fields(content("/proc/loadavg"))[:3], " ")
	return m
}

func content(file string) string {
	text, err := os.ReadFile(file)
	if err != nil || len(text) == 0 {
		return "unknown unknown unknown"
	}
	return strings.TrimSpace(string(text))
}

// field is the value of a line NAME SEPARATOR VALUE, the first of that name.
func field(file, name, separator string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, found := strings.Cut(lines.Text(), separator)
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// folder is the name of a result's directory: amd-epyc-2-cores-2027-01-15.
func folder(r *report.Result) string {
	cpu := strings.ToLower(strings.NewReplacer("(R)", "", "(TM)", "", " Processor", "", " CPU", "").Replace(r.Machine.CPU))
	cpu = strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(cpu, "-"), "-")
	return fmt.Sprintf("%s-%d-cores-%s", cpu, r.Machine.Cores, r.Date.Format("2006-01-02"))
}
