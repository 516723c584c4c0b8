package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

func (d *differ) swap(w *haproxy.Map, entries []haproxy.Entry, s step, ed []edit) *change {
	op := Op{Kind: MapSwap, Path: w.Path, Entries: entries, Changes: len(ed)}
	for i := range ed {
		if i == 0 {
			op.Owner = ed[0].owner
		} else if ed[i].owner != op.Owner {
			op.Owner = ""
			break
		}
	}
	return &change{op: op, step: s, edits: ed}
}

// clientChanges gives the changes of a map whose keys are what clients have, to which nothing leads: all at once, when they
// are many, so that no client is seen by half of a list.
func (d *differ) clientChanges(w *haproxy.Map, all []edit) []*change {
	if len(all) > swapAbove {
		c := d.swap(w, w.Entries, setting, all)
		c.edits = nil // what they lead to is added before, and goes after
		return []*change{c}
	}
	return d.oneByOne(w.Path, gets(all, true), gets(all, false))
}

// logicChanges changes a map that logic looks up, which leads to nothing and to which nothing leads: before all else, and at
// once when the changes are many.
func (d *differ) logicChanges(h, w *haproxy.Map) {
	all := edits(h.Entries, w.Entries)
	var list []*change
	switch {
	case w.Ordered || h.Ordered:
		list = d.orderedChanges(h, w)
	case len(all) <= swapAbove && unique(h.Entries) && unique(w.Entries):
		list = d.oneByOne(w.Path, gets(all, true), gets(all, false))
	}
	if len(list) == 0 || slices.ContainsFunc(list, func(c *change) bool { return c.op.Kind == MapSwap }) {
		list = []*change{d.swap(w, w.Entries, setting, all)}
	}
	for _, c := range inSequence(list) {
		c.op.Pools = nil // a value that is a pool's name by chance
		d.stages.keysIn = append(d.stages.keysIn, c.op)
	}
}

// atOnce makes one exchange of two where nothing else changes. Beside others what goes must go last: what was found in one
// map may be found in the next one then, as a wildcard is in the place of a host.
func (d *differ) atOnce(list []*change) []*change {
	if len(list) != 2 || list[0].op.Kind != MapSwap || list[1].op.Kind != MapSwap || list[0].op.Path != list[1].op.Path {
		return list
	}
	in, out := list[0], list[1]
	return []*change{d.swap(&haproxy.Map{Path: in.op.Path}, out.op.Entries, setting, slices.Concat(in.edits, out.edits))}
}

// gets gives the edits by which a key is there afterwards, or those by which it goes.
func gets(all []edit, there bool) []edit {
	return slices.DeleteFunc(slices.Clone(all), func(e edit) bool { return e.gets != there })
}

func kept(out []edit) []haproxy.Entry {
	list := make([]haproxy.Entry, 0, len(out))
	for _, e := range out {
		list = append(list, haproxy.Entry{Key: e.key, Value: e.oldVal, Owner: e.owner})
	}
	return list
}

func without(list []haproxy.Entry, out []edit) []haproxy.Entry {
	gone := make(map[string]bool, len(out))
	for _, e := range out {
		gone[e.key] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(e haproxy.Entry) bool { return gone[e.Key] })
}

// union joins lists of different keys, by key.
func union(lists ...[]haproxy.Entry) []haproxy.Entry {
	list := slices.Concat(lists...)
	slices.SortStableFunc(list, func(a, b haproxy.Entry) int { return strings.Compare(a.Key, b.Key) })
	return list
}
