package shop

import (
	"fmt"
	"strings"
)

// Product is one thing on sale, as the pages and the API show it.
type Product struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Category string `json:"category"`
	Price    Cents  `json:"price_cents"`
	Stock    int    `json:"stock"`
	Summary  string `json:"summary"`
	Story    string `json:"story"`
	Tint     string `json:"-"` // the background of its picture: a class of the style sheet
}

// Cents is an amount of money in hundredths of a euro.
type Cents int

func (c Cents) String() string { return fmt.Sprintf("€%d.%02d", int(c)/100, int(c)%100) }

// catalog is everything on sale, in the order in which the home page shows it. An ID is one word: the cart's cookie
// depends on it.
var catalog = []Product{
	{
		ID: "lantern", Name: "Harbour lantern", Category: "Light", Price: 6800, Stock: 14, Tint: "night",
		Summary: "Blackened steel and seeded glass.",
		Story:   "A lantern for the sill or the steps. Holds one stub candle and lets the wind do as it likes.",
	},
	{
		ID: "teapot", Name: "Speckled teapot", Category: "Kitchen", Price: 5400, Stock: 9, Tint: "sage",
		Summary: "Stoneware for four cups, cane handle.",
		Story:   "Thrown on the wheel, dipped once, and left with its speckles. The spout does not drip; we checked.",
	},
	{
		ID: "blanket", Name: "Striped wool blanket", Category: "Textiles", Price: 12900, Stock: 6, Tint: "clay",
		Summary: "Lambswool, woven in a twill.",
		Story:   "Heavy enough for a winter chair and light enough to carry to the beach. Softer each year.",
	},
	{
		ID: "fern", Name: "Fern in a pot", Category: "Plants", Price: 2400, Stock: 31, Tint: "mint",
		Summary: "A patient fern, terracotta included.",
		Story:   "Asks for shade, a little water, and no conversation. Arrives about as tall as a bottle of wine.",
	},
	{
		ID: "mug", Name: "Two-tone mug", Category: "Kitchen", Price: 1800, Stock: 48, Tint: "sand",
		Summary: "Holds 35 cl, glazed where it matters.",
		Story:   "The lower half is bare clay, warm to hold. The upper half goes in the dishwasher with the rest.",
	},
	{
		ID: "lamp", Name: "Reading lamp", Category: "Light", Price: 8900, Stock: 11, Tint: "sky",
		Summary: "Turned oak and a linen shade.",
		Story:   "Made for one page at a time. The cord hangs where a sleepy hand finds it.",
	},
	{
		ID: "clock", Name: "Quiet wall clock", Category: "Home", Price: 7200, Stock: 17, Tint: "rose",
		Summary: "A sweeping hand, and no ticking.",
		Story:   "A plain face, twelve marks, and a movement that you will not hear at three in the morning.",
	},
	{
		ID: "notebook", Name: "Cloth notebook", Category: "Desk", Price: 1600, Stock: 75, Tint: "plum",
		Summary: "160 dotted pages, sewn to lie flat.",
		Story:   "Cloth over boards, a ribbon, and paper that takes a fountain pen. Opens flat at every page.",
	},
	{
		ID: "kettle", Name: "Stove kettle", Category: "Kitchen", Price: 7900, Stock: 8, Tint: "sky",
		Summary: "Enamel on steel, 1.6 litres.",
		Story:   "Sings a little before it boils, so that you can be there first. Works on every kind of hob.",
	},
	{
		ID: "basket", Name: "Willow basket", Category: "Home", Price: 4600, Stock: 12, Tint: "mint",
		Summary: "Woven by hand, with room for bread.",
		Story:   "Grown, cut, soaked and woven within the same valley. Carries a market, or a sleeping cat.",
	},
	{
		ID: "candle", Name: "Three candles", Category: "Light", Price: 2100, Stock: 40, Tint: "plum",
		Summary: "Beeswax, burning for nine hours each.",
		Story:   "Dipped rather than poured, so each is a little different. They smell of honey, faintly.",
	},
	{
		ID: "vase", Name: "Bottle vase", Category: "Home", Price: 3800, Stock: 21, Tint: "clay",
		Summary: "A narrow neck, for one good branch.",
		Story:   "Made to look right with a single stem from the roadside. Nobody needs to know.",
	},
}

// productByID gives the product with that ID.
func productByID(id string) (Product, bool) {
	for _, p := range catalog {
		if p.ID == id {
			return p, true
		}
	}
	return Product{}, false
}

// searchProducts gives the products that hold every word of the query in their name, category or texts, whatever the
// case. An empty query gives none.
func searchProducts(query string) []Product {
	words := strings.Fields(strings.ToLower(query))
	if len(words) == 0 {
		return nil
	}
	var found []Product
	for _, p := range catalog {
		text := strings.ToLower(strings.Join([]string{p.Name, p.Category, p.Summary, p.Story}, " "))
		all := true
		for _, word := range words {
			all = all && strings.Contains(text, word)
		}
		if all {
			found = append(found, p)
		}
	}
	return found
}
