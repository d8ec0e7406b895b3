package seclang

import (
	"strings"
	"testing"

	"github.com/corazawaf/coraza/v3"
)

func engineTakes(text string) error {
	_, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectives(text))
	return err
}

// TestNamesThatTheEngineKnows compares our tables of names with the engine's.
func TestNamesThatTheEngineKnows(t *testing.T) {
	checked := 0
	check := func(text string, want bool) {
		t.Helper()
		checked++
		if err := engineTakes(text); (err == nil) != want {
			t.Errorf("%s: the engine says %v, want it taken: %v", text, err, want)
		}
	}
	for name, selectable := range variableNames {
		check("SecRule "+name+` "@unconditionalMatch" "id:1,phase:2,pass"`, true)
		check("SecRule "+name+`:a "@unconditionalMatch" "id:1,phase:2,pass"`, selectable)
	}
	for name := range transformations {
		check(`SecRule ARGS "@unconditionalMatch" "id:1,phase:2,pass,t:`+name+`"`, true)
	}
	for name := range ctlNames {
		check(`SecRule ARGS "@unconditionalMatch" "id:1,phase:2,pass,ctl:`+name+`=1"`, true)
	}
	for name := range unsupported {
		checked++
		if err := engineTakes(name + " x"); err != nil && strings.Contains(err.Error(), "unknown directive") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name := range directives {
		checked++
		if err := engineTakes(name + " x"); err != nil && strings.Contains(err.Error(), "unknown directive") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name := range actionNames {
		checked++
		err := engineTakes(`SecAction "id:1,phase:2,` + name + `"`)
		if err != nil && strings.Contains(err.Error(), "invalid action") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name := range operators {
		checked++
		err := engineTakes(`SecRule ARGS "@` + name + ` x-` + name + `" "id:1,phase:2,pass"`)
		if err != nil && strings.Contains(err.Error(), "operator "+name+" not found") {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("SecNothing x", false)
	if checked < 300 {
		t.Errorf("%d names compared, want at least 300", checked)
	}
}
