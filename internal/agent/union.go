package agent

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// union gives a with what b has and it doesn't: backends, servers, maps, lists and certificates. It is what to
// look for when HAProxy may be anywhere between the two.
func union(a, b haproxy.Config) haproxy.Config {
	out := a
	out.Backends = joined(a.Backends, b.Backends, func(b haproxy.Backend) string { return b.Name }, func(x, y haproxy.Backend) haproxy.Backend {
		x.Servers = joined(x.Servers, y.Servers, func(s haproxy.Server) string { return s.Name }, first)
		return x
	})
	out.Maps = joined(a.Maps, b.Maps, func(m haproxy.Map) string { return m.Path }, first)
	out.CrtLists = joined(a.CrtLists, b.CrtLists, func(l haproxy.CrtList) string { return l.Path }, first)
	out.Certs = joined(a.Certs, b.Certs, func(c haproxy.Cert) string { return c.Path }, first)
	return out
}

func first[T any](a, _ T) T { return a }

// joined gives the elements of both lists by key; both makes one of two with the same key. A list that both are in memory
// is given as it is, if it is in order.
func joined[T any](a, b []T, key func(T) string, both func(a, b T) T) []T {
	order := func(x, y T) int { return strings.Compare(key(x), key(y)) }
	if sameList(a, b) && slices.IsSortedFunc(a, order) {
		return a
	}
	out := slices.Clone(a)
	at := make(map[string]int, len(a))
	for i := range out {
		at[key(out[i])] = i
	}
	for _, v := range b {
		if i, ok := at[key(v)]; ok {
			out[i] = both(out[i], v)
			continue
		}
		out = append(out, v)
	}
	slices.SortFunc(out, order)
	return out
}
