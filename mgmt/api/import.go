package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"gatehouse/mgmt/auth"
	"gatehouse/mgmt/object"
	"gatehouse/mgmt/problem"
	"gatehouse/mgmt/publish"
	"gatehouse/mgmt/store"
)

// uploaded is a certificate of an import.
type uploaded struct {
	Name  string `json:"name"`
	Chain string `json:"chain" doc:"PEM"`
	Key   string `json:"key" doc:"PEM"`
}

type importRequest struct {
	Body struct {
		Configuration string     `json:"configuration" doc:"YAML, as a standalone gateway reads it, without certificates"`
		Certificates  []uploaded `json:"certificates,omitempty" maxItems:"1000"`
		Owner         string     `json:"owner" example:"git:shop" doc:"who manages these objects: ui, or git:NAME"`
		Prune         bool       `json:"prune,omitempty" doc:"remove the owner's objects that are not in it"`
		Takeover      bool       `json:"takeover,omitempty" doc:"change objects that somebody else manages, and manage them from now on"`
		Note          string     `json:"note,omitempty" maxLength:"500"`
		Source        string     `json:"source,omitempty" maxLength:"500"`
	}
}

func (in *importRequest) author(ctx context.Context) publish.Author {
	by := authorOf(ctx, in.Body.Note, in.Body.Source)
	by.Owner, by.Takeover = in.Body.Owner, in.Body.Takeover
	return by
}

type importReply struct {
	Body struct {
		Changes     []string            `json:"changes" nullable:"false" doc:"none in a plan"`
		Differences []object.Difference `json:"differences" nullable:"false"`
	}
}

// errPlan ends the transaction of a plan.
var errPlan = errors.New("this was a plan")

func (a *API) importRoutes() {
	const tag = "Import and export"
	Register(a, Route{
		Method: http.MethodPost, Path: "/plan", ID: "plan", Summary: "What an import would change", Tag: tag, Permission: Viewer, MaxBody: maxObject,
	}, func(ctx context.Context, in *importRequest) (*importReply, error) {
		var out *importReply
		err := a.o.DB.Write(ctx, func(tx *store.Tx) (err error) {
			by := in.author(ctx)
			by.MayLower = nil // to see what would change needs no permission to change it
			if out, err = a.importAll(tx, by, in); err == nil {
				err = errPlan
			}
			return err
		})
		if !errors.Is(err, errPlan) {
			return nil, err
		}
		out.Body.Changes = []string{}
		return out, nil
	})
	Register(a, Route{
		Method: http.MethodPost, Path: "/import", ID: "import", Summary: "Save the objects of a configuration", Tag: tag, Permission: Editor, MaxBody: maxObject,
	}, func(ctx context.Context, in *importRequest) (*importReply, error) {
		return Write(ctx, a.o.DB, func(tx *store.Tx) (*importReply, error) {
			out, err := a.importAll(tx, in.author(ctx), in)
			if err != nil {
				return nil, err
			}
			for _, d := range out.Body.Differences {
				if err := maySave(auth.From(ctx), object.Key{Kind: d.Kind, Name: d.Name}); err != nil {
					return nil, err
				}
			}
			return out, nil
		})
	})
	RegisterStream(a, Route{
		Method: http.MethodGet, Path: "/export", ID: "export", Summary: "The draft or a revision as YAML, as a standalone gateway reads it", Tag: tag, Permission: Viewer,
		Description: "Private keys are never in it: certificates name the files that they would be in.",
	}, "application/yaml", func(ctx context.Context, in *struct {
		Of string `query:"of" default:"draft" example:"edge/42"`
	},
	) (Stream, error) {
		var text []byte
		err := a.o.DB.Read(ctx, func(tx *store.Tx) error {
			set, err := publish.ContentOf(tx, in.Of)
			if err != nil {
				return err
			}
			for key := range set {
				if key.Kind == object.Certificates {
					set[key] = object.Body{"cert_file": key.Name + ".pem", "key_file": key.Name + ".key"}
				}
			}
			text, err = object.Export(set)
			return err
		})
		return func(w http.ResponseWriter, _ func()) error {
			_, err := w.Write(text)
			return err
		}, err
	})
}

// importAll saves everything that an import has.
func (a *API) importAll(tx *store.Tx, by publish.Author, in *importRequest) (*importReply, error) {
	if err := publish.CheckOwner(in.Body.Owner); err != nil {
		return nil, err
	}
	set, err := object.Split([]byte(in.Body.Configuration))
	if err != nil {
		return nil, problem.Field("body.configuration", nil, "%v", err)
	}
	before, owners, err := publish.Draft(tx)
	if err != nil {
		return nil, err
	}
	edits, err := a.imported(tx, set, in)
	if err != nil {
		return nil, err
	}
	if in.Body.Prune {
		for _, key := range before.Keys() {
			if owners[key] == in.Body.Owner && set[key] == nil {
				edits = append(edits, publish.Edit{Key: key})
			}
		}
	}
	out := &importReply{}
	out.Body.Changes, out.Body.Differences = []string{}, []object.Difference{}
	changes, err := a.o.Publish.Save(tx, by, edits...)
	for _, c := range changes {
		out.Body.Changes = append(out.Body.Changes, c.ID)
		out.Body.Differences = append(out.Body.Differences, c.Differences()...)
	}
	return out, err
}

// imported are the edits of an import; set gets its certificates.
func (a *API) imported(tx *store.Tx, set object.Set, in *importRequest) (edits []publish.Edit, err error) {
	for _, key := range set.Keys() {
		if key.Kind == object.Certificates {
			return nil, problem.Field("body.configuration", nil, "certificate %s: give it among certificates, with its chain and key", key.Name)
		}
		edits = append(edits, publish.Edit{Key: key, Body: set[key]})
	}
	for i, c := range in.Body.Certificates {
		edit, err := a.o.Publish.Seal(tx, publish.Certificate{Name: c.Name, Chain: c.Chain, Key: c.Key}, fmt.Sprintf("body.certificates[%d]", i), nil)
		if err != nil {
			return nil, err
		}
		set[edit.Key] = edit.Body
		edits = append(edits, edit)
	}
	return edits, nil
}
