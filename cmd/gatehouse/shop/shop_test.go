package shop

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a shop on a free port until the test ends and gives its base URL.
func start(t *testing.T) string {
	t.Helper()
	s := New(Options{})
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return "http://" + s.Addr()
}

func stop(t *testing.T, s *Shop) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// TestOptionsOfTheServer: OPTIONS * has an answer of the shop's own, as every request has, and not an empty 200.
func TestOptionsOfTheServer(t *testing.T) {
	c, err := net.Dial("tcp", strings.TrimPrefix(start(t), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusNotFound || len(body) == 0 {
		t.Errorf("status %d with %d bytes", response.StatusCode, len(body))
	}
}

// browser is an HTTP client with cookies of its own; it follows redirects.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second}
}

// do sends a request and gives the response with its whole body.
func do(t *testing.T, client *http.Client, method, target, contentType, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return send(t, client, r)
}

func send(t *testing.T, client *http.Client, r *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(got)
}

func TestPages(t *testing.T) {
	base := start(t)
	client := browser(t)
	for _, test := range []struct {
		name, path string
		status     int
		want       []string
	}{
		{"home shows every product", "/", 200, []string{"Good things for quiet rooms", "Harbour lantern", "Bottle vase", "€129.00"}},
		{"home narrowed to a category", "/?category=Plants", 200, []string{"Fern in a pot"}},
		{"home with an unknown category", "/?category=%3Cb%3E", 200, []string{"There is nothing in “&lt;b&gt;”."}},
		{"product", "/products/kettle", 200, []string{"Stove kettle", "Add to cart", "Also in Kitchen"}},
		{"unknown product", "/products/anvil", 404, []string{"There is nothing here"}},
		{"search with hits", "/search?q=wool", 200, []string{"Striped wool blanket", "1 thing matches"}},
		{"search needs every word", "/search?q=wool+kettle", 200, []string{"Nothing matches"}},
		{"search without a term", "/search", 200, []string{"What are you looking for?"}},
		{
			"search shows the term escaped", "/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", 200,
			[]string{"&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"},
		},
		{"login form", "/login", 200, []string{`action="/login"`, demoPassword}},
		{"empty cart", "/cart", 200, []string{"It is empty"}},
		{"checkout without a cart", "/checkout", 200, []string{"Your cart is empty"}},
		{"upload form", "/upload", 200, []string{`enctype="multipart/form-data"`}},
		{"things to try", "/try", 200, []string{"SQL injection", "data-socket"}},
		{"no such page", "/nowhere/<i>", 404, []string{"/nowhere/&lt;i&gt;"}},
		{"no such order", "/orders/7", 404, []string{"There is nothing here"}},
		{"style sheet", "/assets/shop.css", 200, []string{"prefers-color-scheme: dark"}},
		{"no such asset", "/assets/shop.go", 404, []string{"There is nothing here"}},
		{"health", "/healthz", 200, []string{"ok"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, body := do(t, client, http.MethodGet, base+test.path, "", "")
			if response.StatusCode != test.status {
				t.Errorf("status %d, want %d", response.StatusCode, test.status)
			}
			for _, want := range test.want {
				if !strings.Contains(body, want) {
					t.Errorf("the page does not say %q:\n%s", want, body)
				}
			}
			if strings.Contains(body, "<script>alert") || strings.Contains(body, "<i>\n") {
				t.Error("the page holds markup out of the request")
			}
			if got := response.Header.Get("Content-Security-Policy"); got != contentPolicy {
				t.Errorf("Content-Security-Policy %q", got)
			}
		})
	}
}

func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	base := start(t)
	client := browser(t)
	for _, path := range []string{"/", "/products/mug", "/try", "/login", "/assets/shop.css", "/assets/shop.js"} {
		_, body := do(t, client, http.MethodGet, base+path, "", "")
		body = strings.ReplaceAll(body, "http://www.w3.org/2000/svg", "")
		if strings.Contains(body, "://") || strings.Contains(body, `src="//`) {
			t.Errorf("%s names another host", path)
		}
	}
}

