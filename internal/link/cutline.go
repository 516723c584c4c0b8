package link

import (
	"bytes"
	"encoding/json"
	"strings"

	"weir/internal/ir"
)

// cutPut reads a line as appendPut writes it, which most of what is long is, several times as fast as a reader of all JSON
// does. Of any other line it says that it is none.
func cutPut(line []byte) (m message, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"put":[`))
	for ok {
		if rest, ok = bytes.CutPrefix(rest, []byte(`{"id":"`)); !ok {
			break
		}
		id, after, _ := bytes.Cut(rest, []byte{'"'})
		if rest, ok = bytes.CutPrefix(after, []byte(`,"body":`)); !ok || checkID(string(id)) != nil {
			break
		}
		n := objectLength(rest)
		if n == 0 || !m.cut(string(id), bytes.Clone(rest[:n])) {
			break
		}
		if rest = rest[n:]; string(rest) == "}]}" {
			return m, true
		}
		rest, ok = bytes.CutPrefix(rest, []byte("},"))
	}
	return message{}, false
}

// cut adds a resource if its body is JSON.
func (m *message) cut(id string, body []byte) bool {
	if strings.HasPrefix(id, "certificate/") {
		if r := ir.NewResource(id, body); r.Certificate != nil { // which has compared all of it
			if m.read == nil {
				m.read = map[string]*ir.Resource{}
			}
			m.read[id] = r
			m.Put = append(m.Put, &ir.Resource{ID: id, Body: body})
			return true
		}
	}
	m.Put = append(m.Put, &ir.Resource{ID: id, Body: body})
	return json.Valid(body)
}

// objectLength gives the length of the JSON object that a text begins with, if it is one, or 0.
func objectLength(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			for i++; ; i++ {
				end := bytes.IndexByte(text[min(i, len(text)):], '"')
				if end < 0 {
					return 0
				}
				escapes := 0
				for j := i + end - 1; j >= i && text[j] == '\\'; j-- {
					escapes++
				}
				if i += end; escapes%2 == 0 {
					break
				}
			}
		}
		if depth == 0 {
			return 0
		}
	}
	return 0
}
