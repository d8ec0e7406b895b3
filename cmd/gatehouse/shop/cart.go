package shop

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// cartCookie holds the cart itself, as "mug.2_lamp.1": the shop keeps nothing for a visitor who buys nothing.
const cartCookie = "cart"

// maxQuantity is how many of one product a cart or an order takes.
const maxQuantity = 99

// cartLine is one product of a cart, with how many of it.
type cartLine struct {
	Product  Product
	Quantity int
}

// Sum is what the line costs.
func (l cartLine) Sum() Cents { return l.Product.Price * Cents(l.Quantity) }

// cart is what somebody wants to buy, in the order of the catalog.
type cart []cartLine

// Sum is what the cart costs.
func (c cart) Sum() Cents {
	var sum Cents
	for _, line := range c {
		sum += line.Sum()
	}
	return sum
}

func (c cart) count() int {
	n := 0
	for _, line := range c {
		n += line.Quantity
	}
	return n
}

// with gives the cart with that many of the product in it; none takes it out.
func (c cart) with(product string, quantity int) cart {
	quantities := map[string]int{}
	for _, line := range c {
		quantities[line.Product.ID] = line.Quantity
	}
	quantities[product] = min(quantity, maxQuantity)
	var changed cart
	for _, p := range catalog {
		if n := quantities[p.ID]; n > 0 {
			changed = append(changed, cartLine{p, n})
		}
	}
	return changed
}

func (c cart) quantity(product string) int {
	for _, line := range c {
		if line.Product.ID == product {
			return line.Quantity
		}
	}
	return 0
}

func (c cart) cookie() string {
	parts := make([]string, len(c))
	for i, line := range c {
		parts[i] = fmt.Sprintf("%s.%d", line.Product.ID, line.Quantity)
	}
	return strings.Join(parts, "_")
}

// cartOf reads the cart of a request; what it does not understand it leaves out.
func cartOf(r *http.Request) cart {
	cookie, err := r.Cookie(cartCookie)
	if err != nil {
		return nil
	}
	var c cart
	for part := range strings.SplitSeq(cookie.Value, "_") {
		id, number, _ := strings.Cut(part, ".")
		n, err := strconv.Atoi(number)
		if _, known := productByID(id); known && err == nil {
			c = c.with(id, n)
		}
	}
	return c
}

func (s *Shop) cart(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "cart", view{Title: "Your cart", Page: cartOf(r)})
}

// changeCart adds to the cart (add, the default), or sets how many there are (set).
func (s *Shop) changeCart(w http.ResponseWriter, r *http.Request) {
	if !parseForm(w, r) {
		return
	}
	p, ok := productByID(r.PostForm.Get("product"))
	if !ok {
		s.notFound(w, r)
		return
	}
	quantity := 1
	if text := r.PostForm.Get("quantity"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxQuantity {
			http.Error(w, fmt.Sprintf("quantity is a number from 0 to %d", maxQuantity), http.StatusBadRequest)
			return
		}
		quantity = n
	}
	c := cartOf(r)
	if r.PostForm.Get("action") != "set" {
		quantity += c.quantity(p.ID)
	}
	setCookie(w, cartCookie, c.with(p.ID, quantity).cookie())
	http.Redirect(w, r, "/cart", http.StatusSeeOther)
}

type checkoutPage struct {
	Cart                            cart
	Name, Address, Comment, Problem string
}

func (s *Shop) checkoutForm(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "checkout", view{Title: "Checkout", Page: checkoutPage{Cart: cartOf(r)}})
}

// checkout turns the cart into an order and shows it.
func (s *Shop) checkout(w http.ResponseWriter, r *http.Request) {
	if !parseForm(w, r) {
		return
	}
	page := checkoutPage{
		Cart: cartOf(r), Name: strings.TrimSpace(r.PostForm.Get("name")),
		Address: strings.TrimSpace(r.PostForm.Get("address")), Comment: r.PostForm.Get("comment"),
	}
	switch {
	case len(page.Cart) == 0:
		page.Problem = "Your cart is empty."
	case page.Name == "" || page.Address == "":
		page.Problem = "Please tell us your name and address."
	}
	order := Order{Customer: page.Name, Address: page.Address, Note: page.Comment}
	for _, line := range page.Cart {
		order.Items = append(order.Items, Item{Product: line.Product.ID, Quantity: line.Quantity})
	}
	if page.Problem == "" {
		var err error
		if order, err = s.orders.add(order); err != nil {
			page.Problem = "That order cannot be taken: " + err.Error() + "."
		}
	}
	if page.Problem != "" {
		s.render(w, r, http.StatusUnprocessableEntity, "checkout", view{Title: "Checkout", Page: page})
		return
	}
	setCookie(w, cartCookie, "")
	http.Redirect(w, r, fmt.Sprintf("/orders/%d", order.ID), http.StatusSeeOther)
}

func (s *Shop) orderPage(w http.ResponseWriter, r *http.Request) {
	order, ok := s.orders.get(r.PathValue("id"))
	if !ok {
		s.notFound(w, r)
		return
	}
	var lines cart
	for _, item := range order.Items {
		p, _ := productByID(item.Product)
		lines = append(lines, cartLine{p, item.Quantity})
	}
	s.render(w, r, http.StatusOK, "order", view{Title: "Thank you", Page: struct {
		Order Order
		Lines cart
	}{order, lines}})
}
