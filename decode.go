package weir

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
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

// DecodeJSON is Decode for text that is JSON, of which most is read several times as fast. ok is false for the rest, of
// which it says nothing: Decode reads it when it is written as YAML.
func DecodeJSON(file string, text []byte) (list []*Object, ok bool, err error) {
	doc, ok := readJSON(text)
	if !ok || len(text) > MaxManifest {
		return nil, false, nil
	}
	list, problems := decodeTree(file, doc)
	if err := problems.Err(); err != nil {
		return nil, true, err
	}
	return list, true, nil
}

func decodeTree(file string, doc *yaml.Node) (list []*Object, problems *Problems) {
	problems = &Problems{}
	takeObjects(file, doc, problems, &list)
	return list, problems
}

// takeObjects reads the objects of a document; false says that it is enough.
func takeObjects(file string, doc *yaml.Node, problems *Problems, list *[]*Object) (goOn bool) {
	fail := func(line int, format string, args ...any) {
		problems.Append(Problem{File: file, Line: line, Message: fmt.Sprintf(format, args...)})
	}
	for _, node := range itemsOf(doc) {
		if len(*list) >= MaxObjects {
			fail(node.Line, "more than %d objects in one text", MaxObjects)
			return false
		}
		if o := decodeObject(file, node, problems); o != nil {
			*list = append(*list, o)
		}
		if len(problems.list) >= maxDecodeProblems {
			fail(node.Line, "there are more problems; these are enough to begin with")
			return false
		}
	}
	return true
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
	if doc, ok := readJSON(text); ok {
		return decodeTree(file, doc)
	}
	var list []*Object
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
		if !takeObjects(file, doc.Content[0], problems, &list) {
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
		// DiscoverySource is the one kind that writes objects of others by its own name.
		required(p, "metadata.managedBy", strings.TrimPrefix(m.ManagedBy, ManagedByDiscovery))
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
