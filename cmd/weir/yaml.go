package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// toYAML writes JSON text as YAML with the fields in the same order, so that equal objects are equal texts.
func toYAML(raw []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	node, err := yamlNode(decoder)
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return out.Bytes(), nil
}

// yamlOf writes a value by its JSON form.
func yamlOf(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return toYAML(raw)
}

func yamlNode(decoder *json.Decoder) (*yaml.Node, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return yamlMapping(decoder)
		}
		return yamlSequence(decoder)
	case string:
		return yamlString(v), nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
	}
	return nil, fmt.Errorf("unknown token %v", token)
}

func yamlString(s string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(s)
	if strings.Contains(s, "\n") {
		n.Style = yaml.DoubleQuotedStyle
	}
	if isBlock(s) {
		n.Style = yaml.LiteralStyle
	}
	return n
}

// isBlock says whether a text can be written as lines, as people write it. What begins with a blank, or holds a
// tab at the begin of a line or blanks at the end of one, is read back differently, or not at all.
func isBlock(s string) bool {
	if !strings.Contains(s, "\n") || clean(s) != s || strings.ContainsAny(s[:1], " \n") {
		return false
	}
	for line := range strings.Lines(s) {
		if strings.HasPrefix(strings.TrimLeft(line, " "), "\t") || strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			return false
		}
	}
	return true
}

func yamlMapping(decoder *json.Decoder) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		value, err := yamlNode(decoder)
		if err != nil {
			return nil, err
		}
		word := new(yaml.Node)
		word.SetString(fmt.Sprint(key))
		n.Content = append(n.Content, word, value)
	}
	_, err := decoder.Token()
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n, err
}

// yamlSequence writes short lists of words on one line, as people do.
func yamlSequence(decoder *json.Decoder) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	length, flat := 0, true
	for decoder.More() {
		item, err := yamlNode(decoder)
		if err != nil {
			return nil, err
		}
		flat = flat && item.Kind == yaml.ScalarNode && item.Style != yaml.LiteralStyle
		length += len(item.Value) + 2
		n.Content = append(n.Content, item)
	}
	_, err := decoder.Token()
	if flat && length <= 72 {
		n.Style = yaml.FlowStyle
	}
	return n, err
}

// printDocuments writes objects as a stream of YAML documents.
func printDocuments(out io.Writer, raws []json.RawMessage) error {
	for i, raw := range raws {
		text, err := toYAML(raw)
		if err != nil {
			return err
		}
		if i > 0 {
			text = append([]byte("---\n"), text...)
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// printJSON writes a value indented.
func printJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
