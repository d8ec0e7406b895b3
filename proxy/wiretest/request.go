package wiretest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Request is a request as it reached the recorder.
type Request struct {
	Raw    []byte // every byte of it
	Method string
	Target string
	Fields []Field
	Body   []byte // without its framing
	Tunnel []byte // what came after the connection was upgraded
	// Problem says why the bytes are no canonical request; the other values are then what could be read. Nothing after
	// such a request is read.
	Problem string
	// Cut means that the connection ended inside the body: no server takes such a request for whole.
	Cut bool
}

// Field is a header field as it stands on the wire.
type Field struct{ Name, Value string }

// Values are the values of the fields of a name, in any case.
func (r *Request) Values(name string) []string {
	var list []string
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			list = append(list, f.Value)
		}
	}
	return list
}

// Bounds of what the recorder reads.
const (
	maxHead = 128 << 10
	maxBody = 4 << 20
)

// errCut is the end of the connection inside a body.
var errCut = errors.New("the connection ends inside the body")

// keeper keeps what is read through it.
type keeper struct {
	r    *bufio.Reader
	kept bytes.Buffer
}

// line reads a line that ends with CRLF and has neither of the two inside.
func (k *keeper) line() (string, error) {
	line, err := k.r.ReadBytes('\n')
	k.kept.Write(line)
	switch {
	case err == io.EOF:
		return "", errCut
	case err != nil:
		return "", err
	case k.kept.Len() > maxHead+maxBody:
		return "", errors.New("too long")
	case len(line) < 2 || line[len(line)-2] != '\r':
		return "", fmt.Errorf("the line %.40q ends with a bare LF", line)
	case bytes.IndexByte(line, '\r') != len(line)-2:
		return "", fmt.Errorf("the line %.40q has a CR inside", line)
	}
	return string(line[:len(line)-2]), nil
}

func (k *keeper) bytes(n int) ([]byte, error) {
	b := make([]byte, n)
	n, err := io.ReadFull(k.r, b)
	k.kept.Write(b[:n])
	if err != nil {
		err = errCut
	}
	return b[:n], err
}

// readRequest reads one request and accepts the canonical form alone: what every reader of HTTP/1.1 takes for the same.
// It gives nil at the end of the connection.
func readRequest(from *bufio.Reader) *Request {
	k := &keeper{r: from}
	r := &Request{}
	err := r.read(k)
	r.Raw = k.kept.Bytes()
	if len(r.Raw) == 0 {
		return nil
	}
	switch {
	case errors.Is(err, errCut):
		r.Cut = true
	case err != nil:
		r.Problem = err.Error()
	}
	return r
}

func (r *Request) read(k *keeper) error {
	if err := r.readLine(k); err != nil {
		return err
	}
	for {
		line, err := k.line()
		if err != nil {
			return fmt.Errorf("header: %v", err)
		}
		if line == "" {
			break
		}
		field, err := parseField(line)
		if err != nil {
			return err
		}
		r.Fields = append(r.Fields, field)
	}
	return r.readBody(k)
}

func (r *Request) readLine(k *keeper) error {
	line, err := k.line()
	if err != nil {
		return fmt.Errorf("request line: %v", err)
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		return fmt.Errorf("the request line %.80q has not three parts with one space between", line)
	}
	r.Method, r.Target = parts[0], parts[1]
	switch {
	case !isToken(r.Method):
		return fmt.Errorf("the method %.40q is no token", r.Method)
	case r.Method == "CONNECT" || r.Method == "TRACE":
		return fmt.Errorf("the method is %s", r.Method)
	case parts[2] != "HTTP/1.1":
		return fmt.Errorf("the version is %.40q", parts[2])
	case r.Target[:min(1, len(r.Target))] != "/" && (r.Target != "*" || r.Method != "OPTIONS"):
		return fmt.Errorf("the target %.80q is not in origin form", r.Target)
	}
	for _, c := range []byte(r.Target) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return fmt.Errorf("the target %.80q has the byte %#x in it", r.Target, c)
		}
	}
	return nil
}

func parseField(line string) (Field, error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !isToken(name) {
		return Field{}, fmt.Errorf("the header field %.80q has no name that is a token", line)
	}
	value, ok = strings.CutPrefix(value, " ")
	if !ok && value != "" {
		return Field{}, fmt.Errorf("the header field %.80q has no space after its colon", line)
	}
	if strings.Trim(value, " \t") != value {
		return Field{}, fmt.Errorf("the value of the header field %.80q begins or ends with white space", line)
	}
	for _, c := range []byte(value) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return Field{}, fmt.Errorf("the header field %.80q has the byte %#x in it", line, c)
		}
	}
	return Field{name, value}, nil
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// framingName reduces a name to letters and digits and reports whether it is then one of those that frame and route: some
// servers take other marks, or none, for the dash.
func framingName(name string) bool {
	letters := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, strings.ToLower(name))
	return letters == "contentlength" || letters == "transferencoding" || letters == "host"
}

// readBody reads the body.
func (r *Request) readBody(k *keeper) error {
	for _, f := range r.Fields {
		if framingName(f.Name) && !strings.EqualFold(f.Name, "Content-Length") && !strings.EqualFold(f.Name, "Transfer-Encoding") && !strings.EqualFold(f.Name, "Host") {
			return fmt.Errorf("the header field %s can be taken for another", f.Name)
		}
	}
	hosts, lengths, codings := r.Values("Host"), r.Values("Content-Length"), r.Values("Transfer-Encoding")
	switch {
	case len(hosts) != 1 || hosts[0] == "" || strings.ContainsAny(hosts[0], " \t,/@"):
		return fmt.Errorf("the host is %q", hosts)
	case len(lengths)+len(codings) > 1:
		return fmt.Errorf("the length is given more than once: Content-Length %q, Transfer-Encoding %q", lengths, codings)
	case len(codings) == 1 && codings[0] != "chunked":
		return fmt.Errorf("Transfer-Encoding is %q", codings[0])
	case len(codings) == 1:
		return r.readChunks(k)
	case len(lengths) == 0:
		return nil
	}
	if (r.Method == "GET" || r.Method == "HEAD") && lengths[0] == "0" {
		return fmt.Errorf("%s has a Content-Length without a body", r.Method)
	}
	n, err := strconv.Atoi(lengths[0])
	if err != nil || strconv.Itoa(n) != lengths[0] || n < 0 || n > maxBody {
		return fmt.Errorf("Content-Length is %q", lengths[0])
	}
	r.Body, err = k.bytes(n)
	return err
}

func (r *Request) readChunks(k *keeper) error {
	for {
		line, err := k.line()
		if err != nil {
			return fmt.Errorf("chunk: %w", err)
		}
		n, err := strconv.ParseUint(line, 16, 32)
		if err != nil || n > maxBody || len(r.Body)+int(n) > maxBody || line[0] == '0' && line != "0" {
			return fmt.Errorf("the chunk's size is %.40q", line)
		}
		if n == 0 {
			break
		}
		part, err := k.bytes(int(n))
		r.Body = append(r.Body, part...)
		if err != nil {
			return err
		}
		if err := k.empty(); err != nil {
			return fmt.Errorf("after a chunk: %w", err)
		}
	}
	if err := k.empty(); err != nil {
		return fmt.Errorf("after the last chunk: %w", err)
	}
	return nil
}

// empty reads an empty line.
func (k *keeper) empty() error {
	line, err := k.line()
	if err == nil && line != "" {
		err = fmt.Errorf("%.80q comes", line)
	}
	return err
}
