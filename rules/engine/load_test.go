package engine_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/rules"
	"gatehouse/rules/compile"
	"gatehouse/rules/compile/resolve"
	"gatehouse/rules/program"
)

func TestMemoryOfMany(t *testing.T) {
	c := compile.New()
	cache := new(resolve.Cache)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var all []*program.Program
	before := heap()
	for i := range 50 {
		p := policyOf(t, 1)
		p.Sources = append([]rules.Source{p.Sources[0], {Name: "own", Text: fmt.Sprintf(`SecRule TX:gatehouse_path "@streq /x%d" "id:%d,phase:1,pass,nolog,ctl:ruleRemoveTargetById=942100;ARGS:q%d"`+"\n", i, 110000+i, i)}}, p.Sources[1:]...)
		start := time.Now()
		r, err := cache.Resolve(p.Sources)
		if err != nil {
			t.Fatal(err)
		}
		mid := time.Now()
		x, u := c.Program(r, compile.Options{Data: cache.Data, Shared: func(s string) bool { return strings.HasPrefix(s, "crs-") }})
		if len(u) > 0 {
			t.Fatal(u)
		}
		all = append(all, x)
		if i < 3 || i == 49 {
			t.Log(i, "resolve", mid.Sub(start), "compile", time.Since(mid), "heap", (heap()-before)>>10, "KiB")
		}
	}
	runtime.KeepAlive(all)
}
