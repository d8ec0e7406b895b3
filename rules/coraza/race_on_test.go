//go:build race

package coraza_test

// regressionSample is how many regression tests there are to one that runs: with the race detector they take too long.
const regressionSample = 25
