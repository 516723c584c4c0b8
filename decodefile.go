package weir

import (
	"bytes"
	"errors"
	"io"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// DecodeFile reads text, the one YAML or JSON value that a file holds, into what into points at, as strictly as Decode
// reads an object's fields. check fills defaults and looks for broken rules; what it finds gets the lines of the paths.
// The error has every problem with file, line and field.
func DecodeFile(file string, text []byte, into any, check func(*Problems)) error {
	problems := &Problems{}
	if len(text) > MaxManifest {
		problems.Append(Problem{File: file, Line: 1, Message: "is too long"})
		return fileErr(file, problems)
	}
	docs := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := docs.Decode(&doc); err != nil || len(doc.Content) == 0 {
		// Not the reader's error: it may quote what is no one's business.
		problems.Append(Problem{File: file, Line: 1, Message: "can't be read as YAML, or is empty"})
		return fileErr(file, problems)
	}
	if err := docs.Decode(&more); !errors.Is(err, io.EOF) {
		problems.Append(Problem{File: file, Line: max(more.Line, 1), Message: "holds more than one document"})
		return fileErr(file, problems)
	}
	d := &decoder{file: file, problems: problems}
	if d.value(doc.Content[0], reflect.ValueOf(into).Elem(), "", 0); len(problems.list) > 0 {
		return fileErr(file, problems)
	}
	broken := &Problems{}
	check(broken)
	for _, p := range broken.list {
		p.File, p.Line = file, d.lineAt(doc.Content[0], p.Path)
		problems.Append(p)
	}
	return fileErr(file, problems)
}

func fileErr(file string, problems *Problems) error {
	if list := problems.List(); len(list) > 0 {
		return &Error{Kind: Invalid, Message: file + " has mistakes", Problems: list}
	}
	return nil
}
