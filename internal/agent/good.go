package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"weir/internal/ir"
)

// goodForms keeps on disk the resources that HAProxy last ran with, so that an agent which starts anew, and finds
// another form that is no good, knows what stands in for it. The file grows by what changes. It is not synced:
// what is lost with the machine's power is an older good form.
type goodForms struct {
	path  string
	known map[string]json.RawMessage
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
	g := &goodForms{path: path, known: map[string]json.RawMessage{}}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what HAProxy ran with: %w", err)
	}
	for line := range bytes.Lines(raw) {
		var form goodForm
		if json.Unmarshal(line, &form) != nil {
			return g, g.rewrite()
		}
		g.take(form)
	}
	return g, nil
}

func (g *goodForms) take(form goodForm) {
	g.lines++
	if len(form.Body) == 0 {
		delete(g.known, form.ID)
		return
	}
	g.known[form.ID] = form.Body
}

// resources gives them, by ID.
func (g *goodForms) resources() []*ir.Resource {
	list := make([]*ir.Resource, 0, len(g.known))
	for id, body := range g.known {
		list = append(list, &ir.Resource{ID: id, Body: body})
	}
	slices.SortFunc(list, func(a, b *ir.Resource) int { return bytes.Compare([]byte(a.ID), []byte(b.ID)) })
	return list
}

// keep notes that HAProxy runs with these.
func (g *goodForms) keep(list []*ir.Resource) error {
	news := g.news(list)
	for _, form := range news {
		g.take(form)
	}
	g.last = list
	switch {
	case len(news) == 0 && !g.torn:
		return nil
	case g.torn || g.lines > 2*len(g.known)+1000:
		return g.rewrite()
	}
	f, err := os.OpenFile(g.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = errors.Join(writeForms(f, news), f.Close())
	}
	if err != nil {
		g.torn = true
		return fmt.Errorf("keep what HAProxy runs with: %w", err)
	}
	return nil
}

// news gives what differs from what is known.
func (g *goodForms) news(list []*ir.Resource) []goodForm {
	var news []goodForm
	if put, gone, ok := ir.Changes(g.last, list); ok && g.last != nil {
		for _, r := range put {
			news = append(news, goodForm{r.ID, r.Body})
		}
		for _, id := range gone {
			news = append(news, goodForm{ID: id})
		}
		return news
	}
	there := make(map[string]bool, len(list))
	for _, r := range list {
		there[r.ID] = true
		if old, ok := g.known[r.ID]; !ok || !bytes.Equal(old, r.Body) {
			news = append(news, goodForm{r.ID, r.Body})
			continue
		}
		g.known[r.ID] = r.Body // the same, and in memory once
	}
	for id := range g.known {
		if !there[id] {
			news = append(news, goodForm{ID: id})
		}
	}
	return news
}

func writeForms(f *os.File, forms []goodForm) error {
	w := bufio.NewWriter(f)
	out := json.NewEncoder(w)
	for _, form := range forms {
		if err := out.Encode(form); err != nil {
			return err
		}
	}
	return w.Flush()
}

// rewrite makes the file as short as it can be.
func (g *goodForms) rewrite() error {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	for _, r := range g.resources() {
		if err := out.Encode(goodForm{r.ID, r.Body}); err != nil {
			return fmt.Errorf("keep what HAProxy runs with: %w", err)
		}
	}
	if err := replace(g.path, b.String()); err != nil {
		return fmt.Errorf("keep what HAProxy runs with: %w", err)
	}
	g.lines, g.torn = len(g.known), false
	return nil
}
