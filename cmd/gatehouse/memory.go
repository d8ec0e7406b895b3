package main

import (
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"go.uber.org/zap"
)

// memoryShare of the memory that the process may have is Go's. The rest is for what the kernel counts too: buffers of
// sockets, and pages of the files that bodies spill to.
const memoryShare = 0.8

// limitMemory sets GOMEMLIMIT where the operator has not: near the memory limit of the cgroup the garbage collector works
// harder, so that the kernel need not end the process. How many threads run at once the runtime takes from the cgroup
// itself.
func limitMemory(log *zap.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare))
	switch {
	case err != nil:
		log.Warn("the cgroup's memory limit is not known, so GOMEMLIMIT is not set", zap.Error(err))
	case limit != math.MaxInt64:
		log.Info("memory is limited", zap.Int64("bytes", limit))
	}
}
