package weir

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// readJSON reads text that is one JSON value into the tree that the YAML reader would make of it, at a fraction of
// the cost: programs write JSON, and an object a call. ok is false for all else, and for what the two readers could
// understand in different ways; then the YAML reader decides.
func readJSON(text []byte) (n *yaml.Node, ok bool) {
	start := bytes.TrimLeft(text, " \t\r\n")
	if len(start) == 0 || start[0] != '{' && start[0] != '[' || !plain(text) {
		return nil, false
	}
	r := jsonReader{text: text, tokens: json.NewDecoder(bytes.NewReader(text)), line: 1}
	r.tokens.UseNumber()
	if n, ok = r.value(0); !ok {
		return nil, false
	}
	_, err := r.tokens.Token()
	return n, err == io.EOF
}

// plain says whether a text has only characters that YAML takes as they are (YAML 1.2.2, 5.1), and lines that end
// as JSON's do.
func plain(text []byte) bool {
	for len(text) > 0 {
		if b := text[0]; b >= ' ' && b < 0x7f || b == '\n' || b == '\t' || b == '\r' && len(text) > 1 && text[1] == '\n' {
			text = text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		if r < 0xa0 || r == utf8.RuneError || r == 0xfeff || r == 0xfffe || r == 0xffff {
			return false
		}
		text = text[n:]
	}
	return true
}

type jsonReader struct {
	text   []byte
	tokens *json.Decoder
	read   int64 // of text, as far as lines are counted
	line   int
}

// jsonDepth is far beyond MaxDepth, so that whatever is nested too deep is refused in the same words.
const jsonDepth = 10 * MaxDepth

func (r *jsonReader) value(depth int) (*yaml.Node, bool) {
	t, err := r.tokens.Token()
	if err != nil || depth > jsonDepth {
		return nil, false
	}
	to := r.tokens.InputOffset()
	r.line += bytes.Count(r.text[r.read:to], []byte("\n"))
	r.read = to
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line}
	switch v := t.(type) {
	case json.Delim:
		return n, r.inside(n, v, depth)
	case string:
		n.Tag, n.Style, n.Value = "!!str", yaml.DoubleQuotedStyle, v
		return n, !strings.ContainsRune(v, utf8.RuneError) // half a surrogate pair becomes one
	case json.Number:
		n.Tag, n.Value = "!!float", v.String()
		if !strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!int"
		}
	case bool:
		n.Tag, n.Value = "!!bool", "false"
		if v {
			n.Value = "true"
		}
	default:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, true
}

// inside reads the rest of an object or array.
func (r *jsonReader) inside(n *yaml.Node, begin json.Delim, depth int) bool {
	n.Style = yaml.FlowStyle
	switch begin {
	case '{':
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	case '[':
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	default:
		return false
	}
	for r.tokens.More() {
		item, ok := r.value(depth + 1)
		if !ok {
			return false
		}
		n.Content = append(n.Content, item)
	}
	_, err := r.tokens.Token()
	return err == nil
}
