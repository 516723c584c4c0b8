package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"weir"
)

type openDocument struct {
	OpenAPI    string
	Paths      map[string]map[string]struct{ OperationID, Summary string }
	Components struct {
		Schemas map[string]json.RawMessage
	}
}

func TestTheDocumentHasEveryEndpointAndKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.want(w.do("", "GET", "/openapi.json", ""), 200)
	var doc openDocument
	if err := json.Unmarshal(a.body, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Error(doc.OpenAPI)
	}
	ids := map[string]bool{}
	for _, rt := range w.handler.routes {
		op, ok := doc.Paths[rt.pattern][strings.ToLower(rt.method)]
		if !ok || op.OperationID == "" || op.Summary == "" || ids[op.OperationID] {
			t.Errorf("%s %s is not in the document, or not by an id of its own", rt.method, rt.pattern)
		}
		ids[op.OperationID] = true
	}
	for _, k := range weir.Kinds() {
		if _, ok := doc.Components.Schemas[k.Name+"Spec"]; ok == k.ReadOnly {
			t.Errorf("kind %s: its schema is there: %t", k.Name, ok)
		}
	}
	// Every reference leads somewhere.
	for _, part := range strings.Split(string(a.body), `"$ref":"`)[1:] {
		name, _, _ := strings.Cut(strings.TrimPrefix(part, schemas), `"`)
		if _, ok := doc.Components.Schemas[name]; !ok {
			t.Errorf("a reference to %q leads nowhere", name)
		}
	}
	for _, secret := range []string{`"hash"`, "Shape"} {
		if strings.Contains(string(a.body), secret) {
			t.Errorf("the document tells of %s", secret)
		}
	}
	r := newRegistry()
	finish(r)
	for _, k := range weir.Kinds() {
		if !k.ReadOnly && (r.Map()[k.Name].Description == "" || r.Map()[k.Name+"Spec"].Description == "") {
			t.Errorf("kind %s has no description", k.Name)
		}
	}
	if d := r.Map()["PoolSpec"].Properties["admission"].Description; !strings.HasPrefix(d, "Admission is what must say healthy") {
		t.Errorf("a field's comment is not in the document: %q", d)
	}
	if facts, _ := r.Map()["Pool"].Extensions[factsOf].(map[string]any); len(facts) < 20 || facts["healthCheck.path"] == nil {
		t.Errorf("the document tells of a Pool's fields no more than %v", facts)
	}
	if s := r.Map()["CertificateSpec"].Properties; !s["key"].WriteOnly || !r.Map()["IssuerSpec"].Properties["key"].WriteOnly || !s["keyRef"].ReadOnly || !r.Map()["SecretSpec"].Properties["data"].WriteOnly {
		t.Error("secrets are not only written")
	}
}

// TestTheSchemasAreTrue holds objects as the API answers them against the schema of their kind: both what is in
// the world and forms that only some objects take.
func TestTheSchemasAreTrue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.do("admin", "POST", "/api/v1/apply", `
kind: Pool
metadata: {name: x1, role: web}
spec: {selector: {role: web}, port: http, queue: none, slowStart: 10s, tls: {verify: none}}
---
kind: Pool
metadata: {name: x2, role: web}
spec: {selector: {role: web}, port: 8080, queue: {timeout: 1m}, members: [{name: a, address: "2001:db8::1", port: 80}]}
---
kind: Site
metadata: {name: x3, role: web}
spec: {hostnames: [x.example.com], addresses: [vip1], listeners: [{port: 80}], backends: {default: {az1: x1}, api: x2}, errorPages: {503: sorry}, routing: {weights: {az1: 1}, keepZone: 1h, fallback: x2}}
---
kind: ErrorPage
metadata: {name: sorry, role: web}
spec: {body: sorry}
---
kind: Override
metadata: {name: x4, role: web}
spec: {server: a, pool: x2, weight: 3, reason: why, expiresAt: 2100-01-01T00:00:00Z}
---
kind: ZoneShift
metadata: {name: x6, role: web}
spec: {role: web, zone: az1, reason: why, expiresAt: 2100-01-01T00:00:00Z}
---
kind: LoadBalancer
metadata: {name: lb2}
spec: {group: edge, zone: az1, localRanges: {203.0.113.0/28: 127.1.0.0/28}, localPorts: {443: 8443}}
---
kind: Tuning
metadata: {name: x5}
spec: {ports: [{port: 443, mode: https}], timeouts: {client: 5s}}
`), 200)
	r := newRegistry()
	list := routes()
	if _, err := document(list, ""); err != nil {
		t.Fatal(err)
	}
	for _, k := range weir.Kinds() {
		if k.ReadOnly {
			continue
		}
		a := w.want(w.do("admin", "GET", "/api/v1/"+k.Plural, ""), 200)
		var answer struct{ Items []any }
		if err := json.Unmarshal(a.body, &answer); err != nil {
			t.Fatal(err)
		}
		for _, item := range answer.Items {
			if faults := validate(r, k.Name, item); len(faults) > 0 {
				t.Errorf("%s is not as its schema says: %v\n%v", k.Name, faults, item)
			}
		}
	}
	// And the schema refuses what the decoder refuses.
	for kind, text := range map[string]string{
		"Zone":      `{"kind":"Zone","metadata":{"name":"a"},"spec":{"size":1}}`,
		"Pool":      `{"kind":"Pool","metadata":{"name":"a"},"spec":{"queue":"some"}}`,
		"Site":      `{"kind":"Site","metadata":{"name":"a"},"spec":{"addresses":["a"],"listeners":[{"port":70000}]}}`,
		"Override":  `{"kind":"Override","metadata":{"name":"a"},"spec":{"server":"a"}}`,
		"ZoneShift": `{"kind":"ZoneShift","metadata":{"name":"a"},"spec":{"all":true,"zone":"a"}}`,
		"Grant":     `{"kind":"Grant","metadata":{"name":"a"},"spec":{"subject":"a","role":"b","right":"king"}}`,
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if len(validate(r, kind, v)) == 0 {
			t.Errorf("the schema takes %s", text)
		}
		if _, err := weir.Decode("x", []byte(text)); err == nil {
			t.Errorf("the decoder takes %s", text)
		}
	}
}

func validate(r huma.Registry, kind string, v any) []error {
	schema := r.Map()[kind]
	schema.PrecomputeMessages()
	res := &huma.ValidateResult{}
	huma.Validate(r, schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, v, res)
	return res.Errors
}

// TestEveryOddTypeHasAShape: a type with JSON of its own must be described by hand.
func TestEveryOddTypeHasAShape(t *testing.T) {
	t.Parallel()
	marshals := reflect.TypeFor[json.Marshaler]()
	seen := map[reflect.Type]bool{}
	var odd []string
	var walk func(reflect.Type)
	walk = func(rt reflect.Type) {
		if seen[rt] {
			return
		}
		seen[rt] = true
		if _, ok := shapes[rt]; ok || rt.String() == "time.Time" {
			return
		}
		if rt.Kind() != reflect.Pointer && (rt.Implements(marshals) || reflect.PointerTo(rt).Implements(marshals)) {
			odd = append(odd, rt.String())
		}
		switch rt.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(rt.Elem())
		case reflect.Struct:
			for i := range rt.NumField() {
				walk(rt.Field(i).Type)
			}
		}
	}
	for _, k := range weir.Kinds() {
		walk(reflect.TypeOf(k.New()))
	}
	slices.Sort(odd)
	if len(odd) > 0 {
		t.Error("without a shape: " + fmt.Sprint(odd))
	}
}
