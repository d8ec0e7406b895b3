package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/mgmt/api"
)

// deadlines notes the read deadlines that are set, as a connection has them.
type deadlines struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

// TestBodyDeadline: a body has to arrive in time, and what is done with it may take longer: the server ends a request whose connection
// has a deadline that has passed.
func TestBodyDeadline(t *testing.T) {
	type in struct{ Body map[string]any }
	d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	handled := false
	a, err := api.NewBare(api.Options{Authenticator: askers()}, nil, func(a *api.API) {
		api.Register(a, api.Route{Method: http.MethodPost, Path: "/slow", ID: "slow", Summary: "test", Tag: "Test", Permission: api.Viewer},
			func(context.Context, *in) (*struct{}, error) {
				handled = true
				if len(d.set) < 2 || d.set[0].Before(time.Now().Add(time.Second)) || !d.set[len(d.set)-1].IsZero() {
					t.Errorf("while it is handled, the deadlines were %v", d.set)
				}
				return nil, nil
			})
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/api/v1/slow", strings.NewReader(`{"x": 1}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Test-Principal", "user admin *")
	a.ServeHTTP(d, r)
	if d.Code != http.StatusNoContent || !handled {
		t.Errorf("%d %s", d.Code, d.Body)
	}
}
