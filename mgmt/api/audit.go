package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/store"
)

type listAudit struct {
	Page
	Actor  []string  `query:"actor" doc:"user:NAME, token:NAME, gateway:NAME or manager"`
	Action []string  `query:"action" doc:"such as revision.publish, or revision.* for all of that subject"`
	Object []string  `query:"object" doc:"such as applications/shop"`
	Since  time.Time `query:"since"`
	Until  time.Time `query:"until"`
}

// fits says whether an entry passes the filters.
func (in *listAudit) fits(e store.Entry) bool {
	any := func(list []string, value string) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(want string) bool {
			subject, all := strings.CutSuffix(want, "*")
			return want == value || all && strings.HasPrefix(value, subject)
		})
	}
	return any(in.Actor, e.Actor) && any(in.Action, e.Action) && any(in.Object, e.Object) &&
		(in.Since.IsZero() || !e.At.Before(in.Since)) && (in.Until.IsZero() || e.At.Before(in.Until))
}

func (a *API) auditRoutes() {
	const tag = "Audit"
	Register(a, Route{
		Method: http.MethodGet, Path: "/audit", ID: "list-audit", Summary: "Who did what, oldest first", Tag: tag, Permission: Admin,
	}, func(ctx context.Context, in *listAudit) (*ListReply[store.Entry], error) {
		after := int64(0)
		switch keys, err := in.Keys(1); {
		case err != nil:
			return nil, err
		case keys != nil:
			if after, err = strconv.ParseInt(keys[0], 10, 64); err != nil {
				return nil, problem.Field("query.cursor", in.Cursor, "is not a cursor of this list")
			}
		}
		var list []store.Entry
		err := a.o.DB.Read(ctx, func(tx *store.Tx) error {
			list = nil
			for e, err := range tx.AuditFrom(after) {
				if err != nil || len(list) > in.Limit {
					return err
				}
				if in.fits(e) {
					list = append(list, e)
				}
			}
			return nil
		})
		return Paged(in.Page, list, func(e store.Entry) string { return NewCursor(strconv.FormatInt(e.Seq, 10)) }), err
	})
	Register(a, Route{
		Method: http.MethodGet, Path: "/audit/verify", ID: "verify-audit", Summary: "Hold the log against its own hashes", Tag: tag, Permission: Admin,
		Description: "This finds what was edited, put in or taken out by somebody who did not write all hashes anew. Export the log and hold it against the anchor to find more (gatehouse audit verify -anchor).",
	}, func(ctx context.Context, _ *struct{}) (*verifyReply, error) {
		out := &verifyReply{}
		return out, a.o.DB.Read(ctx, func(tx *store.Tx) error {
			result, err := store.VerifyAudit(tx.AuditAll(), nil, "", nil)
			out.Body.AuditResult, out.Body.OK = result, err == nil
			if err != nil {
				out.Body.Problem = err.Error()
			}
			return nil
		})
	})
	RegisterStream(a, Route{
		Method: http.MethodGet, Path: "/audit/export", ID: "export-audit", Summary: "The whole log, as JSON lines", Tag: tag, Permission: Admin,
	}, "application/jsonl", func(ctx context.Context, _ *struct{}) (Stream, error) {
		return func(w http.ResponseWriter, flush func()) error {
			lines := json.NewEncoder(w)
			lines.SetEscapeHTML(false)
			return a.o.DB.Read(ctx, func(tx *store.Tx) error {
				for e, err := range tx.AuditAll() {
					if err != nil {
						return err
					}
					if err := lines.Encode(e); err != nil {
						return err
					}
				}
				flush()
				return nil
			})
		}, nil
	})
}

type verifyReply struct {
	Body struct {
		OK      bool   `json:"ok"`
		Problem string `json:"problem,omitempty" doc:"what does not fit, and from where on"`
		store.AuditResult
	}
}
