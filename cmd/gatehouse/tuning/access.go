package tuning

import (
	"bytes"
	"encoding/json"
	"time"
)

// Access is what a report uses of an access record.
type Access struct {
	Time        time.Time `json:"time"`
	Application string    `json:"application"`
	Client      string    `json:"client"`
	Verdict     string    `json:"verdict"`
	Uninspected []struct {
		Cause string `json:"cause"`
		Bytes int64  `json:"bytes"`
	} `json:"uninspected"`
}

// AccessWriter takes lines of records and gives those that are access records to Take. It is meant for what is read
// besides: it never fails.
type AccessWriter struct {
	Take func(Access)
	rest []byte
}

// maxLine bounds what is kept of a line that does not end.
const maxLine = 1 << 20

func (w *AccessWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			if len(w.rest)+len(b) <= maxLine {
				w.rest = append(w.rest, b...)
			}
			return n, nil
		}
		w.line(append(w.rest, b[:i]...))
		w.rest, b = w.rest[:0], b[i+1:]
	}
}

// Flush takes a last line that has no end.
func (w *AccessWriter) Flush() {
	w.line(w.rest)
	w.rest = nil
}

func (w *AccessWriter) line(b []byte) {
	if !bytes.Contains(b[:min(len(b), 64)], []byte(`"access"`)) { // record is the first key
		return
	}
	var record struct {
		Record string `json:"record"`
		Access
	}
	if json.Unmarshal(b, &record) == nil && record.Record == "access" {
		w.Take(record.Access)
	}
}
