package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"weir/internal/ir"
)

// goodForms keeps on disk the resources that HAProxy last ran with, so that an agent which starts anew, and finds
// another form that is no good, knows what stands in for it. The file grows by what changes. It is not synced:
// what is lost with the machine's power is an older good form.
type goodForms struct {
	path  string
	known map[string]*ir.Resource
	last  []*ir.Resource // what known was brought to last; nil when that isn't sure
	lines int
	torn  bool // what is known is not all in the file, whose last line may be half of one
}

// goodForm is one line: a resource's body, or none when it is gone.
type goodForm struct {
	ID   string          `json:"id"`
	Body json.RawMessage `json:"body,omitempty"`
}

// openGoodForms reads the file, as far as it is whole.
func openGoodForms(path string) (*goodForms, error) {
	g := &goodForms{path: path, known: map[string]*ir.Resource{}}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what HAProxy ran with: %w", err)
	}
	for line := range bytes.Lines(raw) {
		var form goodForm
		if json.Unmarshal(line, &form) != nil {
			return g, g.rewrite()
		}
		if g.lines++; len(form.Body) == 0 {
			delete(g.known, form.ID)
		} else {
			g.known[form.ID] = ir.NewResource(form.ID, form.Body)
		}
	}
	return g, nil
}

// resources gives them, by ID.
func (g *goodForms) resources() []*ir.Resource {
	list := make([]*ir.Resource, 0, len(g.known))
	for _, r := range g.known {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *ir.Resource) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// keep notes that HAProxy runs with these.
func (g *goodForms) keep(list []*ir.Resource) error {
	put, gone := g.news(list)
	for _, r := range put {
		g.known[r.ID] = r
	}
	for _, id := range gone {
		delete(g.known, id)
	}
	g.last = list
	g.lines += len(put) + len(gone)
	switch {
	case len(put)+len(gone) == 0 && !g.torn:
		return nil
	case g.torn || g.lines > 2*len(g.known)+1000:
		return g.rewrite()
	}
	f, err := os.OpenFile(g.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(writeForms(f, put, gone), f.Close())
	}
	if err != nil {
		g.torn = true
		return fmt.Errorf("keep what HAProxy runs with: %w", err)
	}
	return nil
}

// news gives what differs from what is known.
func (g *goodForms) news(list []*ir.Resource) (put []*ir.Resource, gone []string) {
	if put, gone, ok := ir.Changes(g.last, list); ok && g.last != nil {
		return put, gone
	}
	there := make(map[string]bool, len(list))
	for _, r := range list {
		there[r.ID] = true
		if old, ok := g.known[r.ID]; !ok || !old.Same(r) {
			put = append(put, r)
			continue
		}
		g.known[r.ID] = r // the same, and in memory once
	}
	for id := range g.known {
		if !there[id] {
			gone = append(gone, id)
		}
	}
	return put, gone
}

func writeForms(f io.Writer, put []*ir.Resource, gone []string) error {
	w := bufio.NewWriterSize(f, writeSize)
	var b []byte
	for _, r := range put {
		b = fmt.Appendf(b[:0], `{"id":%q,"body":`, r.ID)
		b = append(r.AppendJSON(b), "}\n"...)
		_, _ = w.Write(b)
	}
	for _, id := range gone {
		_, _ = fmt.Fprintf(w, `{"id":%q}`+"\n", id)
	}
	return w.Flush()
}

// rewrite makes the file as short as it can be.
func (g *goodForms) rewrite() error {
	var b strings.Builder
	_ = writeForms(&b, g.resources(), nil)
	if err := replace(g.path, b.String()); err != nil {
		return fmt.Errorf("keep what HAProxy runs with: %w", err)
	}
	g.lines, g.torn = len(g.known), false
	return nil
}
