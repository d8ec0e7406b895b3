package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"

	"gatehouse/proxy/http1"
)

// replyStart is how every reply of HTTP/1 begins.
const replyStart = "HTTP/1."

// readHead reads one head and gives its lines, each with its CRLF, without the empty one at the end. The error is
// io.EOF if the connection ended before the first byte. What cannot become a head is refused as soon as it is here.
func readHead(br *bufio.Reader) (head string, lines int, err error) {
	var scan http1.Lines
	var before []byte // of a head that comes in several pieces
	for {
		if _, err := br.Peek(1); err != nil {
			if errors.Is(err, io.EOF) && len(before) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", 0, err
		}
		piece, _ := br.Peek(br.Buffered())
		all := piece
		if len(before) > 0 {
			all = append(before, piece...)
		}
		if start := all[:min(len(all), len(replyStart))]; !strings.HasPrefix(replyStart, string(start)) {
			return "", 0, notHTTP1(all)
		}
		n, complete, err := scan.Scan(all)
		switch {
		case err != nil:
			return "", 0, err
		case complete && n+len("\r\n") > maxReplyHeader, !complete && len(all) >= maxReplyHeader:
			return "", 0, ErrHeaderTooLarge
		case complete:
			_, _ = br.Discard(n + len("\r\n") - len(before))
			return string(all[:n]), scan.Count, nil
		case len(before) == 0:
			all = bytes.Clone(piece)
		}
		before = all
		_, _ = br.Discard(len(piece))
	}
}

// notHTTP1 names what came in place of a reply.
func notHTTP1(start []byte) error {
	line, _, _ := bytes.Cut(start, []byte("\n"))
	return fmt.Errorf("the reply does not begin with %s: %q", replyStart, line[:min(len(line), 20)])
}

// parseHead reads the lines of a head, each with its CRLF, into resp, all but its body. All strings of resp are parts of
// head. method is the request's.
func parseHead(head string, lines int, method string, resp *http.Response) error {
	line, rest := http1.CutLine(head)
	if err := parseStatusLine(line, resp); err != nil {
		return err
	}
	fields := http1.NewFields(lines - 1)
	for rest != "" {
		line, rest = http1.CutLine(rest)
		name, value, err := http1.ParseField(line)
		if err != nil {
			return fmt.Errorf("the reply's header: %w", err)
		}
		fields.Add(name, value)
	}
	resp.Header = fields.Header
	return frame(method, resp)
}

// parseStatusLine reads version, status and reason (RFC 9112, section 4). The space before a reason that is left out may
// be left out as well, as servers do.
func parseStatusLine(line string, resp *http.Response) error {
	const version = "HTTP/1.1"
	switch {
	case len(line) < len("HTTP/1.1 200"), line[len(version)] != ' ', len(line) > len("HTTP/1.1 200") && line[len("HTTP/1.1 200")] != ' ', !http1.IsText(line):
		return fmt.Errorf("the reply's first line is malformed: %.20q", line)
	case line[len(replyStart)] != '0' && line[len(replyStart)] != '1':
		return fmt.Errorf("the reply's version is %s", line[:len(version)])
	}
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = line[:len(version)], 1, int(line[len(replyStart)]-'0')
	resp.Status = line[len(version)+1:]
	code, ok := http1.ParseLength(resp.Status[:3])
	switch {
	case !ok:
		return fmt.Errorf("the reply's status is no number: %q", resp.Status[:3])
	case code < 100:
		return fmt.Errorf("status %03d is none of HTTP's", code)
	}
	resp.StatusCode = int(code)
	return nil
}

// frame finds how the body ends (RFC 9112, section 6.3), and whether the connection can be kept. Of two ways to read it,
// none is taken.
func frame(method string, resp *http.Response) error {
	length, err := contentLength(resp.Header)
	if err != nil {
		return err
	}
	chunked, err := isChunked(resp, length >= 0)
	if err != nil {
		return err
	}
	if chunked {
		resp.TransferEncoding = []string{"chunked"}
		delete(resp.Header, "Transfer-Encoding")
		if err := declareTrailer(resp); err != nil {
			return err
		}
	}
	resp.Close = resp.ProtoMinor == 0 || http1.HasToken(resp.Header["Connection"], "close")
	switch {
	case method == http.MethodHead: // it has the length that a GET would have
		resp.ContentLength = length
	case bodiless(method, resp):
		resp.ContentLength = 0
	default:
		resp.ContentLength = length
		resp.Close = resp.Close || !chunked && length < 0 // it ends with the connection
	}
	return nil
}

// bodiless reports whether a reply has no body whatever its header says (RFC 9110, section 6.4.1).
func bodiless(method string, resp *http.Response) bool {
	return method == http.MethodHead || resp.StatusCode < 200 || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified
}

// contentLength gives -1 without one. Several that are the same, byte for byte, become one (RFC 9110, section 8.6).
func contentLength(h http.Header) (int64, error) {
	values := h["Content-Length"]
	if len(values) == 0 {
		return -1, nil
	}
	for _, v := range values[1:] {
		if v != values[0] {
			return 0, errors.New("the reply has two values of Content-Length")
		}
	}
	if len(values) > 1 {
		h["Content-Length"] = values[:1]
	}
	n, ok := http1.ParseLength(values[0])
	if !ok {
		return 0, errors.New("the reply's Content-Length is no number of bytes")
	}
	return n, nil
}

// isChunked reports whether a body comes in chunks, the one transfer coding that there is.
func isChunked(resp *http.Response, hasLength bool) (bool, error) {
	codings := resp.Header["Transfer-Encoding"]
	switch {
	case len(codings) == 0:
		return false, nil
	case resp.ProtoMinor == 0:
		return false, errors.New("the reply has a Transfer-Encoding in HTTP/1.0")
	case hasLength:
		return false, errors.New("the reply has Content-Length beside Transfer-Encoding")
	case len(codings) > 1 || !http1.EqualFold(codings[0], "chunked"):
		return false, errors.New("the reply's Transfer-Encoding is not exactly chunked")
	}
	return true, nil
}

// declareTrailer takes the names of the Trailer field into resp.Trailer.
func declareTrailer(resp *http.Response) error {
	for _, value := range resp.Header["Trailer"] {
		for name := range strings.SplitSeq(value, ",") {
			name = textproto.CanonicalMIMEHeaderKey(strings.Trim(name, " \t"))
			switch {
			case name == "":
				continue
			case !http1.IsToken(name) || framesBody(name):
				return errors.New("the reply's Trailer names what cannot come after a body")
			case resp.Trailer == nil:
				resp.Trailer = http.Header{}
			}
			resp.Trailer[name] = nil
		}
	}
	delete(resp.Header, "Trailer")
	return nil
}

func framesBody(name string) bool {
	return name == "Content-Length" || name == "Transfer-Encoding" || name == "Trailer"
}
