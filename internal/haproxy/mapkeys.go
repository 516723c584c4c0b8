package haproxy

import (
	"slices"
	"strings"

	"weir/internal/ir"
)

// mapKeys are the Maps of a node as HAProxy has them. What a node shares in memory with the one before is not put together
// again, since a Map may have as many entries as all else together.
type mapKeys struct {
	of    map[string]*keyedMap // by the Map's name, for logic, or by the site's and the Map's
	sites map[string]*joinedMap
}

// keyedMap is one Map: for a site that routes by it the entries that name backends of the site, under the site's name; for
// logic all of them.
type keyedMap struct {
	of       ir.Map
	backends []ir.Backend
	entries  []Entry // by key
}

// joinedMap is one map of HAProxy's with the Maps of all sites.
type joinedMap struct {
	parts   [][]Entry
	entries []Entry
}

// siteMap puts down a Map's entries for a site that routes by it.
func (r *renderer) siteMap(s *ir.Site, name string) {
	i := slices.IndexFunc(r.node.Maps, func(m ir.Map) bool { return m.Name == name })
	if i < 0 {
		return
	}
	m := &r.node.Maps[i]
	path := mapUserExact
	switch m.Match {
	case "regex":
		known := targets(s)
		for _, e := range m.Entries {
			if target, ok := known[e.Value]; ok {
				r.push(mapUserRegexes, regexKey(s.Name, e.Key), target, "Map/"+name)
			}
		}
		return
	case "prefix":
		path = mapUserPrefixes
	}
	if r.keys.sites == nil {
		r.keys.sites = map[string]*joinedMap{}
	}
	if r.keys.sites[path] == nil {
		r.keys.sites[path] = &joinedMap{}
	}
	if entries := r.keyed(m, s); len(entries) > 0 {
		r.keys.sites[path].parts = append(r.keys.sites[path].parts, entries)
	}
}

// targets gives the route to each of a site's backends.
func targets(s *ir.Site) map[string]string {
	known := make(map[string]string, len(s.Backends))
	for _, b := range s.Backends {
		known[b.Name] = s.Name + "/" + b.Name
	}
	return known
}

// keyed gives the entries of a Map whose keys are no regexes, for a site or, where there is none, for logic.
func (r *renderer) keyed(m *ir.Map, s *ir.Site) []Entry {
	k, id := &keyedMap{of: *m}, m.Name
	if s != nil {
		k.backends, id = s.Backends, s.Name+"/"+m.Name
	}
	if done := r.keys.of[id]; done != nil {
		return done.entries
	}
	if r.keys.of == nil {
		r.keys.of = map[string]*keyedMap{}
	}
	r.keys.of[id] = k
	if r.past != nil {
		if past := r.past.keys.of[id]; past != nil && past.like(k) {
			k.entries = past.entries
			return k.entries
		}
	}
	k.entries = make([]Entry, 0, len(m.Entries))
	begin, known := "", map[string]string(nil)
	if s != nil {
		known = targets(s)
		if begin = s.Name; m.Match == "exact" {
			begin += "|"
		}
	}
	for _, e := range m.Entries {
		value, ok := e.Value, true
		if s != nil {
			value, ok = known[e.Value]
		}
		if !ok {
			continue
		}
		key := begin + e.Key
		if m.Match == "prefix" {
			key = prefixKey(begin, e.Key)
		}
		k.entries = append(k.entries, Entry{key, value, "Map/" + m.Name})
	}
	k.entries = firstOfKeys(k.entries)
	return k.entries
}

// like says that the entries would be the same again.
func (k *keyedMap) like(o *keyedMap) bool {
	return k.of.Match == o.of.Match && shared(k.of.Entries, o.of.Entries) &&
		slices.EqualFunc(k.backends, o.backends, func(a, b ir.Backend) bool { return a.Name == b.Name })
}

// firstOfKeys brings entries into the order of their keys; of equal ones the first counts.
func firstOfKeys(list []Entry) []Entry {
	compare := func(a, b Entry) int { return strings.Compare(a.Key, b.Key) }
	if !slices.IsSortedFunc(list, compare) {
		slices.SortStableFunc(list, compare)
	}
	return slices.CompactFunc(list, func(a, b Entry) bool { return a.Key == b.Key })
}

// joinMaps puts down the maps of the sites that route by Maps.
func (r *renderer) joinMaps() {
	for _, path := range []string{mapUserExact, mapUserPrefixes} {
		j := r.keys.sites[path]
		switch {
		case j == nil:
			r.whole[path] = []Entry{}
			continue
		case r.past != nil && r.past.keys.sites[path] != nil && slices.EqualFunc(j.parts, r.past.keys.sites[path].parts, shared):
			j.entries = r.past.keys.sites[path].entries
		case len(j.parts) == 1:
			j.entries = j.parts[0]
		default:
			j.entries = firstOfKeys(slices.Concat(j.parts...))
		}
		r.whole[path] = j.entries
	}
}
