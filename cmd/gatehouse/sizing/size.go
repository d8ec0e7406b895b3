package sizing

import (
	"fmt"
	"math"
	"time"
)

// Need is what a fleet has to carry, and of what it is made.
type Need struct {
	Rate  float64 // requests a second of the whole fleet
	VCPU  int     // of one instance
	Load  float64 // share of its processors that an instance may use, 0 to 1
	Zones int     // over which instances are spread evenly; one of them may be lost
}

// Check says what is wrong with a need.
func (n Need) Check() error {
	switch {
	case n.Rate <= 0 || math.IsInf(n.Rate, 0) || math.IsNaN(n.Rate):
		return fmt.Errorf("the rate %v is not a number of requests a second", n.Rate)
	case n.VCPU < 1:
		return fmt.Errorf("%d vCPU are no instance", n.VCPU)
	case !(n.Load > 0 && n.Load <= 1):
		return fmt.Errorf("the load %v is not above 0 and at most 1", n.Load)
	case n.Zones < 1:
		return fmt.Errorf("%d zones are none", n.Zones)
	}
	return nil
}

// Fleet is how many instances it takes.
type Fleet struct {
	PerVCPU     float64 // requests a second that one vCPU carries when it does nothing else
	PerInstance float64 // requests a second of an instance at the load that it may have
	Needed      int     // instances that carry the rate
	Instances   int     // so that as many are left when a zone is lost: the same number in each zone
}

// Size says how many instances carry a need, if a request takes cpu of processor time.
func (n Need) Size(cpu time.Duration) Fleet {
	var f Fleet
	f.PerVCPU = float64(time.Second) / float64(max(cpu, 1))
	f.PerInstance = f.PerVCPU * float64(n.VCPU) * n.Load
	f.Needed = int(math.Ceil(n.Rate / f.PerInstance))
	if n.Zones == 1 {
		f.Instances = f.Needed
		return f
	}
	perZone := (f.Needed + n.Zones - 2) / (n.Zones - 1)
	f.Instances = perZone * n.Zones
	return f
}
