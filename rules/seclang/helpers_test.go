package seclang_test

import "regexp"

var fromFile = regexp.MustCompile(`@pmFromFile ([a-z])`)

// inDirectory points @pmFromFile at the directory that the module keeps its data files in.
func inDirectory(text string) string {
	return fromFile.ReplaceAllString(text, `@pmFromFile @owasp_crs/$1`)
}
