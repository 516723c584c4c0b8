package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// swapAbove is how many changes to one map are made one by one; more are made by exchanging all of it.
const swapAbove = 200

// maps changes the entries of maps. What is added or set comes in an order in which every entry finds what it
// leads to, entries that lead to servers not yet up wait for them, and what goes goes last.
func (d *differ) maps() {
	var list []*change
	byPath := func(a, b *haproxy.Map) int { return strings.Compare(a.Path, b.Path) }
	merge(d.have.Maps, d.want.Maps, byPath, func(h, w *haproxy.Map) {
		if h == nil {
			return // a reason to reload
		}
		if w == nil {
			w = &haproxy.Map{Path: h.Path, Ordered: h.Ordered}
		}
		if !shared(h.Entries, w.Entries) && !slices.EqualFunc(h.Entries, w.Entries, sameEntry) {
			list = append(list, d.mapChanges(h, w)...)
		}
	})
	if len(list) == 0 {
		return
	}
	list = d.atOnce(list)
	d.holdBack(list)
	s := &d.stages
	for _, c := range inSequence(list) {
		switch {
		case c.step == leaving:
			s.mapsOut = append(s.mapsOut, c.op)
		case c.held:
			s.mapsHot = append(s.mapsHot, c.op)
		default:
			s.mapsIn = append(s.mapsIn, c.op)
		}
	}
}

func sameEntry(a, b haproxy.Entry) bool { return a.Key == b.Key && a.Value == b.Value }

func compareEntries(a, b *haproxy.Entry) int { return strings.Compare(a.Key, b.Key) }

// step is what a change does, in the order in which changes come if nothing else decides.
type step int

const (
	adding  step = iota // a key is new
	setting             // a key has another value
	leaving             // a key goes
)

// change is one operation on a map with what decides its place among the others.
type change struct {
	op   Op
	step step
	// edits are the entries that it adds, sets and takes away; most have one.
	edits []edit
	held  bool // comes after the waits
	dead  bool // leads to backends that don't serve, so that others of its kind come first

	before  []*change // those that must come before
	visited bool
}

// edit is what happens to one key.
type edit struct {
	key            string
	had, gets      bool
	oldVal, newVal string
	owner          string
}

// mapChanges gives the changes of one map, one by one or as swaps. Entries that a new backend reads by its own
// name (how to check, how long to wait) go in before it, and out after it, and are not among them.
func (d *differ) mapChanges(h, w *haproxy.Map) []*change {
	switch {
	case haproxy.OfLogic(w.Path):
		d.logicChanges(h, w)
		return nil
	case w.Ordered || h.Ordered:
		return d.orderedChanges(h, w)
	}
	if !unique(h.Entries) || !unique(w.Entries) {
		// HAProxy takes the first of equal keys and can't change one of them alone.
		return []*change{d.swap(w, w.Entries, setting, edits(h.Entries, w.Entries))}
	}
	if all := edits(h.Entries, w.Entries); haproxy.OfClients(w.Path) {
		return d.clientChanges(w, all)
	}
	var in, out []edit
	var late []haproxy.Entry
	for _, e := range edits(h.Entries, w.Entries) {
		switch {
		case !e.had && d.readByFresh(e):
			d.stages.keysIn = append(d.stages.keysIn, d.entryOp(MapAdd, w.Path, e))
		case !e.gets && d.readByGone(e):
			d.stages.keysOut = append(d.stages.keysOut, d.entryOp(MapDel, w.Path, e))
			late = append(late, haproxy.Entry{Key: e.key, Value: e.oldVal, Owner: e.owner})
		case e.gets:
			in = append(in, e)
		default:
			out = append(out, e)
		}
	}
	if len(in)+len(out) <= swapAbove {
		return d.oneByOne(w.Path, in, out)
	}
	var list []*change
	if len(in) > 0 {
		list = append(list, d.swap(w, union(w.Entries, kept(out), late), setting, in))
	}
	if len(out) > 0 {
		list = append(list, d.swap(w, union(w.Entries, late), leaving, out))
	}
	return list
}

