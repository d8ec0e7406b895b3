package regress

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// Reply is what the tests' upstream answers.
type Reply struct {
	Status  int
	Headers [][2]string
	Body    []byte
}

// reflection is the JSON by which a test asks for a reply.
type reflection struct {
	Status      int               `json:"status"`
	Headers     map[string]string `json:"headers"`
	Body        string            `json:"body"`
	EncodedBody string            `json:"encodedBody"`
}

// Answer is the reply to a request: what a body sent to /reflect asks for, else an empty 200.
func Answer(path string, body []byte) Reply {
	reply := Reply{Status: http.StatusOK, Headers: [][2]string{{"Content-Type", "text/plain"}}}
	path, _, _ = strings.Cut(path, "?")
	if path != "/reflect" {
		return reply
	}
	var r reflection
	if err := json.Unmarshal(body, &r); err != nil {
		reply.Status = http.StatusBadRequest
		return reply
	}
	if r.Status != 0 {
		reply.Status = r.Status
	}
	for name, value := range r.Headers {
		if strings.EqualFold(name, "Content-Type") {
			reply.Headers[0][1] = value
		} else {
			reply.Headers = append(reply.Headers, [2]string{name, value})
		}
	}
	reply.Body = []byte(r.Body)
	if r.EncodedBody != "" {
		decoded, err := base64.StdEncoding.DecodeString(r.EncodedBody)
		if err != nil {
			reply.Status = http.StatusBadRequest
			return reply
		}
		reply.Body = decoded
	}
	return reply
}

// Upstream answers every request as Answer says.
func Upstream() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply := Answer(r.URL.Path, body)
		for _, h := range reply.Headers {
			w.Header().Set(h[0], h[1])
		}
		w.WriteHeader(reply.Status)
		// The client may be gone, which is for it to notice.
		_, _ = w.Write(reply.Body)
	})
}
