package operator

import (
	"slices"
	"testing"

	"gatehouse/rules/program/byteset"
)

// Values as people and programs send them.
var (
	ordinaryAgents = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
		"Mozilla/5.0 (compatible; examplebot/2.1; +https://www.example.com/bot.html)",
		"curl/8.5.0", "okhttp/4.12.0", "Go-http-client/2.0", "python-requests/2.32.3",
	}
	ordinaryReferers = []string{
		"https://www.example.com/", "https://www.example.com/products/list?category=garden&page=2&sort=price-asc",
		"https://shop.example.org/cart", "http://localhost:8080/admin/users/42/edit", "https://search.example.com/search?q=garden+chairs&source=hp&ei=Zk3x",
		"https://www.example.com/articles/2024/05/17/how-to-open-a-gate?utm_source=letter&utm_medium=email",
	}
	ordinarySearches = []string{
		"garden chairs", "blue shoes size 42", "hotels near berlin", "best way to learn cooking at home", "iphone 15 pro max case",
		"weather", "caf\u00e9 m\u00fcnchen", "\u5317\u4eac\u70e4\u9e2d", "jane.doe@example.com", "+49 89 1234567", "red/green", "C++ tutorial", "usb-c to hdmi",
	}
	ordinaryCookies = []string{
		"550e8400-e29b-41d4-a716-446655440000", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "GA1.2.1034567890.1718000000",
		"s%3Aq8Zk3hT2vW.9bNfK0", "dGhpcyBpcyBhIHNlc3Npb24gdG9rZW4=", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiIsImlhdCI6MTcxODAwMDAwMH0.dBjftJeZ4CVPmB92K27uhbUJU1p1rwW1gFWFOEjXk",
		"en-GB", "dark", "1", "fb.1.1718000000000.123456789", "light|compact|wide", "2024-06-10T09:15:00.000Z",
	}
	ordinaryFields = []string{
		"42", "-1", "3.14159", "true", "null", "user", "order_id", "date", "2024-06-10", "1718000000", "pending", "EUR", "first-name", "created_at",
		"items[0][name]", "page", "limit", "select", "Jane", "12 High Street", "81e5", "",
	}
)

func ordinary() []string {
	return slices.Concat(ordinaryAgents, ordinaryReferers, ordinarySearches, ordinaryCookies, ordinaryFields)
}

// TestOrdinaryValuesAreCheap fails if libinjection has to decide more ordinary values than those that begin with what is a
// keyword to it.
func TestOrdinaryValuesAreCheap(t *testing.T) {
	for _, value := range ordinary() {
		if got, want := mayBeSQLi(value, byteset.Of(value)), value == "Go-http-client/2.0"; got != want {
			t.Errorf("%q is left to IsSQLi: %v, want %v", value, got, want)
		}
		if mayBeXSS(value, byteset.Of(value)) {
			t.Errorf("%q is left to IsXSS", value)
		}
	}
}
