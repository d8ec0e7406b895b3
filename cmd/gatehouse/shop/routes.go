package shop

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed assets
var assetFiles embed.FS

// contentPolicy lets the pages load nothing but the shop's own style sheet and script.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// routes is the whole of the shop's surface, in one table.
func (s *Shop) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range map[string]http.HandlerFunc{
		// Pages.
		"GET /{$}":           s.home,
		"GET /products/{id}": s.product,
		"GET /search":        s.search,
		"GET /login":         s.loginForm,
		"POST /login":        s.login,
		"POST /logout":       s.logout,
		"GET /cart":          s.cart,
		"POST /cart":         s.changeCart,
		"GET /checkout":      s.checkoutForm,
		"POST /checkout":     s.checkout,
		"GET /orders/{id}":   s.orderPage,
		"GET /upload":        s.uploadForm,
		"POST /upload":       s.upload,
		"GET /try":           s.try,
		"GET /assets/{name}": s.asset,

		// JSON API.
		"GET /api/products":           s.listProducts,
		"GET /api/products/{id}":      s.getProduct,
		"POST /api/orders":            s.createOrder,
		"GET /api/orders/{id}":        s.getOrder,
		"PUT /api/orders/{id}":        s.replaceOrder,
		"PATCH /api/orders/{id}":      s.patchOrder,
		"DELETE /api/orders/{id}":     s.deleteOrder,
		"POST /api/orders/{id}/notes": s.addNote,

		// What a proxy has to carry.
		"/echo":          s.echo,
		"/status/{code}": s.status,
		"GET /events":    s.events,
		"GET /ws":        s.websocket,
		"GET /download":  s.download,
		"/slow":          s.slow,
		"GET /healthz":   s.healthz,
	} {
		mux.HandleFunc(pattern, handler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			s.grpc.ServeHTTP(w, r)
			return
		}
		header := w.Header()
		header.Set("Content-Security-Policy", contentPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		if r.RequestURI == "*" { // OPTIONS *, which the mux answers without a word
			s.notFound(w, r)
			return
		}
		if handler, pattern := mux.Handler(r); pattern == "" && refusal(handler, r) == http.StatusNotFound {
			s.notFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// refusal gives the status with which the mux turns a request away that no pattern takes: 404, or 405 where another
// method would be taken.
func refusal(handler http.Handler, r *http.Request) int {
	w := &statusWriter{header: http.Header{}, status: http.StatusOK}
	handler.ServeHTTP(w, r)
	return w.status
}

// statusWriter keeps the status of a response and drops the rest.
type statusWriter struct {
	header http.Header
	status int
}

func (w *statusWriter) Header() http.Header         { return w.header }
func (w *statusWriter) WriteHeader(status int)      { w.status = status }
func (w *statusWriter) Write(p []byte) (int, error) { return len(p), nil }

// asset serves a style sheet, script or picture of the pages.
func (s *Shop) asset(w http.ResponseWriter, r *http.Request) {
	name := "assets/" + r.PathValue("name")
	if _, err := fs.Stat(assetFiles, name); err != nil {
		s.notFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "max-age=60")
	http.ServeFileFS(w, r, assetFiles, name)
}

func (s *Shop) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}
