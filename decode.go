package weir

import (
	"bytes"
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The bounds of what is read.
const (
	// MaxManifest is the longest text that Decode reads, in bytes.
	MaxManifest = 64 << 20
	// MaxObjects is how many objects one text may hold.
	MaxObjects = 200_000
	// MaxDepth is how deep mappings and lists may nest.
	MaxDepth = 20
	// maxDecodeProblems is how many broken rules are looked for in one text.
	maxDecodeProblems = 1000
)

// Decode reads YAML or JSON text of any number of documents, each an object or a list of objects (kind List
// with items, as Export writes JSON), strictly: unknown fields, duplicate keys, aliases, wrong types and
// broken rules are all reported with file, line and path, and then nothing is returned.
// The objects come back with defaults filled in.
func Decode(file string, text []byte) ([]*Object, error) {
	list, problems := decodeAll(file, text)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return list, nil
}

func decodeAll(file string, text []byte) ([]*Object, *Problems) {
	problems := &Problems{}
	fail := func(line int, format string, args ...any) {
		problems.Append(Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
	}
	if len(text) > MaxManifest {
		fail(1, "the text is %d bytes long; at most %d are read", len(text), MaxManifest)
		return nil, problems
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		fail(1+bytes.Count(text[:i], []byte("\n")), "the text holds a NUL byte")
		return nil, problems
	}
	var list []*Object
	take := func(doc *yaml.Node) (goOn bool) {
		for _, node := range itemsOf(doc) {
			if len(list) >= MaxObjects {
				fail(node.Line, "more than %d objects in one text", MaxObjects)
				return false
			}
			if o := decodeObject(file, node, problems); o != nil {
				list = append(list, o)
			}
			if len(problems.list) >= maxDecodeProblems {
				fail(node.Line, "there are more problems; these are enough to begin with")
				return false
			}
		}
		return true
	}
	if doc, ok := readJSON(text); ok {
		take(doc)
		return list, problems
	}
	reader := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := reader.Decode(&doc)
		if err == io.EOF {
			break
		}
		if err != nil {
			fail(lineOf(err), "%s", strings.TrimPrefix(err.Error(), "yaml: "))
			break
		}
		if doc.Kind == 0 || len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue
		}
		if !take(doc.Content[0]) {
			break
		}
	}
	return list, problems
}

func lineOf(err error) int {
	var line int
	if _, after, ok := strings.Cut(err.Error(), "line "); ok {
		_, _ = fmt.Sscanf(after, "%d", &line)
	}
	return line
}

// itemsOf gives the objects in a document: itself, the elements of a list, or the items of kind List.
func itemsOf(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	if n.Kind == yaml.MappingNode {
		if kind := child(n, "kind"); kind != nil && kind.Value == "List" {
			if items := child(n, "items"); items != nil && items.Kind == yaml.SequenceNode {
				return items.Content
			}
		}
	}
	return []*yaml.Node{n}
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func decodeObject(file string, n *yaml.Node, problems *Problems) *Object {
	d := &decoder{file: file, problems: problems}
	found := len(problems.list)
	if n.Kind != yaml.MappingNode {
		d.fail(n, "", "an object must be a mapping with kind, metadata and spec")
		return nil
	}
	name := ""
	if meta := child(n, "metadata"); meta != nil && meta.Kind == yaml.MappingNode {
		if v := child(meta, "name"); v != nil {
			name = v.Value
		}
	}
	word := child(n, "kind")
	if word == nil || word.Kind != yaml.ScalarNode {
		d.fail(n, "kind", "is required")
		return nil
	}
	kind, ok := KindByName(word.Value)
	if !ok {
		d.fail(word, "kind", "%q is no kind; the kinds are %s", clip(word.Value), kindNames())
		return nil
	}
	d.object = kind.Name + "/" + clip(name)
	o := &Object{Kind: kind.Name, Spec: kind.New()}
	wire := struct {
		Kind     string    `json:"kind"`
		Metadata *Metadata `json:"metadata"`
		Spec     any       `json:"spec"`
		Status   any       `json:"status"`
		Revision *int64    `json:"revision"`
	}{Metadata: &o.Metadata, Spec: o.Spec, Revision: &o.Revision}
	d.value(n, reflect.ValueOf(&wire).Elem(), "", 0)
	if len(problems.list) > found {
		return nil
	}
	o.Spec.Normalize()
	check := &Problems{Object: d.object}
	validate(o, kind, check)
	for _, p := range check.list {
		p.File, p.Line = file, d.lineAt(n, p.Path)
		problems.Append(p)
	}
	return o
}

func kindNames() string {
	var list []string
	for _, k := range kinds {
		if !k.ReadOnly {
			list = append(list, k.Name)
		}
	}
	return strings.Join(list, ", ")
}

// Validate normalizes an object and reports every rule it breaks by itself.
func Validate(o *Object) []Problem {
	kind, ok := KindByName(o.Kind)
	p := &Problems{Object: o.Ref().String()}
	if !ok {
		p.Add("kind", "%q is no kind; the kinds are %s", clip(o.Kind), kindNames())
		return p.List()
	}
	o.Spec.Normalize()
	validate(o, kind, p)
	return p.List()
}

func validate(o *Object, kind Kind, p *Problems) {
	m := o.Metadata
	if err := CheckName(m.Name); err != nil {
		p.Add("metadata.name", "%s", err)
	}
	if m.Role != "" {
		if kind.Platform {
			p.Add("metadata.role", "a %s is the platform's and has no role", kind.Name)
		}
		required(p, "metadata.role", m.Role)
	}
	if m.ManagedBy != "" {
		required(p, "metadata.managedBy", m.ManagedBy)
	}
	names(p, "metadata.shareWith", m.ShareWith)
	if len(m.Labels) > 64 {
		p.Add("metadata.labels", "%d labels; at most 64 are allowed", len(m.Labels))
	}
	for _, key := range sortedKeys(m.Labels) {
		text(p, "metadata.labels["+clip(key)+"]", key, 63)
		text(p, "metadata.labels["+clip(key)+"]", m.Labels[key], 255)
	}
	if kind.ReadOnly {
		p.Add("kind", "a %s is made by Weir and can't be written", kind.Name)
		return
	}
	p.prefix = "spec."
	o.Spec.Validate(p)
	p.prefix = ""
}

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
		d.scalar(n, path, func(s string) error { return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)) })
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
