package engine

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"

	"gatehouse/rules"
)

// Measured is what a number of requests took.
type Measured struct {
	Requests       int
	Mean, P99, Max time.Duration
	// CPU is what the whole process used for a request, garbage collection and all: others on the machine do not count.
	CPU             time.Duration
	Allocations     float64 // a request
	Bytes           float64 // allocated for a request
	Failed, Refused int
	worst           int // index of the slowest
}

// Measure judges requests in their order, n in all (again from the first if there are fewer), or as many as there is time for, but one at least.
func Measure(set rules.RuleSet, requests []Request, n int, within time.Duration) (Measured, error) {
	if len(requests) == 0 || n <= 0 {
		return Measured{}, fmt.Errorf("measure %d requests, %d times: nothing to do", len(requests), n)
	}
	var m Measured
	var total time.Duration
	times := make([]time.Duration, 0, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used, err := CPUTime()
	if err != nil {
		return Measured{}, err
	}
	start := time.Now()
	for i := range n {
		from := time.Now()
		if i > 0 && from.Sub(start) > within {
			break
		}
		result, err := requests[i%len(requests)].Judge(set)
		took := time.Since(from)
		times = append(times, took)
		if took > m.Max {
			m.Max, m.worst = took, i%len(requests)
		}
		if err != nil {
			m.Failed++
		} else if result.Interruption != nil {
			m.Refused++
		}
		total += took
	}
	now, err := CPUTime()
	if err != nil {
		return Measured{}, err
	}
	runtime.ReadMemStats(&after)
	m.CPU = (now - used) / time.Duration(len(times))
	m.Requests = len(times)
	m.Mean = total / time.Duration(len(times))
	m.Allocations = float64(after.Mallocs-before.Mallocs) / float64(len(times))
	m.Bytes = float64(after.TotalAlloc-before.TotalAlloc) / float64(len(times))
	slices.Sort(times)
	m.P99 = times[len(times)*99/100]
	return m, nil
}

// CPUTime is the time that the process used so far, in user and kernel mode.
func CPUTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read the time used: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
