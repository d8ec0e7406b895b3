package proxy_test

import (
	"time"

	"gatehouse/proxy"
)

type proxyOptions = proxy.Options

// quietWatch keeps the watcher from reloading by itself.
func quietWatch(o *proxyOptions) { o.WatchInterval = time.Hour }
