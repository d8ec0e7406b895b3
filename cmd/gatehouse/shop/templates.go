package shop

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

//go:embed templates art
var pageFiles embed.FS

// templates holds each page with the layout around it, by the page's file name.
type templates struct {
	pages map[string]*template.Template
}

// view is what the layout shows around a page.
type view struct {
	Title   string
	Query   string // what the search box holds
	InCart  int    // how many things the cart holds
	Shopper string // who is signed in; empty for nobody
	Page    any    // what the page itself shows
}

// parseTemplates reads the embedded pages. They are part of the program: one that does not parse is a mistake of ours
// that no test survives, hence Must.
func parseTemplates() *templates {
	functions := template.FuncMap{"art": art}
	layout := template.Must(template.New("layout.html").Funcs(functions).ParseFS(pageFiles, "templates/layout.html"))
	entries, err := pageFiles.ReadDir("templates")
	set := &templates{pages: make(map[string]*template.Template, len(entries))}
	for _, entry := range entries {
		if name := entry.Name(); name != "layout.html" {
			page := template.Must(template.Must(layout.Clone()).ParseFS(pageFiles, "templates/"+name))
			set.pages[strings.TrimSuffix(name, ".html")] = page
		}
	}
	template.Must(layout, err)
	return set
}

// art gives the embedded picture of that name as markup. Names come from the catalog and the templates, never from a
// request.
func art(name string) (template.HTML, error) {
	svg, err := pageFiles.ReadFile("art/" + name + ".svg")
	if err != nil {
		return "", fmt.Errorf("picture %q: %w", name, err)
	}
	return template.HTML(svg), nil //nolint:gosec // our own embedded file
}

// render writes a page. It fills what the layout needs from the request.
func (s *Shop) render(w http.ResponseWriter, r *http.Request, status int, page string, v view) {
	v.InCart = cartOf(r).count()
	v.Shopper = shopperOf(r)
	var out bytes.Buffer
	if err := s.templates.pages[page].ExecuteTemplate(&out, "layout.html", v); err != nil {
		s.log.Error("render a page", zap.String("page", page), zap.Error(err))
		http.Error(w, "the page could not be rendered", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
}

// wantsJSON says whether the client asks for JSON rather than a page.
func wantsJSON(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "json") && !strings.Contains(accept, "text/html")
}
