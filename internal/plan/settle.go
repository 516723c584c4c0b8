package plan

import (
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// Settle gives have with the parts that are as want has them taken from want, so that both share them in memory and
// the next Diff passes over them. Where they differ have stays as it is; owners, which HAProxy doesn't know, are
// want's. A server that stood beside its predecessor has another ID than want says, which its successor must know of.
func Settle(have, want haproxy.Config) haproxy.Config {
	if !shared(have.Sections, want.Sections) && slices.EqualFunc(have.Sections, want.Sections, func(a, b haproxy.Section) bool {
		return a.Spare == b.Spare && sameSection(&a, &b)
	}) {
		have.Sections = want.Sections
	}
	backends := make([]haproxy.Backend, 0, len(have.Backends))
	byName := func(a, b *haproxy.Backend) int { return strings.Compare(a.Name, b.Name) }
	merge(have.Backends, want.Backends, byName, func(h, w *haproxy.Backend) {
		switch {
		case h == nil:
		case w != nil && sameBackend(h, w) && sameIDs(h.Servers, w.Servers):
			backends = append(backends, *w)
		default:
			backends = append(backends, *h)
		}
	})
	have.Backends = backends
	maps := make([]haproxy.Map, 0, len(have.Maps))
	byPath := func(a, b *haproxy.Map) int { return strings.Compare(a.Path, b.Path) }
	merge(have.Maps, want.Maps, byPath, func(h, w *haproxy.Map) {
		switch {
		case h == nil:
		case w != nil && h.Ordered == w.Ordered && (shared(h.Entries, w.Entries) || slices.EqualFunc(h.Entries, w.Entries, sameEntry)):
			maps = append(maps, *w)
		default:
			maps = append(maps, *h)
		}
	})
	have.Maps = maps
	return have
}

// sameIDs says whether servers that are the same have the same numbers, too.
func sameIDs(have, want []haproxy.Server) bool {
	return shared(have, want) || slices.EqualFunc(have, want, func(h, w haproxy.Server) bool { return h.ID == w.ID })
}
