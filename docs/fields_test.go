package docs

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir"
)

// field is one field of a kind, as people write it.
type field struct {
	// path is below spec, as in "healthCheck.path" and "members[].address".
	path string
	// form says what is written: "text", "list of names" and the like.
	form string
	// fallback is what an object without the field gets, "" for nothing.
	fallback string
	// doc is the comment of the field in the source.
	doc string
}

// forms are the types that are written otherwise than their Go kind says.
var forms = map[reflect.Type]string{
	reflect.TypeFor[weir.Duration]():          "duration",
	reflect.TypeFor[weir.Port]():              "port",
	reflect.TypeFor[weir.PortRef]():           "port, or its name",
	reflect.TypeFor[weir.Backend]():           "pool, or zone: pool",
	reflect.TypeFor[weir.Queue]():             "`none` or `{timeout: 60s}`",
	reflect.TypeFor[weir.CertificateNames]():  "list of names, or `auto`",
	reflect.TypeFor[weir.Status3]():           "status",
	reflect.TypeFor[weir.Chain]():             "text",
	reflect.TypeFor[weir.SealedRef]():         "reference",
	reflect.TypeFor[weir.CertificateInfo]():   "summary",
	reflect.TypeFor[weir.PortMode]():          "word",
	reflect.TypeFor[weir.Right]():             "word",
	reflect.TypeFor[weir.LoadBalancerState](): "word",
	reflect.TypeFor[netip.Addr]():             "address",
	reflect.TypeFor[netip.Prefix]():           "network",
	reflect.TypeFor[time.Time]():              "time",
}

// form says how a value of a type is written; below is true when it has fields of its own.
func form(t reflect.Type) (text string, below bool) {
	if text, ok := forms[t]; ok {
		return text, false
	}
	switch t.Kind() {
	case reflect.Pointer:
		return form(t.Elem())
	case reflect.Slice:
		text, below := form(t.Elem())
		return "list of " + plural(text), below
	case reflect.Map:
		key, _ := form(t.Key())
		value, _ := form(t.Elem())
		return key + ": " + value, false
	case reflect.Struct:
		return "fields", true
	case reflect.Bool:
		return "true or false", false
	case reflect.Int, reflect.Int64:
		return "number", false
	}
	return "text", false
}

func plural(form string) string {
	switch form {
	case "text", "fields":
		return form
	case "address":
		return "addresses"
	}
	return form + "s"
}

// fieldsOf lists the fields of a type with those below them, in the order of the source.
func fieldsOf(t reflect.Type, docs map[string]string, prefix string) []field {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	var list []field
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue
		}
		text, below := form(f.Type)
		path := prefix + name
		list = append(list, field{path: path, form: text, doc: docs[t.String()+"."+f.Name]})
		if below {
			if f.Type.Kind() == reflect.Slice {
				path += "[]"
			}
			list = append(list, fieldsOf(f.Type, docs, path+".")...)
		}
	}
	return list
}

// withDefaults fills in what Normalize gives: the fields at the top from an empty spec, those below from one in
// which everything that can be left out is there.
func withDefaults(spec func() weir.Spec, list []field) {
	empty, full := spec(), spec()
	allocate(reflect.ValueOf(full).Elem())
	empty.Normalize()
	full.Normalize()
	for i := range list {
		from := empty
		if strings.ContainsAny(list[i].path, ".[") {
			from = full
		}
		list[i].fallback = shown(at(reflect.ValueOf(from), list[i].path))
	}
}

// allocate makes what pointers and lists below a value hold.
func allocate(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		if _, leaf := forms[f.Type()]; leaf {
			continue
		}
		switch {
		case f.Kind() == reflect.Pointer && f.Type().Elem().Kind() == reflect.Struct && forms[f.Type().Elem()] == "":
			f.Set(reflect.New(f.Type().Elem()))
			allocate(f.Elem())
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct && forms[f.Type().Elem()] == "":
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			allocate(f.Index(0))
		case f.Kind() == reflect.Struct:
			allocate(f)
		}
	}
}

// at finds the value at a path, an invalid one when something on the way is not there.
func at(v reflect.Value, path string) reflect.Value {
	for word := range strings.SplitSeq(path, ".") {
		name, inList := strings.CutSuffix(word, "[]")
		for v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if !v.IsValid() {
			return v
		}
		v = member(v, name)
		if inList {
			if v.Len() == 0 {
				return reflect.Value{}
			}
			v = v.Index(0)
		}
	}
	return v
}

func member(v reflect.Value, name string) reflect.Value {
	for f, value := range v.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return value
		}
	}
	panic("no field " + name)
}

// shown writes a default, "" for what is empty and for what has fields of its own.
func shown(v reflect.Value) string {
	if v.IsValid() && v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() || v.IsZero() {
		return ""
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			panic(err)
		}
		return string(text)
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Map:
		return ""
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.String {
			return ""
		}
		return strings.Join(v.Interface().([]string), ", ")
	}
	return fmt.Sprint(v.Interface())
}

// fieldDocs are the comments of the source, by "package.Type.Field".
func fieldDocs(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../internal/api/fielddocs.json")
	if err != nil {
		t.Fatal(err)
	}
	var docs map[string]string
	if err := json.Unmarshal(raw, &docs); err != nil {
		t.Fatal(err)
	}
	return docs
}
