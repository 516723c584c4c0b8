package link

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir"
	"weir/internal/ir"
)

// entry is a resource as a group has it. Entries never change once made.
type entry struct {
	*ir.Resource
	hash Hash
	// key is what a certificate refers to, nil for all else.
	key *weir.SealedRef
}

// keyRef names key material that goes with a certificate.
type keyRef struct {
	name string
	ref  weir.SealedRef
}

// delta is one change of a group, encoded once for all who watch it, but for certificates: thousands of chains that
// are in memory anyway would be there once more as text, for half a minute.
type delta struct {
	before Hash // of the group's entries
	at     time.Time
	lines  []byte
	chains []*ir.Resource
	keys   []keyRef
}

func (d *delta) empty() bool { return len(d.lines) == 0 && len(d.chains) == 0 }

// size is about how much of it is in memory only because of it, in bytes: all that is encoded, and of the chains, which
// most often are the present ones, a quarter.
func (d *delta) size() int {
	n := 0
	for _, r := range d.chains {
		n += bodySize(r)
	}
	return len(d.lines) + n/4
}

// group is what all load balancers of a view of a group have in common. The slices are replaced, never changed, so that a
// snapshot can be written from them without holding anybody up.
type group struct {
	key      viewKey
	revision int64    // at which the content last changed, or was first known
	seen     int64    // up to which the content is known to be current
	entries  []*entry // by ID
	hash     Hash
	deltas   []delta
	first    int // number of the oldest delta in deltas, counted from the group's first
	bytes    int // of the sizes of deltas
	changed  chan struct{}
}

func (g *group) next() int { return g.first + len(g.deltas) }

// wake lets everybody who waits look again.
func (g *group) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

const (
	// sharedRings is how many full rings the deltas of all groups may take together once they are young no more.
	sharedRings = 2
	// youngDelta is for how long a stream may still be about to send a delta.
	youngDelta = 30 * time.Second
)

// push adds a delta and forgets old ones: beyond limit bytes in any case, beyond share those that are not young,
// but never the newest.
func (g *group) push(d delta, limit, share int) {
	d.at = time.Now()
	g.deltas = append(g.deltas, d)
	g.bytes += d.size()
	drop := 0
	for drop < len(g.deltas)-1 && (g.bytes > limit || g.bytes > share && d.at.Sub(g.deltas[drop].at) > youngDelta) {
		g.bytes -= g.deltas[drop].size()
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

// change is how a group becomes what a list says.
type change struct {
	entries  []*entry
	hash     Hash
	put      []*ir.Resource
	gone     []string
	keys     []keyRef
	problems weir.Problems
}

// compare works out how entries, which sum up to hash, become those of list. What can't travel keeps its last
// form and is reported.
func compare(old []*entry, hash Hash, list []*ir.Resource) *change {
	if c, sorted := compareSorted(old, hash, list); sorted {
		return c
	}
	c, _ := compareSorted(old, hash, ordered(list))
	return c
}

// compareSorted is compare for a list sorted by ID, each ID once and none of them "self"; it tells whether that is so.
// Where both share memory it is not looked into.
func compareSorted(old []*entry, hash Hash, list []*ir.Resource) (c *change, sorted bool) {
	c = &change{entries: make([]*entry, 0, len(list)), hash: hash}
	i := 0
	step := false // the one before is what it was, so that the order is that of old
	for j, r := range list {
		if step && i < len(old) && old[i].Resource == r {
			c.entries = append(c.entries, old[i])
			i++
			continue
		}
		if r.ID == "self" || j > 0 && list[j-1].ID >= r.ID {
			return nil, false
		}
		for ; i < len(old) && old[i].ID < r.ID; i++ {
			c.drop(old[i])
		}
		var was *entry
		if step = i < len(old) && old[i].ID == r.ID; step {
			was = old[i]
			i++
		}
		if was == nil || was.Resource != r && !was.Same(r) {
			was = c.take(was, r)
		}
		if was != nil {
			c.entries = append(c.entries, was)
		}
	}
	for ; i < len(old); i++ {
		c.drop(old[i])
	}
	return c, true
}

func (c *change) drop(e *entry) {
	c.gone = append(c.gone, e.ID)
	c.hash = c.hash.xor(e.hash)
}

// take gives the entry for a resource that is new or not quite what it was.
func (c *change) take(was *entry, r *ir.Resource) *entry {
	e, err := newEntry(r)
	if err != nil {
		c.problems.Append(weir.Problem{Object: ir.Owner(r.ID), Message: err.Error()})
		return was
	}
	if was != nil && was.hash == e.hash {
		return was
	}
	if was != nil {
		c.hash = c.hash.xor(was.hash)
	}
	c.hash = c.hash.xor(e.hash)
	c.put = append(c.put, e.Resource)
	if e.key != nil {
		c.keys = append(c.keys, e.keyRef())
	}
	return e
}

// delta encodes the change for those whose content is before.
func (c *change) delta(before Hash) delta {
	d := delta{before: before, keys: c.keys}
	var others []*ir.Resource
	for _, r := range c.put {
		if r.Certificate != nil {
			d.chains = append(d.chains, r)
		} else {
			others = append(others, r)
		}
	}
	d.lines = appendPut(appendDelete(nil, c.gone), others)
	return d
}

// ordered gives the resources of the group by ID, the last one of each; "self" is none of the group's.
func ordered(list []*ir.Resource) []*ir.Resource {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *ir.Resource) int { return strings.Compare(a.ID, b.ID) })
	out := list[:0]
	for i, r := range list {
		if r.ID != "self" && (i == len(list)-1 || list[i+1].ID != r.ID) {
			out = append(out, r)
		}
	}
	return out
}

