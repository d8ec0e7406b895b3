// Package api is the manager's API for people and programs: /api/v1, described by /api/openapi.json.
//
// Invariant: a request reaches a handler only as the route of the table that its method and path name letter by letter, and only if the
// table lets who asks have it. A route that does not say who may ask it keeps the manager from starting. Whoever has not signed in
// learns of no path whether there is something.
//
// # Adding a route
//
// Write a file NAME.go with the routes of one subject, and name its function in routes (routes.go):
//
//	func (a *API) shelfRoutes() {
//		Register(a, Route{
//			Method: http.MethodPut, Path: "/applications/{application}/shelves/{name}",
//			ID: "put-shelf", Summary: "Save a shelf", Tag: "Shelves",
//			Permission: Editor, Application: "application", Condition: Required,
//		}, func(ctx context.Context, in *putShelf) (*shelfReply, error) {
//			return Write(ctx, a.o.DB, func(tx *store.Tx) (*shelfReply, error) {
//				... if err := in.Check(ETag(shelf.Version)); err != nil { return nil, err }
//				... tx.Audit(auth.From(ctx).Actor(), "shelf.save", "shelves/"+in.Name, nil)
//			})
//		})
//	}
//
//	type putShelf struct {
//		Condition                                  // If-Match and If-None-Match
//		Application string `path:"application"`
//		Name        string `path:"name"`
//		Body        Shelf
//	}
//
//	type shelfReply struct {
//		ETag string `header:"ETag"`
//		Body Shelf
//	}
//
// What a subject works on is a field of Options. The function must not use it while it declares routes, only in handlers: tests
// and gatehouse's own documentation read the table without a database. The role matrix test covers every route by itself.
//
// The rules:
//   - Permission is the least role. With Application, the path parameter that names the application, the role for that one is enough.
//     With AnyApplication, the role for any application is enough, and the handler must look at each thing that it
//     touches with Principal.Require. Otherwise the role is needed for all applications. Groups are looked at by handlers
//     (Principal.RequireGroup), and so is turning protection off (Principal.RequireProtection).
//   - A write is one call of Write, with its audit entry. It makes Idempotency-Key work: sent again with the same key within 24 h, a
//     request gets the first reply (Idempotency-Replayed: true), and with another body 422. A reply with a secret has a
//     method Kept that gives what is kept of it.
//   - Errors are of type *problem.Problem; all others are 500, logged, and not shown. Locations are those of the request:
//     body.routes[0].path, path.name, query.limit.
//   - Things that can be changed have a version as ETag. PUT, PATCH and DELETE of them have Condition Required: 428 without If-Match (or
//     If-None-Match: * to make something new), 412 if it has another version by now.
//   - Lists take Page and give List: cursors are opaque (NewCursor, Cursor). Filters are query parameters with the names of the
//     fields that they look at; given more than once, or with commas, any of the values fits; different ones must all fit; times are
//     since and until, RFC 3339, from and before. Unknown parameters are refused.
//   - Names in paths hold no slash. Paths end without one.
package api
