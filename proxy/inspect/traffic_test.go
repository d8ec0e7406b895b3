package inspect

import (
	"testing"

	"gatehouse/proxy/config"
	"gatehouse/rules/media"
)

// TestTakes compares the code with the table of traffic in the documentation.
func TestTakes(t *testing.T) {
	want := map[config.Traffic][]media.Kind{
		config.TrafficAuto:      {media.None, media.Form, media.Multipart, media.JSON, media.NDJSON, media.XML, media.Text, media.Binary},
		config.TrafficAPI:       {media.None, media.Form, media.Multipart, media.JSON, media.NDJSON, media.XML},
		config.TrafficGRPC:      {media.GRPC},
		config.TrafficWebSocket: {media.None},
	}
	for traffic, kinds := range want {
		taken := map[media.Kind]bool{}
		for _, k := range kinds {
			taken[k] = true
		}
		for k := media.None; k <= media.Unknown; k++ {
			if takes(traffic, k) != taken[k] {
				t.Errorf("traffic %s, kind %v: got %v, want %v", traffic, k, !taken[k], taken[k])
			}
		}
	}
}
