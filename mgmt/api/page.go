package api

import (
	"encoding/base64"
	"encoding/json"

	"gatehouse/mgmt/problem"
)

// Page says which part of a list is asked for. Routes that give lists embed it.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many at most"`
	Cursor string `query:"cursor" maxLength:"2000" doc:"next of the page before"`
}

// List is a part of a list.
type List[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"cursor of the next page; missing at the end"`
}

// ListReply is the answer of a route that gives a list.
type ListReply[T any] struct{ Body List[T] }

// Paged makes a list of one item more than the page asks for, if there are so many: cursor gives where the next page begins, from the last item
// of this one.
func Paged[T any](p Page, items []T, cursor func(last T) string) *ListReply[T] {
	out := &ListReply[T]{List[T]{Items: items}}
	if items == nil {
		out.Body.Items = []T{}
	}
	if len(items) > p.Limit {
		out.Body.Items = items[:p.Limit]
		out.Body.Next = cursor(items[p.Limit-1])
	}
	return out
}

// NewCursor makes a cursor of the values that the list is sorted by.
func NewCursor(keys ...string) string {
	data, _ := json.Marshal(keys) // strings can be written
	return base64.RawURLEncoding.EncodeToString(data)
}

// Keys are the n values of the cursor, and nil on the first page.
func (p Page) Keys(n int) ([]string, error) {
	if p.Cursor == "" {
		return nil, nil
	}
	var keys []string
	data, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil || json.Unmarshal(data, &keys) != nil || len(keys) != n {
		return nil, problem.Field("query.cursor", p.Cursor, "is not a cursor of this list: take next of the page before, or leave it out")
	}
	return keys, nil
}