func TestWrongMethodIsRefused(t *testing.T) {
	base := start(t)
	client := browser(t)
	response, _ := do(t, client, http.MethodDelete, base+"/login", "", "")
	if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") == "" {
		t.Errorf("DELETE /login: status %d, Allow %q", response.StatusCode, response.Header.Get("Allow"))
	}
}

func TestLogin(t *testing.T) {
	base := start(t)
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		name, email, password string
		status                int
		want                  string
	}{
		{"right password", "ada@shop.example", demoPassword, 200, "Signed in as ada@shop.example"},
		{"wrong password", "ada@shop.example", "guess", 401, "That is not the password."},
		{"no address", "ada", demoPassword, 401, "That does not look like an e-mail address."},
		{"address is escaped", `"><b>@x`, "guess", 401, "&#34;&gt;&lt;b&gt;@x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			client := browser(t)
			body := url.Values{"email": {test.email}, "password": {test.password}}.Encode()
			response, page := do(t, client, http.MethodPost, base+"/login", form, body)
			if response.StatusCode != test.status || !strings.Contains(page, test.want) {
				t.Errorf("status %d, want %d; page:\n%s", response.StatusCode, test.status, page)
			}
			_, page = do(t, client, http.MethodPost, base+"/logout", form, "")
			if strings.Contains(page, "Signed in as") {
				t.Error("still signed in after signing out")
			}
		})
	}
	response, _ := do(t, browser(t), http.MethodPost, base+"/login", form, "email=%zz")
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("a broken form: status %d, want 400", response.StatusCode)
	}
}

func TestCartToOrder(t *testing.T) {
	base := start(t)
	client := browser(t)
	const form = "application/x-www-form-urlencoded"
	steps := []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"add one", "/cart", "product=mug", 200, "€18.00"},
		{"add two more", "/cart", "product=mug&quantity=2", 200, "€54.00"},
		{"add another", "/cart", "product=lamp&quantity=1", 200, "€143.00"},
		{"set", "/cart", "action=set&product=mug&quantity=1", 200, "€107.00"},
		{"take out", "/cart", "action=set&product=lamp&quantity=0", 200, "€18.00"},
		{"too many", "/cart", "product=mug&quantity=100", 400, "quantity is a number"},
		{"unknown product", "/cart", "product=anvil", 404, "There is nothing here"},
		{"checkout without a name", "/checkout", "name=&address=Quay+1", 422, "Please tell us your name and address."},
		{"checkout", "/checkout", "name=Ada&address=Quay+1&comment=%3Cb%3Eplease%3C%2Fb%3E", 200, "&lt;b&gt;please&lt;/b&gt;"},
		{"checkout again", "/checkout", "name=Ada&address=Quay+1", 422, "Your cart is empty."},
	}
	for _, step := range steps {
		response, page := do(t, client, http.MethodPost, base+step.path, form, step.body)
		if response.StatusCode != step.status || !strings.Contains(page, step.want) {
			t.Fatalf("%s: status %d, want %d; want %q in:\n%s", step.name, response.StatusCode, step.status, step.want, page)
		}
	}
	_, page := do(t, client, http.MethodGet, base+"/orders/1001", "", "")
	if !strings.Contains(page, "Thank you, Ada") {
		t.Errorf("the order page:\n%s", page)
	}
}

func TestForgedCartCookie(t *testing.T) {
	base := start(t)
	for _, value := range []string{"mug.x", "anvil.3", "mug.-4", "mug", "..._._", "mug.0"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/cart", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: cartCookie, Value: value})
		if _, page := send(t, browser(t), r); !strings.Contains(page, "It is empty") {
			t.Errorf("cart %q is not empty", value)
		}
	}
}

func TestStartAndStop(t *testing.T) {
	s := New(Options{})
	stop(t, s) // before Start: nothing to do
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); !errors.Is(err, ErrStarted) {
		t.Errorf("second Start: %v", err)
	}
	if err := New(Options{}).Start(s.Addr()); err == nil {
		t.Error("Start on a port in use gave no error")
	}
	stop(t, s)
	stop(t, s)
	if err := s.Start("127.0.0.1:0"); !errors.Is(err, ErrStopped) {
		t.Errorf("Start after Stop: %v", err)
	}
}
