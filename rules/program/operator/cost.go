package operator

import "gatehouse/rules/program/byteset"

// Costly is what operators implement that may take longer than in proportion to a value.
type Costly interface {
	// Cost is how much longer deciding a value may take, in bytes that another operator decides meanwhile. It is found in
	// time linear in the value. Mask is byteset.Of(value).
	Cost(value string, mask byteset.Set) int
}

// Cost implements Costly. For each quote inside a string that does not end it, because a backslash is in front or it is
// doubled, libinjection searches the whole string anew. Whether it comes to them, only it knows.
func (detectSQLi) Cost(value string, mask byteset.Set) int {
	if !mask.Intersects(sqlQuotes) || !mayBeSQLi(value, mask) {
		return 0
	}
	escaped := 0
	for i := range len(value) {
		c := value[i]
		if (c == '"' || c == '\'' || c == '`') && (i > 0 && value[i-1] == '\\' || i+1 < len(value) && value[i+1] == c) {
			escaped++
		}
	}
	return escaped * (len(value) / searchSpeed)
}

// searchSpeed is how many bytes are searched in the time in which one is decided otherwise.
const searchSpeed = 3
