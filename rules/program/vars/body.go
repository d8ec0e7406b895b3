package vars

import (
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/body"
	"gatehouse/rules/program/variable"
)

// Body fills what phase 2 sees of a body that the processor parsed.
func (v *Vars) Body(processor string, p *body.Parsed) {
	for i := range p.Arguments {
		v.add(variable.ArgsPost, p.Arguments[i].Name, p.Arguments[i].Value)
	}
	if p.Cut {
		v.Singles[variable.ArgumentsLimitReached] = "1"
	}
	if p.HasBody {
		v.Singles[variable.RequestBody] = p.Body
	}
	if p.Document != "" {
		v.set("json_request_body", p.Document)
	}
	v.multipart(p)
	for _, text := range p.XMLTexts {
		v.add(variable.RequestXML, "/*", text)
	}
	for _, text := range p.XMLAttributes {
		v.add(variable.RequestXML, "//@*", text)
	}
	if p.Problem != nil {
		message := p.Problem.Error()
		v.Singles[variable.ReqbodyError] = "1"
		v.Singles[variable.ReqbodyErrorMsg] = processor + ": " + message
		v.Singles[variable.ReqbodyProcessorError] = "1"
		v.Singles[variable.ReqbodyProcessorErrorMsg] = message
	}
}

func (v *Vars) multipart(p *body.Parsed) {
	for i := range p.PartHeaders {
		v.add(variable.MultipartPartHeaders, p.PartHeaders[i].Name, p.PartHeaders[i].Value)
	}
	for _, name := range p.FieldNames {
		v.add(variable.MultipartName, name, name)
	}
	for i := range p.Files {
		f := &p.Files[i]
		v.add(variable.FilesNames, "", f.Field)
		size := v.number(f.Size)
		for _, name := range f.Names {
			v.add(variable.Files, "", name)
			v.add(variable.FilesSizes, name, size)
			v.add(variable.MultipartFilename, f.Field, name)
		}
	}
	for i := range p.ExtendedNames {
		n := &p.ExtendedNames[i]
		v.add(variable.MultipartFilenameCharset, n.Field, n.Charset)
		v.add(variable.MultipartFilenameLanguage, n.Field, n.Language)
	}
	if len(p.FieldNames) > 0 {
		v.Singles[variable.FilesCombinedSize] = v.number(p.FieldsSize)
	}
	if p.Strict.Any {
		v.Singles[variable.MultipartStrictError] = "1"
	}
	if p.Strict.DuplicateHeader {
		v.Singles[variable.MultipartDuplicatePartHeader] = "1"
	}
	if p.Strict.InvalidQuoting {
		v.Singles[variable.MultipartInvalidQuoting] = "1"
	}
}

// BodyLength sets the length of the request's body, in bytes.
func (v *Vars) BodyLength(length int64) {
	v.Singles[variable.RequestBodyLength] = v.number(length)
}

// Response fills what phase 3 sees.
func (v *Vars) Response(r *rules.Response) {
	for i := range r.Headers {
		h := &r.Headers[i]
		if h.Name == "" {
			continue
		}
		v.add(variable.ResponseHeaders, h.Name, h.Value)
		if list := v.Lists[variable.ResponseHeaders]; list[len(list)-1].Lower == "content-type" {
			v.Singles[variable.ResponseContentType], _, _ = strings.Cut(h.Value, ";")
		}
	}
	v.Singles[variable.ResponseStatus] = v.number(int64(r.Status))
	v.Singles[variable.ResponseProtocol] = r.Protocol
}

// ResponseText sets the text of the reply, which phase 4 sees.
func (v *Vars) ResponseText(text string) {
	v.Singles[variable.ResponseBody] = text
	v.Singles[variable.ResponseContentLength] = v.number(int64(len(text)))
}