// orderedChanges appends to a map that is searched from the top, and swaps it for anything else: entries that
// go stay at the end until the others have their place.
func (d *differ) orderedChanges(h, w *haproxy.Map) []*change {
	all := edits(h.Entries, w.Entries)
	n := len(h.Entries)
	appends := n <= len(w.Entries) && slices.EqualFunc(h.Entries, w.Entries[:n], sameEntry) && unique(w.Entries)
	if appends && len(w.Entries)-n <= swapAbove {
		var list []*change
		for _, e := range w.Entries[n:] {
			ed := edit{key: e.Key, gets: true, newVal: e.Value, owner: e.Owner}
			c := &change{op: d.entryOp(MapAdd, w.Path, ed), step: adding, edits: []edit{ed}}
			if len(list) > 0 {
				c.before = []*change{list[len(list)-1]} // their order is what they mean
			}
			list = append(list, c)
		}
		return list
	}
	in, out := gets(all, true), gets(all, false)
	var list []*change
	if !slices.EqualFunc(without(h.Entries, out), w.Entries, sameEntry) {
		list = append(list, d.swap(w, slices.Concat(w.Entries, kept(out)), setting, in))
	}
	if len(out) <= swapAbove && unique(h.Entries) && unique(w.Entries) {
		return append(list, d.oneByOne(w.Path, nil, out)...)
	}
	if len(out) > 0 {
		list = append(list, d.swap(w, w.Entries, leaving, out))
	}
	return list
}

// oneByOne changes single entries. Where the longest beginning of a path counts, a longer key must be there
// before the shorter one that would stand in for it, and must go after it.
func (d *differ) oneByOne(path string, in, out []edit) []*change {
	list := make([]*change, 0, len(in)+len(out))
	for _, e := range slices.Backward(in) {
		k, s := MapSet, setting
		if !e.had {
			k, s = MapAdd, adding
		}
		list = append(list, &change{op: d.entryOp(k, path, e), step: s, edits: []edit{e}, dead: e.had && d.leadsNowhere(e.newVal)})
	}
	nested(list, func(long, short *change) {
		if long.step == adding && short.step == adding {
			short.before = append(short.before, long)
		}
	})
	n := len(list)
	for _, e := range slices.Backward(out) {
		list = append(list, &change{op: d.entryOp(MapDel, path, e), step: leaving, edits: []edit{e}})
	}
	nested(list[n:], func(long, short *change) { long.before = append(long.before, short) })
	slices.Reverse(list[n:])
	return list
}

// nested calls f for single changes, last key first, with each key and the longest other that begins it.
func nested(list []*change, f func(long, short *change)) {
	var open []*change // keys of which each begins the next
	for _, c := range slices.Backward(list) {
		key := c.edits[0].key
		for len(open) > 0 && !strings.HasPrefix(key, open[len(open)-1].edits[0].key) {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			f(c, open[len(open)-1])
		}
		open = append(open, c)
	}
}

func (d *differ) entryOp(k Kind, path string, e edit) Op {
	op := Op{Kind: k, Owner: e.owner, Path: path, Key: e.key}
	if e.gets {
		op.Value = e.newVal
		op.Pools = d.pools(e.newVal)
	}
	return op
}

// pools gives the names of the pools that a value leads to.
func (d *differ) pools(value string) []string {
	var list []string
	for t := range names(value) {
		if base := haproxy.BaseName(t); d.wanted(t) != nil && !slices.Contains(list, base) {
			list = append(list, base)
		}
	}
	return list
}

// edits gives what happens to each key, by key. Of equal keys the first counts, as it does in HAProxy.
func edits(have, want []haproxy.Entry) []edit {
	var list []edit
	last := ""
	merge(have, want, compareEntries, func(h, w *haproxy.Entry) {
		e := edit{had: h != nil, gets: w != nil}
		if h != nil {
			e.key, e.oldVal, e.owner = h.Key, h.Value, h.Owner
		}
		if w != nil {
			e.key, e.newVal, e.owner = w.Key, w.Value, w.Owner
		}
		again := len(list) > 0 && e.key == last
		if (!e.had || !e.gets || e.oldVal != e.newVal) && !again {
			list, last = append(list, e), e.key
		}
	})
	return list
}

// unique says that no key comes twice; entries by key are the quick case.
func unique(list []haproxy.Entry) bool {
	sorted := true
	for i := 1; i < len(list) && sorted; i++ {
		sorted = list[i-1].Key < list[i].Key
	}
	if sorted {
		return true
	}
	seen := make(map[string]bool, len(list))
	for _, e := range list {
		if seen[e.Key] {
			return false
		}
		seen[e.Key] = true
	}
	return true
}
