package report

import (
	_ "embed" // the page
	"fmt"
	"html/template"
	"io"
)

//go:embed page.tmpl.html
var pageText string

// HTML writes the result as a page that needs nothing but itself.
func (r *Result) HTML(w io.Writer) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"charts": func(s Scenario) []chart { return s.charts() },
		"drawn":  func(c Curve) []chart { return c.charts() },
		"exact":  exact,
		"one":    func(v float64) string { return fmt.Sprintf("%.1f", v) },
		"whole":  func(v float64) string { return fmt.Sprintf("%.0f", v) },
		"ratio":  func(v float64) string { return fmt.Sprintf("%.3g", v) },
		"ms":     func(us float64) string { return fmt.Sprintf("%.2f", us/1000) },
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return page.Execute(w, r)
}
