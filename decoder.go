package weir

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

type decoder struct {
	file, object string
	problems     *Problems
}

func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	d.problems.Append(Problem{File: d.file, Line: n.Line, Object: d.object, Path: path, Message: fmt.Sprintf(format, args...)})
}

// lineAt finds the line of a path, or of the deepest part of it that is there.
func (d *decoder) lineAt(n *yaml.Node, path string) int {
	line := n.Line
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		if i, err := strconv.Atoi(step); err == nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
			n = n.Content[i]
		} else if next := child(n, step); n.Kind == yaml.MappingNode && next != nil {
			n = next
		} else {
			break
		}
		line = n.Line
	}
	return line
}

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

// value reads n into v; v's type is walked by its json tags.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, depth int) {
	if depth > MaxDepth {
		d.fail(n, path, "is nested deeper than %d levels", MaxDepth)
		return
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fail(n, path, "anchors and aliases are not read; write the value out")
		return
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.fail(n, path, "tags are not read; leave %s out, and put quotes around what is text", clip(n.Tag))
		return
	}
	if n.Tag == "!!null" {
		return
	}
	if v.Kind() == reflect.Interface {
		if v.IsNil() {
			return
		}
		d.value(n, v.Elem(), path, depth)
		return
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), path, depth)
		return
	}
	if u, ok := v.Addr().Interface().(union); ok {
		d.union(n, u, path, depth)
		return
	}
	if v.Addr().Type().Implements(textType) {
		d.scalar(n, path, func(s string) error { return readText(v.Addr().Interface().(encoding.TextUnmarshaler), s) })
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path, depth)
	case reflect.Map:
		d.mapping(n, v, path, depth)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			d.fail(n, path, "must be a list")
			return
		}
		list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
		for i, item := range n.Content {
			d.value(item, list.Index(i), index(path, i), depth+1)
		}
		v.Set(list)
	case reflect.String:
		d.scalar(n, path, func(s string) error { v.SetString(s); return nil })
	case reflect.Bool:
		d.scalar(n, path, func(s string) error {
			if s != "true" && s != "false" {
				return fmt.Errorf("%q must be true or false", clip(s))
			}
			v.SetBool(s == "true")
			return nil
		})
	case reflect.Int, reflect.Int64:
		d.scalar(n, path, func(s string) error {
			i, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
				return fmt.Errorf("%q must be a whole number", clip(s))
			}
			v.SetInt(i)
			return nil
		})
	default:
		d.fail(n, path, "can't be read")
	}
}

// readText reads what is written as text, and refuses times, networks and addresses in words of people: a network with the
// address of a machine in it is one that somebody did not mean, or not so wide.
func readText(into encoding.TextUnmarshaler, s string) error {
	err := into.UnmarshalText([]byte(s))
	if err == nil {
		if p, ok := into.(*netip.Prefix); ok && p.IsValid() && *p != p.Masked() {
			return fmt.Errorf("%q is an address within %s; write that for the network, or %s for the address alone", clip(s), p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
		}
		return nil
	}
	switch into.(type) {
	case *time.Time:
		return fmt.Errorf("%q is no time, such as 2030-01-31T12:00:00Z", clip(s))
	case *netip.Prefix:
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
			return fmt.Errorf("%q is an address and no network; write %s for the address alone", clip(s), netip.PrefixFrom(a, a.BitLen()))
		}
		return fmt.Errorf("%q is no network, such as 192.0.2.0/24 or 2001:db8::/32", clip(s))
	case *netip.Addr:
		return fmt.Errorf("%q is no address, such as 192.0.2.7 or 2001:db8::7", clip(s))
	}
	return err
}

func (d *decoder) scalar(n *yaml.Node, path string, set func(string) error) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, path, "must be a single value")
		return
	}
	if err := set(n.Value); err != nil {
		d.fail(n, path, "%s", err)
	}
}

func (d *decoder) keys(n *yaml.Node, path string, take func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "must be a mapping")
		return
	}
	seen := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if first, ok := seen[key.Value]; ok {
			d.fail(key, join(path, clip(key.Value)), "is set twice; line %d has it already", first)
			continue
		}
		seen[key.Value] = key.Line
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			d.fail(key, path, "keys must be plain words")
			continue
		}
		take(key, n.Content[i+1])
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string, depth int) {
	fields := fieldsOf(v.Type())
	d.keys(n, path, func(key, value *yaml.Node) {
		i, ok := fields[key.Value]
		if !ok {
			d.fail(key, join(path, clip(key.Value)), "is no field here%s", suggestion(key.Value, fields))
			return
		}
		d.value(value, v.Field(i), join(path, key.Value), depth+1)
	})
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string, depth int) {
	v.Set(reflect.MakeMap(v.Type()))
	d.keys(n, path, func(key, value *yaml.Node) {
		k := reflect.New(v.Type().Key()).Elem()
		keyPath := join(path, clip(key.Value))
		d.value(&yaml.Node{Kind: yaml.ScalarNode, Value: key.Value, Line: key.Line}, k, keyPath, depth+1)
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(value, item, keyPath, depth+1)
		v.SetMapIndex(k, item)
	})
}

// union is a type that is written in more than one shape.
type union interface {
	// shape sets what a single word means, or gives the target of a mapping.
	word(s string) error
	target() any
}

func (d *decoder) union(n *yaml.Node, u union, path string, depth int) {
	if n.Kind == yaml.ScalarNode {
		d.scalar(n, path, u.word)
		return
	}
	d.value(n, reflect.ValueOf(u.target()).Elem(), path, depth)
}

func (b *Backend) word(s string) error { b.Pool = s; return nil }
func (b *Backend) target() any         { return &b.Zones }

func (u *LogicUse) word(s string) error { u.Name = s; return nil }
func (u *LogicUse) target() any         { return (*logicUseFields)(u) }

// logicUseFields is a LogicUse that is written with values.
type logicUseFields LogicUse

func (v *LogicValue) word(s string) error { v.Text = s; return nil }
func (v *LogicValue) target() any         { return (*logicValueFields)(v) }

// logicValueFields is a LogicValue that names something.
type logicValueFields LogicValue

func (q *Queue) word(s string) error {
	if s != "none" {
		return fmt.Errorf(`%q must be "none" or {timeout: 60s}`, clip(s))
	}
	q.None = true
	return nil
}

func (q *Queue) target() any {
	return (*struct {
		None    bool     `json:"-"`
		Timeout Duration `json:"timeout"`
	})(q)
}

func fieldsOf(t reflect.Type) map[string]int {
	fields := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			fields[name] = i
		}
	}
	return fields
}

func suggestion(key string, fields map[string]int) string {
	for _, name := range sortedKeys(fields) {
		if strings.EqualFold(name, key) || strings.EqualFold(name, strings.ReplaceAll(key, "_", "")) || strings.EqualFold(name, key+"s") || strings.EqualFold(name+"s", key) {
			return "; did you mean " + name + "?"
		}
	}
	return "; the fields are " + strings.Join(sortedKeys(fields), ", ")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
