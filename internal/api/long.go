package api

import (
	"cmp"
	"encoding"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
)

// answerLong sends v, whose lists may be long, as JSON an element at a time: encoding/json writes a value in one
// piece and keeps the memory that the longest took for good, and thousands of objects are tens of megabytes.
func (c *call) answerLong(v any) error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.WriteHeader(http.StatusOK)
	return c.cut(newLongWriter(c.w).value(reflect.ValueOf(v), 0))
}

type longWriter struct {
	to      io.Writer
	encoder *json.Encoder
	failed  error // the first failure
}

func newLongWriter(to io.Writer) *longWriter {
	w := &longWriter{to: to, encoder: json.NewEncoder(to)}
	w.encoder.SetEscapeHTML(false)
	return w
}

// longDepth is how deep long lists lie: the objects of the changes of a page.
const longDepth = 3

var marshalers = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()}

func (w *longWriter) value(v reflect.Value, depth int) error {
	own := depth >= longDepth
	for _, t := range marshalers {
		own = own || v.Type().Implements(t) || reflect.PointerTo(v.Type()).Implements(t)
	}
	switch {
	case own:
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return w.value(v.Elem(), depth)
	case v.Kind() == reflect.Struct:
		w.text("{")
		w.fields(v, depth, "")
		w.text("}")
		return w.failed
	case v.Kind() == reflect.Slice && !v.IsNil() && v.Type().Elem().Kind() != reflect.Uint8:
		w.text("[")
		for i := range v.Len() {
			if i > 0 {
				w.text(",")
			}
			w.keep(w.value(v.Index(i), depth+1))
		}
		w.text("]")
		return w.failed
	}
	if w.failed == nil {
		w.keep(w.encoder.Encode(v.Interface()))
	}
	return w.failed
}

// fields writes those of a struct, and gives what separates them from others.
func (w *longWriter) fields(v reflect.Value, depth int, separator string) string {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			separator = w.fields(v.Field(i), depth, separator)
			continue
		}
		if options == "omitempty" && (v.Field(i).IsZero() || v.Field(i).Kind() == reflect.Slice && v.Field(i).Len() == 0) {
			continue
		}
		w.text(separator + `"` + name + `":`)
		separator = ","
		w.keep(w.value(v.Field(i), depth+1))
	}
	return separator
}

func (w *longWriter) text(s string) {
	if w.failed == nil {
		_, w.failed = io.WriteString(w.to, s)
	}
}

func (w *longWriter) keep(err error) { w.failed = cmp.Or(w.failed, err) }
