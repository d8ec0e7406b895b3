package shop

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Bounds of what a client may ask for.
const (
	maxDownload = 16 << 30 // bytes
	maxSlow     = 5 * time.Minute
)

// Echo is what /echo answers: the request as it arrived.
type Echo struct {
	Method        string      `json:"method"`
	Target        string      `json:"target"` // as on the request line
	Proto         string      `json:"proto"`
	Host          string      `json:"host"`
	Headers       http.Header `json:"headers"`
	ContentLength int64       `json:"content_length"` // -1 when it was not announced
	Body          EchoBody    `json:"body"`
	Trailers      http.Header `json:"trailers,omitempty"`
}

// EchoBody describes a request body.
type EchoBody struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // of the bytes as they arrived, hexadecimal
}

// echo answers any method with what it received.
func (s *Shop) echo(w http.ResponseWriter, r *http.Request) {
	hash := sha256.New()
	n, err := io.Copy(hash, r.Body)
	if err != nil {
		writeProblem(w, http.StatusBadRequest, "the body could not be read: "+err.Error())
		return
	}
	writeJSON(w, http.StatusOK, Echo{
		Method: r.Method, Target: r.RequestURI, Proto: r.Proto, Host: r.Host, Headers: r.Header,
		ContentLength: r.ContentLength, Trailers: r.Trailer,
		Body: EchoBody{Bytes: n, SHA256: hex.EncodeToString(hash.Sum(nil))},
	})
}

// status answers with the status of the path, 200 to 599.
func (s *Shop) status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		writeProblem(w, http.StatusBadRequest, "a status is a number from 200 to 599")
		return
	}
	if code == http.StatusNoContent || code == http.StatusNotModified {
		w.WriteHeader(code)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, "%d %s\n", code, http.StatusText(code))
}

// slow answers after ?ms= milliseconds.
func (s *Shop) slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.ParseInt(r.URL.Query().Get("ms"), 10, 64)
	if err != nil || ms < 0 || ms > maxSlow.Milliseconds() {
		writeProblem(w, http.StatusBadRequest, fmt.Sprintf("ms is a number from 0 to %d", maxSlow.Milliseconds()))
		return
	}
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintf(w, "answered after %d ms\n", ms)
	case <-r.Context().Done():
		writeProblem(w, http.StatusServiceUnavailable, "the shop is stopping")
	}
}

// download answers with ?bytes= bytes (1 MiB if it does not say), with Content-Length, HEAD and ranges, in constant
// memory.
func (s *Shop) download(w http.ResponseWriter, r *http.Request) {
	size := int64(1 << 20)
	if text := r.URL.Query().Get("bytes"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > maxDownload {
			writeProblem(w, http.StatusBadRequest, fmt.Sprintf("bytes is a number from 0 to %d", int64(maxDownload)))
			return
		}
		size = n
	}
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", `attachment; filename="download.bin"`)
	http.ServeContent(w, r, "", time.Time{}, NewDownload(size))
}

// NewDownload gives what /download?bytes=size answers with, so that a test can tell whether it arrived unharmed: the
// same 64 KiB that look random, over and over.
func NewDownload(size int64) io.ReadSeeker {
	block := make([]byte, 64<<10)
	source := rand.NewPCG(20, 26)
	for i := range block {
		block[i] = byte(source.Uint64())
	}
	return &repeated{block: block, size: size}
}

// repeated reads size bytes of the block, repeated.
type repeated struct {
	block  []byte
	size   int64
	offset int64
}

func (d *repeated) Read(p []byte) (int, error) {
	if d.offset >= d.size {
		return 0, io.EOF
	}
	from := d.block[d.offset%int64(len(d.block)):]
	n := copy(p, from[:min(int64(len(from)), d.size-d.offset)])
	d.offset += int64(n)
	return n, nil
}

func (d *repeated) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += d.offset
	case io.SeekEnd:
		offset += d.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start of the download")
	}
	d.offset = offset
	return offset, nil
}
