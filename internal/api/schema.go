package api

import (
	_ "embed"
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"weir"
)

// fieldDocs are the comments of the types in the document, by "package.Type" and "package.Type.Field". They come
// from the source: go test ./internal/api -run TestFieldDocs -update.
//
//go:embed fielddocs.json
var fieldDocs []byte

// fieldFacts are what fields are when they are left out, and what changing them takes on load balancers, by kind and
// path within the spec, as the reference has them: go test ./docs -run TestReferenceIsGenerated -update.
//
//go:embed fieldfacts.json
var fieldFacts []byte

const schemas = "#/components/schemas/"

// described stands for a type whose JSON reflection can't see.
type described interface {
	Schema(huma.Registry) *huma.Schema
}

type (
	durationShape struct{}
	addrShape     struct{}
	prefixShape   struct{}
	portShape     struct{}
	portRefShape  struct{}
	backendShape  struct{}
	queueShape    struct{}
	namesShape    struct{}
	rightShape    struct{}
	stateShape    struct{}
	portModeShape struct{}
	chainShape    struct{}
	objectShape   struct{}
	logicShape    struct{}
	valueShape    struct{}
)

// shapes are the types that are written otherwise than reflection thinks.
var shapes = map[reflect.Type]described{
	reflect.TypeFor[weir.Duration]():          durationShape{},
	reflect.TypeFor[netip.Addr]():             addrShape{},
	reflect.TypeFor[netip.Prefix]():           prefixShape{},
	reflect.TypeFor[weir.Port]():              portShape{},
	reflect.TypeFor[weir.PortRef]():           portRefShape{},
	reflect.TypeFor[weir.Backend]():           backendShape{},
	reflect.TypeFor[weir.Queue]():             queueShape{},
	reflect.TypeFor[weir.CertificateNames]():  namesShape{},
	reflect.TypeFor[weir.Right]():             rightShape{},
	reflect.TypeFor[weir.LoadBalancerState](): stateShape{},
	reflect.TypeFor[weir.PortMode]():          portModeShape{},
	reflect.TypeFor[weir.Chain]():             chainShape{},
	reflect.TypeFor[weir.Object]():            objectShape{},
	reflect.TypeFor[weir.LogicUse]():          logicShape{},
	reflect.TypeFor[weir.LogicValue]():        valueShape{},
}

func (durationShape) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: `^[0-9.]+(ns|us|µs|ms|s|m|h)([0-9.]+(ns|us|µs|ms|s|m|h))*$`, Examples: []any{"500ms", "1m30s", "8h"}}
}

func (chainShape) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString}
}

func (addrShape) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, AnyOf: []*huma.Schema{{Format: "ipv4"}, {Format: "ipv6"}}, Examples: []any{"203.0.113.1", "2001:db8::1"}}
}

func (prefixShape) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: `^[0-9a-fA-F.:]+/[0-9]{1,3}$`, Examples: []any{"203.0.113.0/28", "2001:db8:1::/64"}}
}

func (portShape) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Minimum: new(1.0), Maximum: new(65535.0)}
}

func (portRefShape) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{portShape{}.Schema(r), {Type: huma.TypeString, Description: "The name of a port of the servers."}}}
}

func (backendShape) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString, Description: "One pool for all zones."},
		{Type: huma.TypeObject, Description: "A pool for each zone.", AdditionalProperties: &huma.Schema{Type: huma.TypeString}},
	}}
}

func (queueShape) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString, Enum: []any{"none"}, Description: "Answer 503 at once."},
		{Type: huma.TypeObject, Properties: map[string]*huma.Schema{"timeout": durationShape{}.Schema(r)}, AdditionalProperties: false},
	}}
}

func (namesShape) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString, Enum: []any{"auto"}, Description: "Have them ordered for the site's host names."},
		{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}, Description: "Names of Certificates."},
	}}
}

func (valueShape) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString},
		{Type: huma.TypeInteger},
		{Type: huma.TypeBoolean},
		one("accessList", "The name of an AccessList."), one("map", "The name of a Map."),
	}}
}

// one is an object of one field, a text.
func one(name, doc string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Required: []string{name}, AdditionalProperties: false, Properties: map[string]*huma.Schema{name: {Type: huma.TypeString, Description: doc}}}
}

func (logicShape) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString, Description: "The name of a Logic."},
		{Type: huma.TypeObject, Required: []string{"name"}, AdditionalProperties: false, Properties: map[string]*huma.Schema{
			"name": {Type: huma.TypeString, Description: "The name of a Logic."},
			"with": {Type: huma.TypeObject, Description: "The values of its parameters.", AdditionalProperties: valueShape{}.Schema(r)},
		}},
	}}
}

func (rightShape) Schema(huma.Registry) *huma.Schema {
	return words(weir.Viewer, weir.Operator, weir.Owner, weir.Admin)
}

