package shop

import (
	"net/http"
	"net/url"
	"strings"
)

// demoPassword signs anybody in. The login form says so.
const demoPassword = "lighthouse"

// shopperCookie names who is signed in. A demonstration needs no more than that.
const shopperCookie = "shopper"

// maxForm is how much of an urlencoded form the pages read, in bytes.
const maxForm = 1 << 20

func (s *Shop) home(w http.ResponseWriter, r *http.Request) {
	category := r.URL.Query().Get("category")
	var categories []string
	var products []Product
	seen := map[string]bool{}
	for _, p := range catalog {
		if !seen[p.Category] {
			seen[p.Category] = true
			categories = append(categories, p.Category)
		}
		if category == "" || strings.EqualFold(category, p.Category) {
			products = append(products, p)
		}
	}
	s.render(w, r, http.StatusOK, "home", view{Title: "Lantern & Loom", Page: struct {
		Category   string
		Categories []string
		Products   []Product
	}{category, categories, products}})
}

func (s *Shop) product(w http.ResponseWriter, r *http.Request) {
	p, ok := productByID(r.PathValue("id"))
	if !ok {
		s.notFound(w, r)
		return
	}
	var others []Product
	for _, other := range catalog {
		if other.Category == p.Category && other.ID != p.ID && len(others) < 4 {
			others = append(others, other)
		}
	}
	s.render(w, r, http.StatusOK, "product", view{Title: p.Name, Page: struct {
		Product Product
		Others  []Product
	}{p, others}})
}

func (s *Shop) search(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query().Get("q")
	s.render(w, r, http.StatusOK, "search", view{Title: "Search", Query: query, Page: searchProducts(query)})
}

type loginPage struct {
	Email, Password, Problem string
}

func (s *Shop) loginForm(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "login", view{Title: "Sign in", Page: loginPage{Password: demoPassword}})
}

// login signs in whoever knows the demo password, and answers 401 to everybody else.
func (s *Shop) login(w http.ResponseWriter, r *http.Request) {
	if !parseForm(w, r) {
		return
	}
	email, problem := r.PostForm.Get("email"), ""
	switch {
	case !strings.Contains(email, "@"):
		problem = "That does not look like an e-mail address."
	case r.PostForm.Get("password") != demoPassword:
		problem = "That is not the password."
	}
	if problem != "" {
		s.render(w, r, http.StatusUnauthorized, "login", view{
			Title: "Sign in", Page: loginPage{Email: email, Password: demoPassword, Problem: problem},
		})
		return
	}
	setCookie(w, shopperCookie, url.QueryEscape(email))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Shop) logout(w http.ResponseWriter, r *http.Request) {
	setCookie(w, shopperCookie, "")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// try is a page of things to try by hand: forms, live events, the WebSocket, attacks.
func (s *Shop) try(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "try", view{Title: "Try the gateway"})
}

func (s *Shop) notFound(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/") || wantsJSON(r) {
		writeProblem(w, http.StatusNotFound, "there is nothing at this address")
		return
	}
	s.render(w, r, http.StatusNotFound, "notfound", view{Title: "Not found", Page: r.URL.Path})
}

// parseForm reads an urlencoded form into r.PostForm. It answers the request itself, and gives false, when it cannot.
func parseForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form could not be read: "+err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

// shopperOf gives the e-mail address of whoever is signed in.
func shopperOf(r *http.Request) string {
	cookie, err := r.Cookie(shopperCookie)
	if err != nil {
		return ""
	}
	email, err := url.QueryUnescape(cookie.Value)
	if err != nil {
		return ""
	}
	return email
}

// setCookie keeps a value until the browser closes; an empty one removes the cookie.
func setCookie(w http.ResponseWriter, name, value string) {
	cookie := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if value == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}
