package link

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// entry is a resource as a group has it. Entries never change once made.
type entry struct {
	ir.Resource
	hash Hash
	// key is what a certificate refers to, nil for all else.
	key *weir.SealedRef
}

// keyRef names key material that goes with a certificate.
type keyRef struct {
	name string
	ref  weir.SealedRef
}

// delta is one change of a group, encoded once for all who watch it.
type delta struct {
	before Hash // of the group's entries
	lines  []byte
	keys   []keyRef
}

// group is what all load balancers of a group have in common. The slices are replaced, never changed, so that a
// snapshot can be written from them without holding anybody up.
type group struct {
	revision int64 // at which the content last changed, or was first known
	seen     int64 // up to which the content is known to be current
	entries  []entry
	hash     Hash
	deltas   []delta
	first    int // number of the oldest delta in deltas, counted from the group's first
	bytes    int // of the lines in deltas
	changed  chan struct{}
}

func (g *group) next() int { return g.first + len(g.deltas) }

// wake lets everybody who waits look again.
func (g *group) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// push adds a delta and forgets old ones beyond limit bytes, but never the newest.
func (g *group) push(d delta, limit int) {
	g.deltas = append(g.deltas, d)
	g.bytes += len(d.lines)
	drop := 0
	for g.bytes > limit && drop < len(g.deltas)-1 {
		g.bytes -= len(g.deltas[drop].lines)
		drop++
	}
	if drop > 0 {
		g.deltas = slices.Clone(g.deltas[drop:]) // cloned, so that what was dropped is freed
		g.first += drop
	}
}

// since finds the delta that follows a content, the newest if there are several; ok is false when the ring does
// not go back that far.
func (g *group) since(had Hash) (next int, ok bool) {
	if had == g.hash {
		return g.next(), true
	}
	for i := len(g.deltas) - 1; i >= 0; i-- {
		if g.deltas[i].before == had {
			return g.first + i, true
		}
	}
	return 0, false
}

// compare works out how entries become those of list. What can't travel keeps its last form and is reported.
func compare(old []entry, list []ir.Resource) (entries []entry, d delta, hash Hash, err error) {
	list = ordered(list)
	var problems weir.Problems
	entries = make([]entry, 0, len(list))
	var put []ir.Resource
	var gone []string
	i := 0
	for _, r := range list {
		for ; i < len(old) && old[i].ID < r.ID; i++ {
			gone = append(gone, old[i].ID)
		}
		var was *entry
		if i < len(old) && old[i].ID == r.ID {
			was = &old[i]
			i++
		}
		if was != nil && bytes.Equal(was.Body, r.Body) {
			entries, hash = append(entries, *was), hash.xor(was.hash)
			continue
		}
		e, err := newEntry(r)
		if err != nil {
			problems.Append(weir.Problem{Object: ir.Owner(r.ID), Message: err.Error()})
			if was != nil {
				entries, hash = append(entries, *was), hash.xor(was.hash)
			}
			continue
		}
		entries, hash = append(entries, e), hash.xor(e.hash)
		if was != nil && was.hash == e.hash {
			continue
		}
		put = append(put, e.Resource)
		if e.key != nil {
			d.keys = append(d.keys, e.keyRef())
		}
	}
	for ; i < len(old); i++ {
		gone = append(gone, old[i].ID)
	}
	d.lines = appendPut(appendDelete(nil, gone), put)
	return entries, d, hash, problems.Err()
}

// ordered gives the resources of the group by ID, the last one of each; "self" is none of the group's.
func ordered(list []ir.Resource) []ir.Resource {
	good := true
	for i, r := range list {
		good = good && r.ID != "self" && (i == 0 || list[i-1].ID < r.ID)
	}
	if good {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b ir.Resource) int { return strings.Compare(a.ID, b.ID) })
	out := list[:0]
	for i, r := range list {
		if r.ID != "self" && (i == len(list)-1 || list[i+1].ID != r.ID) {
			out = append(out, r)
		}
	}
	return out
}

func newEntry(r ir.Resource) (entry, error) {
	if err := checkID(r.ID); err != nil {
		return entry{}, fmt.Errorf("send resource %.80q: %w", r.ID, err)
	}
	if len(r.Body) > MaxResource {
		return entry{}, fmt.Errorf("send resource %s: it is %d bytes long; at most %d are allowed", r.ID, len(r.Body), MaxResource)
	}
	if !json.Valid(r.Body) {
		return entry{}, fmt.Errorf("send resource %s: its body is not JSON", r.ID)
	}
	body := r.Body
	// A line is a message, and blanks around a value don't survive the journey.
	if bytes.ContainsAny(body, "\r\n") || len(bytes.TrimSpace(body)) != len(body) {
		var b bytes.Buffer
		if err := json.Compact(&b, body); err != nil {
			return entry{}, fmt.Errorf("send resource %s: %w", r.ID, err)
		}
		body = b.Bytes()
	}
	key, err := keyOf(r.ID, body)
	if err != nil {
		return entry{}, fmt.Errorf("send resource %s: %w", r.ID, err)
	}
	return entry{ir.Resource{ID: r.ID, Body: body}, hashResource(r.ID, body), key}, nil
}

func (e entry) keyRef() keyRef {
	return keyRef{strings.TrimPrefix(e.ID, "certificate/"), *e.key}
}

// keyOf gives the key that a certificate needs, nil for other resources and for authorities.
func keyOf(id string, body []byte) (*weir.SealedRef, error) {
	name, ok := strings.CutPrefix(id, "certificate/")
	if !ok {
		return nil, nil
	}
	if err := weir.CheckName(name); err != nil {
		return nil, fmt.Errorf("its name %w", err)
	}
	var c ir.Certificate
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return c.Key, nil
}
