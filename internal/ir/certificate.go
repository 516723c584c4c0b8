package ir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"weir"
)

// NewResource makes one of a body that has come from elsewhere. That of a certificate which says nothing beyond what this
// version knows is read at once, and stands in place of its text.
func NewResource(id string, body []byte) *Resource {
	r := &Resource{ID: id, Body: body}
	if !strings.HasPrefix(id, "certificate/") {
		return r
	}
	c, ok := cutCertificate(body)
	if !ok {
		c = new(Certificate)
		if json.Unmarshal(body, c) != nil || !bytes.Equal(c.json(), body) {
			return r
		}
	}
	r.Body, r.Certificate = nil, c
	return r
}

// json is what json.Marshal gives, for thousands of long chains.
func (c *Certificate) json() []byte {
	return c.appendJSON(make([]byte, 0, c.Chain.Len()+c.Chain.Len()/32+256))
}

func (c *Certificate) appendJSON(b []byte) []byte {
	if !c.plain() {
		return append(b, c.marshal()...)
	}
	b = append(b, `{"name":"`...)
	b = append(b, c.Name...)
	b = append(b, `","chain":"`...)
	b = appendLines(appendLines(b, c.Chain.Leaf()), c.Chain.Rest())
	b = append(b, '"')
	if c.Key != nil {
		b = append(b, `,"key":{"generation":`...)
		b = strconv.AppendInt(b, c.Key.Generation, 10)
		b = append(b, `,"fingerprint":"`...)
		b = append(append(b, c.Key.Fingerprint...), `"}`...)
	}
	for i, name := range c.Names {
		if i == 0 {
			b = append(b, `,"names":[`...)
		} else {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), name...), '"')
	}
	if len(c.Names) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// plain says that no text needs an escape but for the ends of lines.
func (c *Certificate) plain() bool {
	for _, name := range c.Names {
		if !plain(name, 0) {
			return false
		}
	}
	return plain(c.Name, 0) && plain(c.Chain.Leaf(), '\n') && plain(c.Chain.Rest(), '\n') && (c.Key == nil || plain(c.Key.Fingerprint, 0))
}

func appendLines(b []byte, text string) []byte {
	for line := range strings.Lines(text) {
		line, ended := strings.CutSuffix(line, "\n")
		if b = append(b, line...); ended {
			b = append(b, `\n`...)
		}
	}
	return b
}

func (c *Certificate) marshal() []byte {
	raw, err := json.Marshal(c)
	if err != nil {
		panic(fmt.Sprintf("resource certificate/%s: %v", c.Name, err))
	}
	return raw
}

// plain says that JSON needs no escape for a text but for one control character, 0 for none.
func plain(s string, but byte) bool {
	for i := range len(s) {
		if escaped[s[i]] && (s[i] != but || but == 0) {
			return false
		}
	}
	return true
}

// escaped are the bytes that JSON may have to write in another way.
var escaped = func() (list [256]bool) {
	for c := range list {
		list[c] = c < ' ' || c > '~' || strings.IndexByte(`"\\<>&`, byte(c)) >= 0
	}
	return list
}()

// cutCertificate reads what json writes of plain texts, to the letter; of anything else it says that it is not that.
func cutCertificate(body []byte) (c *Certificate, ok bool) {
	c = new(Certificate)
	r := reader{rest: body, ok: true}
	r.word(`{"name":"`)
	c.Name = r.text()
	r.word(`,"chain":"`)
	c.Chain = weir.NewChain(r.lines())
	if r.next(`,"key":{"generation":`) {
		digits, _, _ := bytes.Cut(r.rest, []byte{','})
		generation, _ := strconv.ParseInt(string(digits), 10, 64)
		r.word(strconv.FormatInt(generation, 10) + `,"fingerprint":"`)
		c.Key = &weir.SealedRef{Generation: generation, Fingerprint: r.text()}
		r.word("}")
	}
	if r.next(`,"names":["`) {
		for c.Names = append(c.Names, r.text()); r.next(`,"`); {
			c.Names = append(c.Names, r.text())
		}
		r.word("]")
	}
	r.word("}")
	return c, r.ok && len(r.rest) == 0
}

// reader reads a text from its beginning; ok says that all was as it should be.
type reader struct {
	rest []byte
	ok   bool
}

// next says whether a word comes next, and goes on behind it.
func (r *reader) next(w string) bool {
	rest, ok := bytes.CutPrefix(r.rest, []byte(w))
	r.rest = rest
	return ok
}

func (r *reader) word(w string) { r.ok = r.next(w) && r.ok }

// text is what comes before the next quotation mark, in which nothing may be escaped.
func (r *reader) text() string {
	text := r.quoted()
	r.ok = r.ok && plain(text, 0)
	return text
}

// lines is text in which the ends of lines are escaped.
func (r *reader) lines() string {
	raw := r.quoted()
	text := strings.ReplaceAll(raw, `\n`, "\n")
	// A backslash that is left would not be plain, and an end that was not escaped is none of ours.
	r.ok = r.ok && plain(text, '\n') && strings.IndexByte(raw, '\n') < 0
	return text
}

func (r *reader) quoted() string {
	raw, rest, ok := bytes.Cut(r.rest, []byte{'"'})
	r.rest, r.ok = rest, r.ok && ok
	return string(raw)
}
