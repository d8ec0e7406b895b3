package shop

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxParts is how many parts of a multipart form an upload takes.
const maxParts = 200

// UploadedPart is what the shop says about one part of an upload. The content itself is read, hashed and dropped.
type UploadedPart struct {
	Field       string `json:"field"`
	File        string `json:"file,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Bytes       int64  `json:"bytes"`
	SHA256      string `json:"sha256"`
}

type uploadPage struct {
	Parts   []UploadedPart
	Problem string
}

func (s *Shop) uploadForm(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "upload", view{Title: "Send a picture", Page: uploadPage{}})
}

// upload reads a multipart form part by part, in constant memory whatever its size.
func (s *Shop) upload(w http.ResponseWriter, r *http.Request) {
	parts, err := readParts(r)
	status, page := http.StatusOK, uploadPage{Parts: parts}
	if err != nil {
		status, page.Problem = http.StatusBadRequest, err.Error()
	}
	switch {
	case !wantsJSON(r):
		s.render(w, r, status, "upload", view{Title: "Send a picture", Page: page})
	case err != nil:
		writeProblem(w, status, err.Error())
	default:
		writeJSON(w, status, struct {
			Parts []UploadedPart `json:"parts"`
		}{parts})
	}
}

func readParts(r *http.Request) ([]UploadedPart, error) {
	reader, err := r.MultipartReader()
	if err != nil {
		return nil, fmt.Errorf("the form could not be read: %w", err)
	}
	parts := []UploadedPart{}
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) && len(parts) > 0 {
			return parts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the form could not be read: %w", err)
		}
		if len(parts) == maxParts {
			return nil, fmt.Errorf("the form has more than %d parts", maxParts)
		}
		hash := sha256.New()
		n, err := io.Copy(hash, part)
		if err != nil {
			return nil, fmt.Errorf("the form could not be read: %w", err)
		}
		parts = append(parts, UploadedPart{
			Field: part.FormName(), File: part.FileName(), ContentType: part.Header.Get("Content-Type"),
			Bytes: n, SHA256: hex.EncodeToString(hash.Sum(nil)),
		})
	}
}
