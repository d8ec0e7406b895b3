package regress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"

	"gatehouse/rules"
)

// Parsed is a request read without judging it: for engines in process, whose rules look at what a strict reader would have
// refused before them.
type Parsed struct {
	Method, Target, Protocol string
	Headers                  []rules.Header
	Body                     []byte
}

// Parse reads the request line, headers and body, as far as there is one. A chunked body is decoded.
func Parse(wire []byte) (*Parsed, error) {
	head, body, found := bytes.Cut(wire, []byte("\r\n\r\n"))
	if !found {
		head, body, _ = bytes.Cut(wire, []byte("\n\n"))
	}
	lines := strings.Split(strings.TrimRight(string(head), "\r\n"), "\n")
	first := strings.TrimSuffix(lines[0], "\r")
	method, rest, ok := strings.Cut(first, " ")
	if !ok {
		return nil, fmt.Errorf("%q is not a request line", first)
	}
	p := &Parsed{Method: method, Target: rest, Body: body}
	if i := strings.LastIndexByte(rest, ' '); i >= 0 {
		p.Target, p.Protocol = rest[:i], rest[i+1:]
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if !ok {
			continue
		}
		p.Headers = append(p.Headers, rules.Header{Name: name, Value: strings.Trim(value, " \t")})
	}
	if strings.EqualFold(p.header("Transfer-Encoding"), "chunked") {
		decoded, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("chunked body: %w", err)
		}
		p.Body = decoded
		return p, nil
	}
	// Without a length there is no body; bytes beyond it belong to no request.
	length, err := strconv.Atoi(p.header("Content-Length"))
	if err != nil {
		length = 0
	}
	p.Body = body[:max(0, min(length, len(body)))]
	return p, nil
}

func (p *Parsed) header(name string) string {
	for _, h := range p.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}
