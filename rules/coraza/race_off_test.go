//go:build !race

package coraza_test

// regressionSample is how many regression tests there are to one that runs: all do.
const regressionSample = 1
