package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"weir"
	"weir/internal/inventory"
	"weir/internal/signin"
)

// document makes the OpenAPI 3.1 document out of the routes and the Go types.
func document(list []*route, version string) ([]byte, error) {
	if version == "" {
		version = "0"
	}
	r := newRegistry()
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Weir", Version: version,
			Description: "Load balancing as a service on HAProxy. Bodies are JSON or YAML, told by the Content-Type; answers are JSON. Unknown fields and parameters are refused. Every refusal is a problem as RFC 9457 has it.",
		},
		Components: &huma.Components{
			Schemas:         r,
			SecuritySchemes: map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer", Description: "A token made by POST /api/v1/tokens."}, "session": {Type: "apiKey", In: "cookie", Name: signin.Cookie, Description: "What POST /api/v1/session gives a browser; writes with it must come from the same origin."}, "registrant": {Type: "mutualTLS", Description: "A certificate that POST /api/v1/registrations gave."}},
		},
		Security: []map[string][]string{{"token": {}}, {"session": {}}},
	}
	for _, rt := range list {
		doc.AddOperation(rt.operation(r))
	}
	finish(r)
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("make the OpenAPI document: %w", err)
	}
	return raw, nil
}

func (c *call) openapi() error {
	text, err := c.h.document()
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
	_, err = c.w.Write(text)
	return c.cut(err)
}

func (rt *route) operation(r huma.Registry) *huma.Operation {
	op := &huma.Operation{
		OperationID: rt.id, Method: rt.method, Path: rt.pattern, Summary: rt.summary,
		Parameters: rt.documentedParams(), Responses: rt.responses(r),
	}
	if rt.kind != nil {
		op.Tags = []string{rt.kind.Name}
	}
	switch {
	case rt.id == "exchangeToken": // a token, of another kind
	case rt.open:
		op.Security = []map[string][]string{}
	case rt.itself:
		op.Security = []map[string][]string{{"token": {}}, {"session": {}}, {"registrant": {}}}
	case rt.registrant:
		op.Security = []map[string][]string{{"registrant": {}}}
	}
	if rt.body != "" {
		op.RequestBody = &huma.RequestBody{Required: rt.body != "objects", Content: rt.bodyContent(r)}
	}
	return op
}

// bodyTypes are of the bodies that are one value.
var bodyTypes = map[string]reflect.Type{"shift": reflect.TypeFor[ShiftRequest](), "signin": reflect.TypeFor[SignInRequest](), "exchange": reflect.TypeFor[ExchangeRequest](), "announcement": reflect.TypeFor[weir.Announcement]()}

func (rt *route) bodyContent(r huma.Registry) map[string]*huma.MediaType {
	if rt.body == "inventory" {
		return map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeArray, Items: r.Schema(reflect.TypeFor[inventory.Entry](), true, "")}},
			CSVType:            {Schema: &huma.Schema{Type: huma.TypeString, Description: "A line for each server below one that names the columns, which are the fields of an entry."}},
		}
	}
	if rt.body == "lines" {
		return map[string]*huma.MediaType{ListType: {Schema: &huma.Schema{Type: huma.TypeString, Description: "An entry a line; of networks an address stands for itself alone, of Maps a line is a key, blanks and a value. Lines that begin with # are comments."}}}
	}
	if t, ok := bodyTypes[rt.body]; ok {
		s := r.Schema(t, true, "")
		return map[string]*huma.MediaType{"application/json": {Schema: s}, "application/yaml": {Schema: s}}
	}
	asJSON, asYAML := objectShape{}.Schema(nil), objectShape{}.Schema(nil)
	if rt.body == "object" {
		asJSON, asYAML = &huma.Schema{Ref: schemas + rt.kind.Name}, &huma.Schema{Ref: schemas + rt.kind.Name}
	} else {
		asJSON = &huma.Schema{OneOf: []*huma.Schema{asJSON, {Type: huma.TypeArray, Items: objectShape{}.Schema(nil)}, {
			Type: huma.TypeObject, Required: []string{"kind", "items"}, Description: "A list as collections are answered.",
			Properties: map[string]*huma.Schema{"kind": {Type: huma.TypeString, Enum: []any{"List"}}, "items": {Type: huma.TypeArray, Items: objectShape{}.Schema(nil)}},
		}}}
		asYAML.Description = "Any number of documents, each an object or a list of objects."
	}
	return map[string]*huma.MediaType{"application/json": {Schema: asJSON}, "application/yaml": {Schema: asYAML}}
}

