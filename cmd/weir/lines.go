package main

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"weir"
)

// lineIn finds the line in a manifest of an object's field, or of the deepest part of its path that is written
// there; 1 when the object can't be found.
func lineIn(text []byte, ref weir.Ref, path string) int {
	for _, n := range nodesOf(text, ref) {
		return lineOfPath(n, path)
	}
	return 1
}

// lastLineOf finds the line where the last object of a name begins.
func lastLineOf(text []byte, ref weir.Ref) int {
	line := 1
	for _, n := range nodesOf(text, ref) {
		line = n.Line
	}
	return line
}

// nodesOf finds the objects of a name in a manifest.
func nodesOf(text []byte, ref weir.Ref) (list []*yaml.Node) {
	reader := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		if reader.Decode(&doc) != nil || len(doc.Content) == 0 {
			return list
		}
		for _, n := range objectsIn(doc.Content[0]) {
			meta := fieldOf(n, "metadata")
			if valueOf(fieldOf(n, "kind")) == ref.Kind && valueOf(fieldOf(meta, "name")) == ref.Name {
				list = append(list, n)
			}
		}
	}
}

// objectsIn gives the objects of a document: itself, a list's elements, or the items of kind List.
func objectsIn(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	if items := fieldOf(n, "items"); valueOf(fieldOf(n, "kind")) == "List" && items != nil {
		return items.Content
	}
	return []*yaml.Node{n}
}

func fieldOf(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

func valueOf(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}

func lineOfPath(n *yaml.Node, path string) int {
	line := n.Line
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := fieldOf(n, step)
		if i, err := strconv.Atoi(step); err == nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
			next = n.Content[i]
		}
		if next == nil {
			return line
		}
		n, line = next, next.Line
	}
	return line
}
