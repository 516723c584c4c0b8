package plan

import (
	"maps"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// Equivalent says that a HAProxy which has have does what want asks for. Owners don't count, nor does what have
// may keep until the next reload: spare sections, and maps and lists with nobody's entries in them.
func Equivalent(have, want haproxy.Config) bool {
	return have.Version == want.Version &&
		equivalentSections(have.Sections, want.Sections) &&
		maps.EqualFunc(index(have.Backends, backendName), index(want.Backends, backendName), equivalentBackends) &&
		equivalentMaps(have.Maps, want.Maps) &&
		maps.EqualFunc(index(have.Certs, keyOfCert), index(want.Certs, keyOfCert), func(h, w haproxy.Cert) bool { return h.Digest == w.Digest }) &&
		equivalentLists(have, want)
}

func index[K comparable, T any](list []T, key func(T) K) map[K]T {
	m := make(map[K]T, len(list))
	for _, v := range list {
		m[key(v)] = v
	}
	return m
}

func backendName(b haproxy.Backend) string     { return b.Name }
func serverName(s haproxy.Server) string       { return s.Name }
func mapPath(m haproxy.Map) string             { return m.Path }
func listPath(l haproxy.CrtList) string        { return l.Path }
func keyOfCert(c haproxy.Cert) certKey         { return certKey{c.Path, c.Authority} }
func keyOfEntry(e haproxy.Entry) string        { return e.Key }
func keyOfSection(s haproxy.Section) [2]string { return [2]string{s.Kind, s.Name} }

func equivalentSections(have, want []haproxy.Section) bool {
	asked := index(want, keyOfSection)
	left := slices.DeleteFunc(slices.Clone(have), func(s haproxy.Section) bool {
		_, ok := asked[keyOfSection(s)]
		return !ok && s.Spare
	})
	return slices.EqualFunc(left, want, func(h, w haproxy.Section) bool { return sameSection(&h, &w) })
}

func equivalentBackends(h, w haproxy.Backend) bool {
	return sameText(&h, &w) && h.Unpublished == w.Unpublished && maps.EqualFunc(index(h.Servers, serverName), index(w.Servers, serverName), func(x, y haproxy.Server) bool {
		x.Owner, y.Owner = "", ""
		x.ID, y.ID = haproxy.Place(x.ID), haproxy.Place(y.ID)
		return x == y
	})
}

func equivalentMaps(have, want []haproxy.Map) bool {
	h, w := index(have, mapPath), index(want, mapPath)
	for path, m := range h {
		if _, ok := w[path]; !ok {
			if len(m.Entries) > 0 {
				return false
			}
			delete(h, path)
		}
	}
	return maps.EqualFunc(h, w, func(x, y haproxy.Map) bool {
		if x.Ordered || y.Ordered {
			return x.Ordered == y.Ordered && slices.EqualFunc(x.Entries, y.Entries, sameEntry) // order is what they mean
		}
		return maps.EqualFunc(firstOf(x.Entries), firstOf(y.Entries), sameEntry)
	})
}

// firstOf finds entries by key as HAProxy does: of equal keys the first counts.
func firstOf(list []haproxy.Entry) map[string]haproxy.Entry {
	list = slices.Clone(list)
	slices.Reverse(list)
	return index(list, keyOfEntry)
}

func equivalentLists(have, want haproxy.Config) bool {
	h, w := index(have.CrtLists, listPath), index(want.CrtLists, listPath)
	for path, l := range h {
		if _, ok := w[path]; !ok {
			if slices.ContainsFunc(l.Entries, func(e haproxy.CrtEntry) bool { return managed(have.Certs, e.File) }) {
				return false
			}
			delete(h, path)
		}
	}
	return maps.EqualFunc(h, w, func(x, y haproxy.CrtList) bool { return slices.Equal(crtLines(x), crtLines(y)) })
}

func crtLines(l haproxy.CrtList) []string {
	lines := make([]string, 0, len(l.Entries))
	for _, e := range l.Entries {
		lines = append(lines, e.File+"\x00"+e.Options+"\x00"+strings.Join(e.SNI, "\x00"))
	}
	slices.Sort(lines)
	return lines
}