func (rt *route) documentedParams() []*huma.Param {
	var list []*huma.Param
	for _, name := range []string{"name", "revision", "plural", "provider"} {
		if strings.Contains(rt.pattern, "{"+name+"}") {
			s := &huma.Schema{Type: huma.TypeString}
			if name == "revision" {
				s = &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: new(1.0)}
			}
			list = append(list, &huma.Param{Name: name, In: "path", Required: true, Schema: s})
		}
	}
	for _, p := range rt.query {
		s := &huma.Schema{Type: p.kind}
		if p.many {
			s = &huma.Schema{Type: huma.TypeArray, Items: s}
		}
		list = append(list, &huma.Param{Name: p.name, In: "query", Description: p.doc, Schema: s})
	}
	header := func(name, doc string) {
		list = append(list, &huma.Param{Name: name, In: "header", Description: doc, Schema: &huma.Schema{Type: huma.TypeString}})
	}
	switch {
	case rt.tagged:
		header("If-None-Match", "ETags that the client has; the answer is 304 when it would say the same.")
	case rt.etags && rt.method == http.MethodGet:
		header("If-None-Match", "ETags that the client has; the answer is 304 when the object's wish is still of that revision. The status is not part of it.")
	case rt.etags:
		header("If-Match", "The ETag that the object must have, or * for any; else the answer is 412.")
		header("If-None-Match", "Only *: the object must be new; else the answer is 412.")
	}
	if !rt.open && !rt.registrant {
		header(headAtLeast, "A revision that the client has seen. A server that has not heard of it waits for three seconds, and answers 503 rather than with something older.")
	}
	return list
}

func (rt *route) responses(r huma.Registry) map[string]*huma.Response {
	problem := &huma.Response{
		Description: "A refusal.",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: r.Schema(reflect.TypeFor[Problem](), true, "")}},
	}
	ok := &huma.Response{Description: "Done.", Content: rt.answerContent(r), Headers: map[string]*huma.Param{}}
	if rt.etags && rt.method != http.MethodDelete {
		ok.Headers["ETag"] = &huma.Param{Description: "The object's revision in double quotes.", Schema: &huma.Schema{Type: huma.TypeString}}
	}
	if rt.method != http.MethodGet && rt.id != "plan" && rt.id != "previewPool" && rt.id != "tryPool" && rt.id != "previewShift" && rt.id != "previewSite" && rt.id != "rotateCA" && rt.id != "removeMember" && rt.id != "acceptRestore" && rt.body != "exchange" && !rt.registrant {
		ok.Headers["Weir-Revision"] = &huma.Param{Description: "The revision of the change, for status?wait=; absent after a dry run.", Schema: &huma.Schema{Type: huma.TypeInteger}}
	}
	if !rt.open && !rt.registrant && rt.method == http.MethodGet {
		ok.Headers[headSilence] = &huma.Param{Description: "Since when the server has not heard of etcd: what it tells may be old. Absent while it does.", Schema: &huma.Schema{Type: huma.TypeString, Format: "date-time"}}
	}
	list := map[string]*huma.Response{"default": problem, "200": ok}
	if slices.Contains(rt.statuses, http.StatusFound) {
		return map[string]*huma.Response{"default": problem, "302": {Description: "Where the browser goes; what was refused is told on the page /signin."}}
	}
	if slices.Contains(rt.statuses, http.StatusNoContent) {
		return map[string]*huma.Response{"default": problem, "204": {Description: "Done."}}
	}
	for _, status := range rt.statuses {
		list[strconv.Itoa(status)] = ok
	}
	if rt.id == "makeToken" {
		delete(list, "200")
	}
	if rt.tagged {
		ok.Headers["ETag"] = &huma.Param{Description: "A weak tag of what the answer says.", Schema: &huma.Schema{Type: huma.TypeString}}
	}
	if (rt.etags || rt.tagged) && rt.method == http.MethodGet {
		list["304"] = &huma.Response{Description: "The client has it."}
	}
	return list
}

func (rt *route) answerContent(r huma.Registry) map[string]*huma.MediaType {
	content := map[string]*huma.MediaType{}
	switch {
	case rt.binary:
		content["application/octet-stream"] = &huma.MediaType{}
	case rt.answer != nil:
		content["application/json"] = &huma.MediaType{Schema: r.Schema(rt.answer, true, "")}
	case rt.stream != nil: // and nothing else
	case rt.kind != nil:
		content["application/json"] = &huma.MediaType{Schema: &huma.Schema{Ref: schemas + rt.kind.Name}}
	default:
		content["application/json"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeObject}}
	}
	if rt.stream != nil {
		content["application/x-ndjson"] = &huma.MediaType{Schema: r.Schema(rt.stream, true, "")}
	}
	return content
}
