package reply

import (
	"bytes"
	"encoding/json"
	"time"
)

// problem is the body in the form of RFC 9457. Its type is about:blank: the status and the title say all that a client
// may know.
func problem(p *Reply) []byte {
	doc := struct {
		Type     string `json:"type"`
		Title    string `json:"title"`
		Status   int    `json:"status"`
		Detail   string `json:"detail"`
		Instance string `json:"instance,omitempty"`
		Incident string `json:"incident,omitempty"`
		Time     string `json:"time"`
		Contact  string `json:"contact,omitempty"`
	}{
		Type: "about:blank", Title: statusText(p.Status), Status: p.Status, Detail: p.sentence(p.message()),
		Instance: p.Incident, Incident: p.Incident, Time: p.Time.Format(time.RFC3339), Contact: p.Contact,
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b) // escapes <, > and &, and takes any bytes
	_ = e.Encode(doc)        // a struct of strings and a number: no error
	return b.Bytes()
}
