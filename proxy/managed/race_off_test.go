//go:build !race

package managed

const raceDetector = false
