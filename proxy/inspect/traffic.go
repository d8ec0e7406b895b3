package inspect

import (
	"gatehouse/proxy/config"
	"gatehouse/rules/media"
)

// takes says which kinds of request body a traffic carries (the table in docs/configuration.md).
func takes(t config.Traffic, k media.Kind) bool {
	switch t {
	case config.TrafficAuto:
		return k != media.GRPC && k != media.Unknown
	case config.TrafficAPI:
		return k == media.None || k == media.Form || k == media.Multipart || k == media.JSON || k == media.NDJSON || k == media.XML
	case config.TrafficGRPC:
		return k == media.GRPC
	case config.TrafficWebSocket:
		return k == media.None
	}
	return false
}
