package sizing

import (
	"math"
	"testing"
	"time"
)

func TestSize(t *testing.T) {
	for _, tt := range []struct {
		name              string
		need              Need
		cpu               time.Duration
		needed, instances int
	}{
		{"one zone", Need{Rate: 10_000, VCPU: 2, Load: 0.5, Zones: 1}, 100 * time.Microsecond, 1, 1},
		{"just too much for one", Need{Rate: 10_001, VCPU: 2, Load: 0.5, Zones: 1}, 100 * time.Microsecond, 2, 2},
		{"two zones double it", Need{Rate: 40_000, VCPU: 2, Load: 0.5, Zones: 2}, 100 * time.Microsecond, 4, 8},
		{"three zones", Need{Rate: 40_000, VCPU: 2, Load: 0.5, Zones: 3}, 100 * time.Microsecond, 4, 6},
		{"three zones, an odd number", Need{Rate: 50_000, VCPU: 2, Load: 0.5, Zones: 3}, 100 * time.Microsecond, 5, 9},
		{"hardly anything", Need{Rate: 1, VCPU: 64, Load: 1, Zones: 3}, time.Microsecond, 1, 3},
		{"nothing measured", Need{Rate: 1000, VCPU: 1, Load: 1, Zones: 1}, 0, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.need.Size(tt.cpu)
			if got.Needed != tt.needed || got.Instances != tt.instances {
				t.Errorf("%d instances, %d needed; want %d, %d", got.Instances, got.Needed, tt.instances, tt.needed)
			}
			left := got.Instances
			if tt.need.Zones > 1 {
				left -= got.Instances / tt.need.Zones
			}
			if float64(left)*got.PerInstance < tt.need.Rate {
				t.Errorf("%d instances are left when a zone is lost: they carry %v of %v", left, float64(left)*got.PerInstance, tt.need.Rate)
			}
		})
	}
}

func TestNeedsThatAreNone(t *testing.T) {
	good := Need{Rate: 1, VCPU: 1, Load: 1, Zones: 1}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func(*Need){
		func(n *Need) { n.Rate = 0 },
		func(n *Need) { n.Rate = math.NaN() },
		func(n *Need) { n.Rate = math.Inf(1) },
		func(n *Need) { n.VCPU = 0 },
		func(n *Need) { n.Load = 0 },
		func(n *Need) { n.Load = 1.1 },
		func(n *Need) { n.Load = math.NaN() },
		func(n *Need) { n.Zones = 0 },
	} {
		bad := good
		change(&bad)
		if bad.Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
