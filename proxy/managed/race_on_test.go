//go:build race

package managed

// raceDetector makes everything ten times as slow: of long lists of kinds, every eighth is enough to find a race.
const raceDetector = true
