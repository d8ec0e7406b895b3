package main

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"
)

const (
	// gcPercent trades memory for time: what is alive is mostly compiled rules, which do not change.
	gcPercent = 200
	// memoryShare of the memory that the process may have is Go's. The rest is for what the kernel counts too: buffers of
	// sockets, and pages of the files that bodies spill to.
	memoryShare = 0.8
)

// tuneGC sets the garbage collector up where the operator has not, by GOGC and GOMEMLIMIT: it has room, and near the
// memory limit of the cgroup it works harder, so that the kernel need not end the process. How many threads run at once
// the runtime takes from the cgroup itself.
func tuneGC(log *zap.Logger) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare))
	switch {
	case err != nil:
		log.Warn("the cgroup's memory limit is not known, so GOMEMLIMIT is not set", zap.Error(err))
	case limit != math.MaxInt64:
		log.Info("memory is limited", zap.Int64("bytes", limit))
	}
}
