package weir

import (
	"bytes"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// DecodeValue reads one JSON or YAML value into what into points at, as strictly as Decode reads an object's fields:
// unknown fields, duplicate keys, aliases and wrong types are reported. The text begins at a line of file, and paths begin
// with path. Defaults and rules are the caller's.
func DecodeValue(file string, line int, path string, text []byte, into any, problems *Problems) {
	found := len(problems.list)
	n, ok := readJSON(text)
	if !ok {
		var doc yaml.Node
		if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil || len(doc.Content) == 0 {
			problems.Append(Problem{File: file, Line: line, Path: path, Message: "can't be read as JSON or YAML"})
			return
		}
		n = doc.Content[0]
	}
	d := &decoder{file: file, problems: problems}
	d.value(n, reflect.ValueOf(into).Elem(), path, 0)
	for i := found; i < len(problems.list); i++ {
		problems.list[i].Line += line - 1
	}
}
