package drift

import (
	"cmp"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// Overlay gives base with the places as from has them. A place that base has no room for, as the weight of a server
// that it doesn't have, is passed over. Neither is changed.
func Overlay(base, from haproxy.Config, places []Place) haproxy.Config {
	if len(places) == 0 {
		return base
	}
	o := overlay{from: newCatalog(from), servers: map[string][]Place{}, entries: map[string][]Place{}, lines: map[string][]Place{}}
	for _, p := range places {
		switch p.Kind {
		case Weight, State, Address, Limit, Server, Published:
			o.servers[p.At] = append(o.servers[p.At], p)
		case Backend:
			base.Backends = put(base.Backends, o.from.backends[p.At], func(b *haproxy.Backend) bool { return b.Name == p.At }, byName)
		case Entry, Map:
			o.entries[p.At] = append(o.entries[p.At], p)
		case Certificate, Authority:
			base.Certs = put(base.Certs, o.from.certs[p], func(c *haproxy.Cert) bool { return placeOfCert(c) == p }, byPlace)
		case ListLine:
			o.lines[p.At] = append(o.lines[p.At], p)
		}
	}
	base.Backends = each(base.Backends, len(o.servers), func(b *haproxy.Backend) { o.backend(b) })
	base.Maps = each(base.Maps, len(o.entries), func(m *haproxy.Map) { o.mapping(m) })
	base.CrtLists = each(base.CrtLists, len(o.lines), func(l *haproxy.CrtList) { o.list(l) })
	return base
}

type overlay struct {
	from                    *catalog
	servers, entries, lines map[string][]Place
}

func byName(a, b haproxy.Backend) int { return strings.Compare(a.Name, b.Name) }

func byPlace(a, b haproxy.Cert) int {
	return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(string(placeOfCert(&b).Kind), string(placeOfCert(&a).Kind)))
}

// put gives the list with v in the place of what is there, or without that when v is nil.
func put[T any](list []T, v *T, there func(*T) bool, order func(a, b T) int) []T {
	out := make([]T, 0, len(list)+1)
	for i := range list {
		if !there(&list[i]) {
			out = append(out, list[i])
		}
	}
	if v != nil {
		out = append(out, *v)
		slices.SortStableFunc(out, order)
	}
	return out
}

// each gives a copy whose elements were changed by f, or the list itself when there is nothing to change.
func each[T any](list []T, changes int, f func(*T)) []T {
	if changes == 0 {
		return list
	}
	list = slices.Clone(list)
	for i := range list {
		f(&list[i])
	}
	return list
}

func (o *overlay) backend(b *haproxy.Backend) {
	places := o.servers[b.Name]
	if len(places) == 0 {
		return
	}
	byServer := make(map[string][]Place, len(places))
	for _, p := range places {
		if p.Kind != Published {
			byServer[p.Name] = append(byServer[p.Name], p)
		} else if f := o.from.backends[b.Name]; f != nil {
			b.Unpublished = f.Unpublished
		}
	}
	servers := make([]haproxy.Server, 0, len(b.Servers)+len(byServer))
	for _, s := range b.Servers {
		if o.server(&s, b.Name, byServer[s.Name]) {
			servers = append(servers, s)
		}
		delete(byServer, s.Name)
	}
	for name, places := range byServer {
		f := o.from.server(b.Name, name)
		if f != nil && slices.ContainsFunc(places, func(p Place) bool { return p.Kind == Server }) {
			added := *f
			added.Unproven = false
			servers = append(servers, added)
		}
	}
	slices.SortFunc(servers, func(a, b haproxy.Server) int { return strings.Compare(a.Name, b.Name) })
	b.Servers = servers
}

// server brings one to what it is in from, and says whether it is there at all.
func (o *overlay) server(s *haproxy.Server, backend string, places []Place) bool {
	f := o.from.server(backend, s.Name)
	for _, p := range places {
		switch {
		case p.Kind == Server && f == nil:
			return false
		case f == nil:
		case p.Kind == Server:
			owner := s.Owner
			*s = *f
			s.Unproven, s.Owner = false, owner
		case p.Kind == Weight:
			s.Weight = f.Weight
		case p.Kind == State:
			s.Maintenance, s.Drained = f.Maintenance, f.Drained
		case p.Kind == Address:
			s.Address = f.Address
		case p.Kind == Limit:
			s.MaxConnections = f.MaxConnections
		}
	}
	return true
}

func (o *overlay) mapping(m *haproxy.Map) {
	places := o.entries[m.Path]
	f := o.from.maps[m.Path]
	if len(places) == 0 || f == nil {
		return
	}
	keys := make(map[string]bool, len(places))
	for _, p := range places {
		if p.Kind == Map {
			m.Entries = f.Entries
			return
		}
		keys[p.Name] = true
	}
	entries := make([]haproxy.Entry, 0, len(m.Entries)+len(keys))
	for _, e := range m.Entries {
		if !keys[e.Key] {
			entries = append(entries, e)
		}
	}
	for _, e := range f.Entries {
		if keys[e.Key] {
			entries = append(entries, e)
			delete(keys, e.Key) // of equal keys the first counts
		}
	}
	slices.SortStableFunc(entries, func(a, b haproxy.Entry) int { return strings.Compare(a.Key, b.Key) })
	m.Entries = entries
}

func (o *overlay) list(l *haproxy.CrtList) {
	places := o.lines[l.Path]
	f := o.from.lists[l.Path]
	if len(places) == 0 || f == nil {
		return
	}
	names := make(map[string]bool, len(places))
	for _, p := range places {
		names[p.Name] = true
	}
	entries := slices.DeleteFunc(slices.Clone(l.Entries), func(e haproxy.CrtEntry) bool { return names[nameOfLine(&e)] })
	for _, e := range f.Entries {
		if names[nameOfLine(&e)] {
			entries = append(entries, e)
		}
	}
	slices.SortStableFunc(entries, func(a, b haproxy.CrtEntry) int {
		return cmp.Or(strings.Compare(a.File, b.File), slices.Compare(a.SNI, b.SNI), strings.Compare(a.Options, b.Options))
	})
	l.Entries = entries
}
