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

// selfEntry is the resource "self" of one load balancer. It never changes once made.
type selfEntry struct {
	*ir.Resource
	hash Hash
}

func newSelf(r *ir.Resource) *selfEntry { return &selfEntry{r, hashOf(r)} }

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
	revision int64          // at which the content last changed, or was first known
	seen     int64          // up to which the content is known to be current
	entries  []*ir.Resource // by ID
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

// youngDelta is for how long a stream may still be about to send a delta. Older ones spare an agent that comes back no
// more than to say what it has.
const youngDelta = 30 * time.Second

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
	entries  []*ir.Resource
	hash     Hash
	put      []*ir.Resource
	gone     []string
	keys     []keyRef
	problems weir.Problems
}

// compare works out how entries, which sum up to hash, become those of list. What can't travel keeps its last
// form and is reported.
func compare(old []*ir.Resource, hash Hash, list []*ir.Resource) *change {
	if c, sorted := compareSorted(old, hash, list); sorted {
		return c
	}
	c, _ := compareSorted(old, hash, ordered(list))
	return c
}

// compareSorted is compare for a list sorted by ID, each ID once and none of them "self"; it tells whether that is so.
// Where both share memory it is not looked into. The list itself becomes the entries, unless some of it can't travel as
// it is.
func compareSorted(old []*ir.Resource, hash Hash, list []*ir.Resource) (c *change, sorted bool) {
	c = &change{hash: hash}
	kept := keeper{list: list}
	i := 0
	step := false // the one before is what it was, so that the order is that of old
	for j, r := range list {
		if step && i < len(old) && old[i] == r {
			kept.keep(j, r)
			i++
			continue
		}
		if r.ID == "self" || j > 0 && list[j-1].ID >= r.ID {
			return nil, false
		}
		for ; i < len(old) && old[i].ID < r.ID; i++ {
			c.drop(old[i])
		}
		var was *ir.Resource
		if step = i < len(old) && old[i].ID == r.ID; step {
			was = old[i]
			i++
		}
		if was == nil || !was.Same(r) {
			r = c.take(was, r)
		}
		kept.keep(j, r)
	}
	for ; i < len(old); i++ {
		c.drop(old[i])
	}
	c.entries = kept.entries()
	return c, true
}

// keeper makes entries of a list. As long as each is what stands in its place in the list, there is nothing to make.
type keeper struct {
	list, own []*ir.Resource
	differs   bool
}

// keep adds what stands for element i of the list, nil for nothing.
func (k *keeper) keep(i int, e *ir.Resource) {
	if !k.differs && e != k.list[i] {
		k.differs = true
		k.own = append(make([]*ir.Resource, 0, len(k.list)), k.list[:i]...)
	}
	if k.differs && e != nil {
		k.own = append(k.own, e)
	}
}

func (k *keeper) entries() []*ir.Resource {
	if k.differs {
		return k.own
	}
	return slices.Clip(k.list)
}

func (c *change) drop(e *ir.Resource) {
	c.gone = append(c.gone, e.ID)
	c.hash = c.hash.xor(hashOf(e))
}

// take gives what stands for a resource that is new or not quite what it was; nil for one that can't travel and has no
// last form.
func (c *change) take(was, r *ir.Resource) *ir.Resource {
	e, key, err := travelling(r)
	if err != nil {
		c.problems.Append(weir.Problem{Object: ir.Owner(r.ID), Message: err.Error()})
		return was
	}
	if was != nil {
		if was.Same(e) {
			return was
		}
		c.hash = c.hash.xor(hashOf(was))
	}
	c.hash = c.hash.xor(hashOf(e))
	c.put = append(c.put, e)
	if key != nil {
		c.keys = append(c.keys, keyRef{certificateOf(e), *key})
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

// travelling gives a resource as it is sent, and the key that goes with it; the error says why it can't be sent.
func travelling(r *ir.Resource) (*ir.Resource, *weir.SealedRef, error) {
	if err := checkID(r.ID); err != nil {
		return nil, nil, fmt.Errorf("send resource %.80q: %w", r.ID, err)
	}
	body := r.JSON()
	if len(body) > MaxResource {
		return nil, nil, fmt.Errorf("send resource %s: it is %d bytes long; at most %d are allowed", r.ID, len(body), MaxResource)
	}
	key, err := keyOf(r)
	if err != nil {
		return nil, nil, fmt.Errorf("send resource %s: %w", r.ID, err)
	}
	if r.Certificate != nil {
		return r, key, nil
	}
	if !json.Valid(body) {
		return nil, nil, fmt.Errorf("send resource %s: its body is not JSON", r.ID)
	}
	// A line is a message, and blanks around a value don't survive the journey.
	if bytes.ContainsAny(body, "\r\n") || len(bytes.TrimSpace(body)) != len(body) {
		var b bytes.Buffer
		if err := json.Compact(&b, body); err != nil {
			return nil, nil, fmt.Errorf("send resource %s: %w", r.ID, err)
		}
		r = &ir.Resource{ID: r.ID, Body: b.Bytes()}
	}
	return r, key, nil
}

// bodySize is about how long a body is, in bytes.
func bodySize(r *ir.Resource) int {
	if r.Certificate != nil {
		return r.Certificate.Chain.Len()
	}
	return len(r.Body)
}

func certificateOf(r *ir.Resource) string { return strings.TrimPrefix(r.ID, "certificate/") }

// keyOfEntry is keyOf for what has travelled already.
func keyOfEntry(r *ir.Resource) *weir.SealedRef {
	key, _ := keyOf(r)
	return key
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
