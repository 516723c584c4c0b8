package ir_test

import (
	"reflect"
	"testing"

	"weir"
	"weir/internal/ir"
)

// A field of a pool that a Renderer did not look at could change and HAProxy would not.
func TestEveryFieldOfAPoolCounts(t *testing.T) {
	t.Parallel()
	base := ir.Pool{Name: "web", Mode: "http", Check: weir.HealthCheck{Type: "none"}, TLS: &weir.PoolTLS{}}
	same := base
	if !base.SameButServers(&same) {
		t.Error("a pool differs from itself")
	}
	eachField(t, base, func(path string, changed ir.Pool) {
		if base.SameButServers(&changed) {
			t.Errorf("a change of %s is not seen", path)
		}
	})
}

// TestEveryFieldOfCompressionCounts: it is behind a pointer of the pool.
func TestEveryFieldOfCompressionCounts(t *testing.T) {
	t.Parallel()
	base := weir.Compression{Types: []string{"text/html"}, MinSize: 9}
	for _, other := range []*weir.Compression{nil, {Types: base.Types, MinSize: 8}, {Types: []string{"text/css"}, MinSize: 9}} {
		if base.Same(other) || other.Same(&base) {
			t.Errorf("%+v is taken for the same", other)
		}
	}
	if n := reflect.TypeFor[weir.Compression]().NumField(); n != 2 {
		t.Errorf("%d fields, of which two are tried", n)
	}
}

// eachField calls changed with the pool changed in one field, also within Check and TLS.
func eachField(t *testing.T, base ir.Pool, changed func(string, ir.Pool)) {
	t.Helper()
	v, n := reflect.ValueOf(base), 0
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch f := v.Field(i); {
		case name == "Servers":
		case name == "Logic":
			for _, use := range []weir.LogicUse{{Name: "x"}, {With: map[string]weir.LogicValue{"a": weir.LogicText("b")}}} {
				p := base
				p.Logic = []weir.LogicUse{use}
				changed("Logic", p)
				if !p.SameButServers(&ir.Pool{Name: p.Name, Mode: p.Mode, Check: p.Check, TLS: p.TLS, Logic: []weir.LogicUse{use}}) {
					t.Error("equal logic differs")
				}
			}
		case name == "TLS":
			for j := range f.Elem().NumField() {
				tls := *base.TLS
				if !disturb(reflect.ValueOf(&tls).Elem().Field(j)) {
					t.Errorf("field TLS.%s is of a kind that this test can't change", f.Elem().Type().Field(j).Name)
				}
				p := base
				p.TLS = &tls
				changed("TLS."+f.Elem().Type().Field(j).Name, p)
				n++
			}
			p := base
			p.TLS = nil
			changed("TLS", p)
		case f.Kind() == reflect.Struct:
			for j := range f.NumField() {
				p := base
				if !disturb(reflect.ValueOf(&p).Elem().Field(i).Field(j)) {
					t.Errorf("field %s.%s is of a kind that this test can't change", name, f.Type().Field(j).Name)
				}
				changed(name+"."+f.Type().Field(j).Name, p)
				n++
			}
		default:
			p := base
			if !disturb(reflect.ValueOf(&p).Elem().Field(i)) {
				t.Errorf("field %s is of a kind that this test can't change", name)
			}
			changed(name, p)
			n++
		}
	}
	if n < 20 {
		t.Errorf("only %d fields were tried", n)
	}
}

func disturb(f reflect.Value) bool {
	switch f.Kind() {
	case reflect.Pointer:
		to := reflect.New(f.Type().Elem())
		if to.Elem().Kind() != reflect.Struct || !f.IsNil() {
			return false
		}
		f.Set(to)
	case reflect.String:
		f.SetString(f.String() + "x")
	case reflect.Int, reflect.Int64, reflect.Int32:
		f.SetInt(f.Int() + 1)
	case reflect.Uint16, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		f.SetUint(f.Uint() + 1)
	case reflect.Bool:
		f.SetBool(!f.Bool())
	default:
		return false
	}
	return true
}
