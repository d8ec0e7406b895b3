package rulestest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/rules"
)

// Request is a request as it is written in a test file.
type Request struct {
	Method, Target, Protocol string
	Headers                  []rules.Header
	Body                     []byte
}

// parseRequest reads a request line, headers and, after a blank line, a body. Lines may end in LF or CRLF. What the package
// comment says is added, is; defaults are the headers of the file's headers section.
func parseRequest(text string, defaults []rules.Header) (*Request, error) {
	head, body := splitMessage(text)
	lines := strings.Split(head, "\n")
	method, rest, ok := strings.Cut(strings.TrimSpace(lines[0]), " ")
	if !ok {
		return nil, fmt.Errorf("%q is not a request line; write METHOD TARGET HTTP/1.1", lines[0])
	}
	r := &Request{Method: method, Target: strings.TrimSpace(rest), Protocol: "HTTP/1.1", Body: []byte(body)}
	short := true
	if i := strings.LastIndexByte(r.Target, ' '); i >= 0 && strings.HasPrefix(r.Target[i+1:], "HTTP/") {
		r.Target, r.Protocol, short = r.Target[:i], r.Target[i+1:], false
	}
	headers, err := parseHeaders(lines[1:])
	if err != nil {
		return nil, err
	}
	r.Headers = headers
	var missing []rules.Header
	for _, h := range defaults {
		if _, has := r.header(h.Name); !has {
			missing = append(missing, h)
		}
	}
	r.Headers = append(missing, r.Headers...)
	if _, has := r.header("Host"); short && !has {
		r.Headers = append([]rules.Header{{Name: "Host", Value: "localhost"}}, r.Headers...)
	}
	r.complete()
	return r, nil
}

// complete adds or corrects nothing but a missing Content-Length.
func (r *Request) complete() {
	if len(r.Body) == 0 {
		return
	}
	_, length := r.header("Content-Length")
	_, coding := r.header("Transfer-Encoding")
	if !length && !coding {
		r.Headers = append(r.Headers, rules.Header{Name: "Content-Length", Value: strconv.Itoa(len(r.Body))})
	}
}

func (r *Request) header(name string) (string, bool) {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value, true
		}
	}
	return "", false
}

// Wire is the request as HTTP/1.1 bytes.
func (r *Request) Wire() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\n", r.Method, r.Target, r.Protocol)
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	b.WriteString("\r\n")
	b.Write(r.Body)
	return b.Bytes()
}

// splitMessage cuts at the first blank line.
func splitMessage(text string) (head, body string) {
	start := 0
	for {
		i := strings.IndexByte(text[start:], '\n')
		if i < 0 {
			return strings.TrimRight(text, "\r"), ""
		}
		line := strings.TrimSuffix(text[start:start+i], "\r")
		if line == "" && start > 0 {
			return strings.ReplaceAll(strings.TrimRight(text[:start], "\r\n"), "\r\n", "\n"), text[start+i+1:]
		}
		start += i + 1
	}
}

func parseHeaders(lines []string) ([]rules.Header, error) {
	var headers []rules.Header
	for _, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%q is not a header; write Name: value, and a blank line before the body", line)
		}
		headers = append(headers, rules.Header{Name: name, Value: strings.Trim(value, " \t")})
	}
	return headers, nil
}

func parseResponse(text string) (*Response, error) {
	head, body := splitMessage(text)
	lines := strings.Split(head, "\n")
	fields := strings.Fields(lines[0])
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/") {
		return nil, fmt.Errorf("%q is not a status line; write HTTP/1.1 200 OK", lines[0])
	}
	status, err := strconv.Atoi(fields[1])
	if err != nil {
		return nil, errors.New("the status of the response is not a number")
	}
	headers, err := parseHeaders(lines[1:])
	if err != nil {
		return nil, err
	}
	return &Response{Response: rules.Response{Status: status, Protocol: fields[0], Headers: headers}, Body: []byte(body)}, nil
}
