package engine_test

import (
	"testing"
	"time"

	"gatehouse/rules/engine"
	"gatehouse/rules/program"
)

// TestWith shows that an engine compiles nothing again that the other has compiled, and keeps its own options.
func TestWith(t *testing.T) {
	p := policyOf(t, 1)
	start := time.Now()
	first := engine.New(engine.Options{})
	set, err := first.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	cold := time.Since(start)

	start = time.Now()
	second := first.With(engine.Options{Bounds: program.Bounds{Values: 1}})
	bounded, err := second.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	defer bounded.Close()
	if warm := time.Since(start); warm > cold {
		t.Errorf("the second engine took %v to load what the first had loaded in %v", warm, cold)
	}
	const request = "GET /?a=1&b=2 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n"
	if o := judge(t, set, []byte(request), false); len(o.Errors) > 0 {
		t.Errorf("the first engine has the bounds of the second: %v", o.Errors)
	}
	if o := judge(t, bounded, []byte(request), false); len(o.Errors) == 0 {
		t.Error("the second engine has no bounds")
	}
}