func (stateShape) Schema(huma.Registry) *huma.Schema {
	return words(weir.Active, weir.Draining, weir.Maintenance)
}

func (portModeShape) Schema(huma.Registry) *huma.Schema {
	return words(weir.PortHTTP, weir.PortHTTPS, weir.PortTCP, weir.PortTLSTCP, weir.PortTLSPassthrough)
}

func words[T ~string](list ...T) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, w := range list {
		s.Enum = append(s.Enum, string(w))
	}
	return s
}

// Schema of an object: any kind, told by its kind.
func (objectShape) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Discriminator: &huma.Discriminator{PropertyName: "kind", Mapping: map[string]string{}}}
	for _, k := range weir.Kinds() {
		if !k.ReadOnly {
			s.OneOf = append(s.OneOf, &huma.Schema{Ref: schemas + k.Name})
			s.Discriminator.Mapping[k.Name] = schemas + k.Name
		}
	}
	return s
}

// Fields that are only sent or only answered, by schema and property.
var (
	writeOnly = []string{"CertificateSpec.key", "IssuerSpec.key", "SecretSpec.data"}
	readOnly  = []string{"CertificateSpec.keyRef", "CertificateSpec.info", "CertificateSpec.revokedSerials", "IssuerSpec.keyRef", "SecretSpec.dataRef", "ServerSpec.registration"}
	// never are in the types for the store's sake.
	never = []string{"TokenSpec.hash"}
)

// newRegistry makes the schemas of all kinds.
func newRegistry() huma.Registry {
	specs := map[reflect.Type]bool{}
	for _, k := range weir.Kinds() {
		specs[reflect.TypeOf(k.New()).Elem()] = !k.ReadOnly
	}
	r := huma.NewMapRegistry(schemas, func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case specs[t]:
			return t.Name() + "Spec"
		case t == reflect.TypeFor[weir.Problem]():
			return "BrokenRule"
		}
		return huma.DefaultSchemaNamer(t, hint)
	})
	for t, shape := range shapes {
		r.RegisterTypeAlias(t, reflect.TypeOf(shape))
	}
	for _, k := range weir.Kinds() {
		if !k.ReadOnly {
			r.Map()[k.Name] = kindSchema(r, k)
		}
	}
	return r
}

func kindSchema(r huma.Registry, k weir.Kind) *huma.Schema {
	status := r.Schema(reflect.TypeFor[weir.Status](), true, "")
	status.ReadOnly = true
	return &huma.Schema{
		Type: huma.TypeObject, Description: k.Doc, Required: []string{"kind", "metadata"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"kind":     {Type: huma.TypeString, Enum: []any{k.Name}},
			"metadata": r.Schema(reflect.TypeFor[weir.Metadata](), true, ""),
			"spec":     r.Schema(reflect.TypeOf(k.New()), true, ""),
			"status":   status,
			"revision": {Type: huma.TypeInteger, Format: "int64", ReadOnly: true, Description: "That of the change that wrote the object last."},
		},
	}
}

// finish puts the comments of the source beside the fields, and says which are only sent or only answered.
func finish(r huma.Registry) {
	var docs map[string]string
	if err := json.Unmarshal(fieldDocs, &docs); err != nil {
		panic("api: fielddocs.json: " + err.Error())
	}
	for name, s := range r.Map() {
		t := r.TypeFromRef(schemas + name)
		if t == nil {
			continue
		}
		if s.Description == "" {
			s.Description = docs[docName(t)]
		}
		for _, f := range reflect.VisibleFields(t) {
			property, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			p := s.Properties[property]
			if p == nil {
				continue
			}
			owner := t
			for _, i := range f.Index[:len(f.Index)-1] {
				owner = owner.Field(i).Type
			}
			p.Description = docs[docName(owner)+"."+f.Name]
		}
	}
	each := func(list []string, f func(s *huma.Schema, property string)) {
		for _, path := range list {
			name, property, _ := strings.Cut(path, ".")
			f(r.Map()[name], property)
		}
	}
	each(writeOnly, func(s *huma.Schema, property string) { s.Properties[property].WriteOnly = true })
	each(readOnly, func(s *huma.Schema, property string) { s.Properties[property].ReadOnly = true })
	each(never, func(s *huma.Schema, property string) { delete(s.Properties, property) })
	tellWords(r)
	var facts map[string]map[string]any
	if err := json.Unmarshal(fieldFacts, &facts); err != nil {
		panic("api: fieldfacts.json: " + err.Error())
	}
	for kind, fields := range facts {
		if s := r.Map()[kind]; s != nil {
			s.Extensions = map[string]any{factsOf: fields}
		}
	}
}

// factsOf is the extension of a kind's schema that holds the facts of its fields.
const factsOf = "x-fields"

// docName is "weir.Pool".
func docName(t reflect.Type) string { return t.String() }
