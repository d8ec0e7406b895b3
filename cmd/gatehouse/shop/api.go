package shop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxJSON is how much JSON the API reads, in bytes. It is more than a gateway lets through by default, so that limits
// are seen to act at the gateway.
const maxJSON = 16 << 20

// listProducts answers with the products, those that match ?q= if there is one.
func (s *Shop) listProducts(w http.ResponseWriter, r *http.Request) {
	products := catalog
	if query := r.URL.Query().Get("q"); query != "" {
		products = searchProducts(query)
	}
	if products == nil {
		products = []Product{}
	}
	writeJSON(w, http.StatusOK, struct {
		Products []Product `json:"products"`
	}{products})
}

func (s *Shop) getProduct(w http.ResponseWriter, r *http.Request) {
	p, ok := productByID(r.PathValue("id"))
	if !ok {
		writeProblem(w, http.StatusNotFound, "there is no such product")
		return
	}
	writeJSON(w, http.StatusOK, p)
}

func (s *Shop) createOrder(w http.ResponseWriter, r *http.Request) {
	var o Order
	if !readJSON(w, r, &o) {
		return
	}
	o.Status, o.Notes = "", nil
	o, err := s.orders.add(o)
	if err != nil {
		writeProblem(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	w.Header().Set("Location", fmt.Sprintf("/api/orders/%d", o.ID))
	writeJSON(w, http.StatusCreated, o)
}

func (s *Shop) getOrder(w http.ResponseWriter, r *http.Request) {
	o, ok := s.orders.get(r.PathValue("id"))
	if !ok {
		writeProblem(w, http.StatusNotFound, errNoOrder.Error())
		return
	}
	writeJSON(w, http.StatusOK, o)
}

// replaceOrder (PUT) takes a whole order.
func (s *Shop) replaceOrder(w http.ResponseWriter, r *http.Request) {
	var o Order
	if !readJSON(w, r, &o) {
		return
	}
	s.changeOrder(w, r, http.StatusOK, func(old *Order) error {
		*old = o
		return nil
	})
}

// patchOrder (PATCH) takes the fields that change (RFC 7396, JSON Merge Patch).
func (s *Shop) patchOrder(w http.ResponseWriter, r *http.Request) {
	var patch json.RawMessage
	if !readJSON(w, r, &patch) {
		return
	}
	s.changeOrder(w, r, http.StatusOK, func(o *Order) error {
		return json.Unmarshal(patch, o)
	})
}

// addNote takes free text about an order: {"note": "..."}.
func (s *Shop) addNote(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Note string `json:"note"`
	}
	if !readJSON(w, r, &body) {
		return
	}
	s.changeOrder(w, r, http.StatusCreated, func(o *Order) error {
		o.Notes = append(o.Notes, body.Note)
		return nil
	})
}

func (s *Shop) changeOrder(w http.ResponseWriter, r *http.Request, status int, edit func(*Order) error) {
	o, err := s.orders.change(r.PathValue("id"), edit)
	switch {
	case errors.Is(err, errNoOrder):
		writeProblem(w, http.StatusNotFound, err.Error())
	case err != nil:
		writeProblem(w, http.StatusUnprocessableEntity, err.Error())
	default:
		writeJSON(w, status, o)
	}
}

func (s *Shop) deleteOrder(w http.ResponseWriter, r *http.Request) {
	if !s.orders.remove(r.PathValue("id")) {
		writeProblem(w, http.StatusNotFound, errNoOrder.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// readJSON reads one JSON value. It answers the request itself, and gives false, when it cannot.
func readJSON(w http.ResponseWriter, r *http.Request, to any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxJSON))
	err := decoder.Decode(to)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after the JSON value")
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		writeProblem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over %d bytes", tooLarge.Limit))
	case err != nil:
		writeProblem(w, http.StatusBadRequest, "the body is not one JSON value: "+err.Error())
	}
	return err == nil
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	writeJSONAs(w, "application/json", status, value)
}

// writeProblem answers with a problem document (RFC 9457).
func writeProblem(w http.ResponseWriter, status int, detail string) {
	writeJSONAs(w, "application/problem+json", status, struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{http.StatusText(status), status, detail})
}

func writeJSONAs(w http.ResponseWriter, contentType string, status int, value any) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) // the client went away
}
