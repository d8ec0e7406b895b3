package shop

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

// Order is what somebody bought. Numbers count up from 1001, and there are no times in it: the same requests give the
// same orders.
type Order struct {
	ID       int      `json:"id"`
	Customer string   `json:"customer"`
	Address  string   `json:"address,omitempty"`
	Status   string   `json:"status"`
	Items    []Item   `json:"items"`
	Note     string   `json:"note,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	Total    Cents    `json:"total_cents"`
}

// Item is one line of an order.
type Item struct {
	Product  string `json:"product"`
	Quantity int    `json:"quantity"`
	Comment  string `json:"comment,omitempty"` // free text, such as a wish for an engraving
}

// Bounds of the order book: past maxOrders the oldest is forgotten.
const (
	firstOrder    = 1001
	maxOrders     = 500
	maxItems      = 50
	maxNotes      = 50
	maxTextLength = 10_000 // bytes of one customer, address, comment or note
)

// orderStatuses are the states that an order can be in.
var orderStatuses = []string{"new", "packed", "sent", "cancelled"}

// complete checks an order as a client sent it, and fills in what follows from it. The error is for the client.
func (o *Order) complete() error {
	if len(o.Items) == 0 || len(o.Items) > maxItems {
		return fmt.Errorf("items: an order has 1 to %d items", maxItems)
	}
	o.Total = 0
	for i := range o.Items {
		item := &o.Items[i]
		product, ok := productByID(item.Product)
		if !ok {
			return fmt.Errorf("items[%d].product: there is no product %q", i, item.Product)
		}
		if item.Quantity < 1 || item.Quantity > maxQuantity {
			return fmt.Errorf("items[%d].quantity: must be 1 to %d", i, maxQuantity)
		}
		if len(item.Comment) > maxTextLength {
			return fmt.Errorf("items[%d].comment: longer than %d bytes", i, maxTextLength)
		}
		o.Total += product.Price * Cents(item.Quantity)
	}
	if o.Status == "" {
		o.Status = orderStatuses[0]
	}
	if !slices.Contains(orderStatuses, o.Status) {
		return fmt.Errorf("status: must be one of %q", orderStatuses)
	}
	if len(o.Notes) > maxNotes {
		return fmt.Errorf("notes: an order has at most %d", maxNotes)
	}
	for _, text := range append([]string{o.Customer, o.Address, o.Note}, o.Notes...) {
		if len(text) > maxTextLength {
			return fmt.Errorf("customer, address and notes are at most %d bytes each", maxTextLength)
		}
	}
	return nil
}

// clone copies an order so that nobody shares its lists.
func (o Order) clone() Order {
	o.Items, o.Notes = slices.Clone(o.Items), slices.Clone(o.Notes)
	return o
}

// errNoOrder says that there is no order of that number, or no longer.
var errNoOrder = errors.New("there is no such order")

// orderBook holds the newest orders.
type orderBook struct {
	mu     sync.Mutex // guards all below
	orders map[int]Order
	next   int
}

func newOrderBook() *orderBook {
	return &orderBook{orders: map[int]Order{}, next: firstOrder}
}

// add checks an order, numbers it, keeps it and gives it back.
func (b *orderBook) add(o Order) (Order, error) {
	if err := o.complete(); err != nil {
		return Order{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o.ID = b.next
	b.next++
	b.orders[o.ID] = o.clone()
	delete(b.orders, o.ID-maxOrders)
	return o, nil
}

// get gives the order of that number, written as in a path.
func (b *orderBook) get(id string) (Order, bool) {
	n, err := strconv.Atoi(id)
	if err != nil {
		return Order{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.orders[n]
	return o.clone(), ok
}

// change gives the order to edit and keeps what it left, unless edit or the check after it has an objection.
func (b *orderBook) change(id string, edit func(*Order) error) (Order, error) {
	n, err := strconv.Atoi(id)
	if err != nil {
		return Order{}, errNoOrder
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.orders[n]
	if !ok {
		return Order{}, errNoOrder
	}
	o = o.clone()
	if err := edit(&o); err != nil {
		return Order{}, err
	}
	o.ID = n
	if err := o.complete(); err != nil {
		return Order{}, err
	}
	b.orders[n] = o.clone()
	return o, nil
}

// remove forgets an order and says whether there was one.
func (b *orderBook) remove(id string) bool {
	n, err := strconv.Atoi(id)
	if err != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.orders[n]
	delete(b.orders, n)
	return ok
}
