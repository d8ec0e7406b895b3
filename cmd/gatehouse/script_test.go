package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain lets the test binary be run as the commands of the scripts, and looks for goroutines that tests left behind.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){
		"gatehouse":    func() { os.Exit(run()) },
		"testupstream": func() { os.Exit(runUpstream(os.Args[1:])) },
		"docscurl":     func() { os.Exit(runCurl(os.Args[1:])) },
	})
}

// leakChecked runs tests and fails if goroutines are left.
type leakChecked struct{ tests *testing.M }

func (l leakChecked) Run() int {
	code := l.tests.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		os.Stderr.WriteString("goroutines are left: " + err.Error() + "\n")
		return 1
	}
	return 0
}

// TestScripts runs testdata/script/*.txtar: command lines with what they print. go test -run TestScripts -update writes
// the golden texts in them.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", Cmds: scriptCommands(), RequireExplicitExec: true, RequireUniqueNames: true, UpdateScripts: *updateScripts,
		Setup: func(e *testscript.Env) error {
			// Under the race detector a program sleeps for a second before it ends; there are many here.
			e.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
			return nil
		},
	})
}
