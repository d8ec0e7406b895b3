package shop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const jsonType = "application/json"

func TestProductsAPI(t *testing.T) {
	base := start(t)
	client := browser(t)
	for _, test := range []struct {
		name, path string
		status     int
		want       string
	}{
		{"all", "/api/products", 200, `"id": "vase"`},
		{"found", "/api/products?q=wool", 200, `"id": "blanket"`},
		{"none found", "/api/products?q=anvil", 200, `"products": []`},
		{"one", "/api/products/clock", 200, `"price_cents": 7200`},
		{"unknown", "/api/products/anvil", 404, "there is no such product"},
		{"unknown resource", "/api/customers", 404, "there is nothing at this address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, body := do(t, client, http.MethodGet, base+test.path, "", "")
			if response.StatusCode != test.status || !strings.Contains(body, test.want) {
				t.Errorf("status %d, want %d; body:\n%s", response.StatusCode, test.status, body)
			}
			if !strings.HasSuffix(response.Header.Get("Content-Type"), "json") || !json.Valid([]byte(body)) {
				t.Errorf("not JSON: %s", response.Header.Get("Content-Type"))
			}
		})
	}
}

func TestOrdersAPI(t *testing.T) {
	base := start(t)
	client := browser(t)
	tooMany := `{"items":[` + strings.Repeat(`{"product":"mug","quantity":1},`, maxItems) + `{"product":"mug","quantity":1}]}`
	for _, step := range []struct {
		name, method, path, body string
		status                   int
		want                     string // in the body
	}{
		{"create", "POST", "/api/orders", `{"customer":"Ada","items":[{"product":"mug","quantity":2,"comment":"select a blue one from the shelf"}]}`, 201, `"total_cents": 3600`},
		{"read", "GET", "/api/orders/1001", "", 200, "select a blue one from the shelf"},
		{"replace", "PUT", "/api/orders/1001", `{"customer":"Ada","status":"packed","items":[{"product":"lamp","quantity":1}]}`, 200, `"total_cents": 8900`},
		{"patch", "PATCH", "/api/orders/1001", `{"status":"sent"}`, 200, `"status": "sent"`},
		{"patch kept the items", "GET", "/api/orders/1001", "", 200, `"product": "lamp"`},
		{"patch cannot move an order", "PATCH", "/api/orders/1001", `{"id":7}`, 200, `"id": 1001`},
		{"note", "POST", "/api/orders/1001/notes", `{"note":"leave it at the door"}`, 201, "leave it at the door"},
		{"not JSON", "POST", "/api/orders", `customer=Ada`, 400, "not one JSON value"},
		{"two values", "POST", "/api/orders", `{} {}`, 400, "more after the JSON value"},
		{"no items", "POST", "/api/orders", `{"customer":"Ada"}`, 422, "1 to 50 items"},
		{"too many items", "POST", "/api/orders", tooMany, 422, "1 to 50 items"},
		{"unknown product", "POST", "/api/orders", `{"items":[{"product":"anvil","quantity":1}]}`, 422, "items[0].product"},
		{"bad quantity", "POST", "/api/orders", `{"items":[{"product":"mug","quantity":0}]}`, 422, "items[0].quantity"},
		{"bad status", "PATCH", "/api/orders/1001", `{"status":"lost"}`, 422, "status: must be one of"},
		{"wrong type", "PATCH", "/api/orders/1001", `{"items":7}`, 422, "items"},
		{"unknown order", "PATCH", "/api/orders/9", `{}`, 404, "no such order"},
		{"not a number", "GET", "/api/orders/x", "", 404, "no such order"},
		{"delete", "DELETE", "/api/orders/1001", "", 204, ""},
		{"gone", "GET", "/api/orders/1001", "", 404, "no such order"},
		{"delete again", "DELETE", "/api/orders/1001", "", 404, "no such order"},
		{"too large", "POST", "/api/orders", `"` + strings.Repeat("x", maxJSON) + `"`, 413, "the body is over"},
	} {
		response, body := do(t, client, step.method, base+step.path, jsonType, step.body)
		if response.StatusCode != step.status || !strings.Contains(body, step.want) {
			t.Errorf("%s: status %d, want %d; want %q in:\n%s", step.name, response.StatusCode, step.status, step.want, body)
		}
	}
}

func TestOrderBookForgetsTheOldest(t *testing.T) {
	book := newOrderBook()
	for range maxOrders + 1 {
		if _, err := book.add(Order{Items: []Item{{Product: "mug", Quantity: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := book.get(fmt.Sprint(firstOrder)); ok || len(book.orders) != maxOrders {
		t.Errorf("%d orders are kept, the first among them: %t", len(book.orders), ok)
	}
}

func TestUpload(t *testing.T) {
	base := start(t)
	client := browser(t)
	content := bytes.Repeat([]byte{0xff, 0xd8, 0, 1}, 100_000)
	hash := sha256.Sum256(content)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("picture", "<window>.jpg")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(content)
	_ = form.WriteField("caption", "by the window")
	_ = form.Close()

	for _, accept := range []string{"text/html", "application/json"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/upload", bytes.NewReader(body.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", form.FormDataContentType())
		r.Header.Set("Accept", accept)
		response, got := send(t, client, r)
		if response.StatusCode != http.StatusOK || !strings.Contains(got, hex.EncodeToString(hash[:])) {
			t.Errorf("%s: status %d:\n%s", accept, response.StatusCode, got)
		}
		if strings.Contains(got, "<window>") {
			t.Errorf("%s: the file's name is not escaped", accept)
		}
	}
	for name, broken := range map[string]string{"no form": "", "cut short": body.String()[:5000]} {
		response, _ := do(t, client, http.MethodPost, base+"/upload", form.FormDataContentType(), broken)
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", name, response.StatusCode)
		}
	}
	if response, _ := do(t, client, http.MethodPost, base+"/upload", jsonType, "{}"); response.StatusCode != http.StatusBadRequest {
		t.Errorf("JSON instead of a form: status %d, want 400", response.StatusCode)
	}
}

func TestEcho(t *testing.T) {
	base := start(t)
	client := browser(t)
	for _, test := range []struct{ method, body string }{
		{"GET", ""}, {"POST", "a=1"}, {"PUT", strings.Repeat("x", 300_000)}, {"PATCH", "{}"}, {"DELETE", ""}, {"REPORT", "<a/>"},
	} {
		t.Run(test.method, func(t *testing.T) {
			_, text := do(t, client, test.method, base+"/echo?a=%2F..&b=+", "text/x-odd", test.body)
			var got Echo
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("%v:\n%s", err, text)
			}
			if got.Headers.Get("Content-Type") != "text/x-odd" {
				t.Errorf("headers %v", got.Headers)
			}
			hash := sha256.Sum256([]byte(test.body))
			got.Headers = nil
			want := Echo{
				Method: test.method, Target: "/echo?a=%2F..&b=+", Proto: "HTTP/1.1", Host: strings.TrimPrefix(base, "http://"),
				ContentLength: int64(len(test.body)),
				Body:          EchoBody{Bytes: int64(len(test.body)), SHA256: hex.EncodeToString(hash[:])},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("echo (-want +got):\n%s", diff)
			}
		})
	}
}