func newEntry(r *ir.Resource) (*entry, error) {
	if err := checkID(r.ID); err != nil {
		return nil, fmt.Errorf("send resource %.80q: %w", r.ID, err)
	}
	body := r.JSON()
	if len(body) > MaxResource {
		return nil, fmt.Errorf("send resource %s: it is %d bytes long; at most %d are allowed", r.ID, len(body), MaxResource)
	}
	key, err := keyOf(r)
	if err != nil {
		return nil, fmt.Errorf("send resource %s: %w", r.ID, err)
	}
	if r.Certificate != nil {
		return &entry{r, hashResource(r.ID, body), key}, nil
	}
	if !json.Valid(body) {
		return nil, fmt.Errorf("send resource %s: its body is not JSON", r.ID)
	}
	// A line is a message, and blanks around a value don't survive the journey.
	if bytes.ContainsAny(body, "\r\n") || len(bytes.TrimSpace(body)) != len(body) {
		var b bytes.Buffer
		if err := json.Compact(&b, body); err != nil {
			return nil, fmt.Errorf("send resource %s: %w", r.ID, err)
		}
		r = &ir.Resource{ID: r.ID, Body: b.Bytes()}
	}
	return &entry{r, hashResource(r.ID, r.Body), key}, nil
}

// bodySize is about how long a body is, in bytes.
func bodySize(r *ir.Resource) int {
	if r.Certificate != nil {
		return len(r.Certificate.Chain)
	}
	return len(r.Body)
}

func (e *entry) keyRef() keyRef {
	return keyRef{strings.TrimPrefix(e.ID, "certificate/"), *e.key}
}

// keyOf gives the key that a certificate needs, nil for other resources and for authorities.
func keyOf(r *ir.Resource) (*weir.SealedRef, error) {
	name, ok := strings.CutPrefix(r.ID, "certificate/")
	if !ok {
		return nil, nil
	}
	if err := weir.CheckName(name); err != nil {
		return nil, fmt.Errorf("its name %w", err)
	}
	if r.Certificate != nil {
		return r.Certificate.Key, nil
	}
	var c ir.Certificate
	if err := json.Unmarshal(r.Body, &c); err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return c.Key, nil
}
