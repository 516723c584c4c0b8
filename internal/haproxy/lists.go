package haproxy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
)

// listSets are the AccessLists of a node as maps hold them. A client's address finds the narrowest network that it is in,
// a value the same text or the longest that it begins with, and either the set of all lists that cover that. What is
// looked for in the middle or at the end of a value has a map for each list, since HAProxy gives the first that it finds.
type listSets struct {
	of []ir.AccessList // what they were made of
	// networks and holding give, for a list, the ids of the sets that hold it: sets of networks, and of strings.
	networks, holding map[string][]string
	// maps are the entries by the map's path, by key.
	maps map[string][]Entry
}

// readLists puts sets together; those of the same lists in memory are taken over.
func readLists(lists []ir.AccessList, past *listSets) *listSets {
	if past != nil && shared(past.of, lists) {
		return past
	}
	s := &listSets{of: lists, networks: map[string][]string{}, holding: map[string][]string{}, maps: map[string][]Entry{}}
	s.readNetworks()
	for _, m := range stringMaps {
		s.readStrings(m.match, m.lower)
	}
	for i := range lists {
		if l := &lists[i]; scanned(l) {
			entries := make([]Entry, 0, len(l.Strings.Entries))
			for _, e := range l.Strings.Entries {
				entries = append(entries, Entry{listKey(e), l.Name, "AccessList/" + l.Name})
			}
			s.maps[mapWords(l.Name)] = byKey(entries)
		}
	}
	return s
}

// words says that a list is one whose words are looked for one by one.
func (s *listSets) words(list string) bool {
	_, is := s.maps[mapWords(list)]
	return is
}

func scanned(l *ir.AccessList) bool { return l.Strings != nil && l.Strings.Scanned() }

// blank stands in maps for a blank, which no key can have; entries of lists have none of it.
const blank = "`"

// listKey writes an entry of a list as a map's key.
func listKey(entry string) string { return strings.ReplaceAll(entry, " ", blank) }

func byKey(list []Entry) []Entry {
	compare := func(a, b Entry) int { return strings.Compare(a.Key, b.Key) }
	if !slices.IsSortedFunc(list, compare) {
		slices.SortFunc(list, compare)
	}
	return list
}

// listSet is one set of lists, of which there is one in memory.
type listSet struct {
	id    string
	names []string // sorted
	owner string
	with  map[string]*listSet // this set and one list more
}

// listed counts the sets that are used.
type listed struct {
	root  *listSet
	by    map[string]*listSet
	holds map[string][]string
}

func newListed(holds map[string][]string) *listed {
	return &listed{root: &listSet{with: map[string]*listSet{}}, by: map[string]*listSet{}, holds: holds}
}

// and gives a set with one list more.
func (l *listed) and(s *listSet, name string) *listSet {
	if next := s.with[name]; next != nil {
		return next
	}
	next := s
	if at, has := slices.BinarySearch(s.names, name); !has {
		names := slices.Insert(slices.Clone(s.names), at, name)
		id := setID(names)
		if next = l.by[id]; next == nil {
			next = &listSet{id: id, names: names, owner: "AccessList/" + names[0], with: map[string]*listSet{}}
			l.by[id] = next
		}
	}
	s.with[name] = next
	return next
}

// use notes that some entry has a set.
func (l *listed) use(seen map[*listSet]bool, s *listSet) {
	if seen[s] {
		return
	}
	seen[s] = true
	for _, name := range s.names {
		l.holds[name] = append(l.holds[name], s.id)
	}
}

// within walks items that are sorted so that each stands behind what covers it, and gives each the set of its own lists and
// of those that cover it.
func within[T any](items []T, list func(*T) string, same, covers func(a, b *T) bool, l *listed, take func(*T, *listSet)) {
	type open struct {
		item *T
		set  *listSet
	}
	var stack []open
	seen := map[*listSet]bool{}
	var last *listSet
	for i := 0; i < len(items); {
		item := &items[i]
		for len(stack) > 0 && !covers(stack[len(stack)-1].item, item) {
			stack = stack[:len(stack)-1]
		}
		set := l.root
		if len(stack) > 0 {
			set = stack[len(stack)-1].set
		}
		for ; i < len(items) && same(item, &items[i]); i++ {
			set = l.and(set, list(&items[i]))
		}
		if set != last {
			l.use(seen, set)
			last = set
		}
		take(item, set)
		stack = append(stack, open{item, set})
	}
}

type listedNetwork struct {
	network netip.Prefix
	list    string
}

func (s *listSets) readNetworks() {
	n := 0
	for i := range s.of {
		n += len(s.of[i].Networks)
	}
	all := make([]listedNetwork, 0, n)
	for i := range s.of {
		for _, network := range s.of[i].Networks {
			all = append(all, listedNetwork{network, s.of[i].Name})
		}
	}
	slices.SortFunc(all, func(a, b listedNetwork) int {
		return cmp.Or(a.network.Addr().Compare(b.network.Addr()), a.network.Bits()-b.network.Bits())
	})
	entries := make([]Entry, 0, n)
	within(all, func(n *listedNetwork) string { return n.list },
		func(a, b *listedNetwork) bool { return a.network == b.network },
		func(a, b *listedNetwork) bool { return a.network.Contains(b.network.Addr()) },
		newListed(s.networks), func(n *listedNetwork, set *listSet) {
			entries = append(entries, Entry{n.network.String(), set.id, set.owner})
		})
	s.maps[mapLists] = byKey(entries)
}

type listedString struct{ key, list string }

func (s *listSets) readStrings(match string, lower bool) {
	var all []listedString
	for i := range s.of {
		l := &s.of[i]
		if l.Strings == nil || l.Strings.Match != match || l.Strings.IgnoreCase != lower {
			continue
		}
		for _, e := range l.Strings.Entries {
			all = append(all, listedString{listKey(e), l.Name})
		}
	}
	slices.SortFunc(all, func(a, b listedString) int { return strings.Compare(a.key, b.key) })
	entries := make([]Entry, 0, len(all))
	within(all, func(e *listedString) string { return e.list },
		func(a, b *listedString) bool { return a.key == b.key },
		func(a, b *listedString) bool { return match == weir.MatchPrefix && strings.HasPrefix(b.key, a.key) },
		newListed(s.holding), func(e *listedString, set *listSet) {
			entries = append(entries, Entry{e.key, set.id, set.owner})
		})
	s.maps[mapStrings(match, lower)] = entries
}

// longestID is how long the names of a set's lists may be together and still stand in maps as they are, in bytes.
const longestID = 255

// setID names a set of lists: by their names, or by a digest where those would not fit a map's entry.
func setID(names []string) string {
	id := strings.Join(names, "+")
	if len(id) <= longestID {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "+" + hex.EncodeToString(sum[:])
}

// listSets gives the sets of the node's lists, and puts down their maps.
func (r *renderer) listSets() *listSets {
	var past *listSets
	if r.past != nil {
		past = r.past.sets
	}
	r.sets = readLists(r.node.Lists, past)
	for path, entries := range r.sets.maps {
		r.whole[path] = entries
	}
	return r.sets
}
