package plan

import (
	"cmp"
	"slices"
	"strings"

	"weir/internal/haproxy"
)

// serves says that a server takes new traffic when it is up. One that leads back to this HAProxy is none of the pool's.
func serves(s *haproxy.Server) bool {
	return !haproxy.Own(s.Name) && !s.Maintenance && !s.Drained && !s.Unproven && s.Weight > 0
}

// backends sorts the backends into fresh, gone and changed, and finds the cold ones.
func (d *differ) backends() {
	have, want := d.have.Backends, d.want.Backends
	byName := func(a, b *haproxy.Backend) int { return strings.Compare(a.Name, b.Name) }
	merge(have, want, byName, func(h, w *haproxy.Backend) {
		switch {
		case w == nil:
			d.gone = append(d.gone, h)
			d.leaving[haproxy.BaseName(h.Name)] = true
		case h == nil:
			d.fresh = append(d.fresh, w)
			d.findCold(nil, w)
		case !sameBackend(h, w):
			d.changed = append(d.changed, pair{h, w})
			d.findCold(h, w)
		}
	})
}

// merge calls each with every element of have and want, those that compare equal together and the others with
// nil. Both should be sorted; a list that is not is sorted in a copy. While the two run alike nothing but
// equality is looked at, which is what makes a small change to much cheap.
func merge[T any](have, want []T, compare func(a, b *T) int, each func(h, w *T)) {
	i := 0
	for i < len(have) && i < len(want) && compare(&have[i], &want[i]) == 0 {
		each(&have[i], &want[i])
		i++
	}
	h, w := inOrder(have[i:], compare), inOrder(want[i:], compare)
	for len(h) > 0 || len(w) > 0 {
		c := 0
		switch {
		case len(h) == 0:
			c = 1
		case len(w) == 0:
			c = -1
		default:
			c = compare(&h[0], &w[0])
		}
		switch {
		case c < 0:
			each(&h[0], nil)
			h = h[1:]
		case c > 0:
			each(nil, &w[0])
			w = w[1:]
		default:
			each(&h[0], &w[0])
			h, w = h[1:], w[1:]
		}
	}
}

func inOrder[T any](list []T, compare func(a, b *T) int) []T {
	for i := 1; i < len(list); i++ {
		if compare(&list[i-1], &list[i]) > 0 {
			list = slices.Clone(list)
			slices.SortStableFunc(list, func(a, b T) int { return compare(&a, &b) })
			return list
		}
	}
	return list
}

func sameBackend(h, w *haproxy.Backend) bool {
	if len(h.Servers) != len(w.Servers) || h.Unpublished != w.Unpublished || !sameText(h, w) {
		return false
	}
	if shared(h.Servers, w.Servers) {
		return true
	}
	for i := range h.Servers {
		if !sameServer(&h.Servers[i], &w.Servers[i]) {
			return false
		}
	}
	return true
}

// shared says whether two lists are one in memory, and so equal without a look at what is in them.
func shared[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// sameText says that no reload is needed to make one of the other.
func sameText(h, w *haproxy.Backend) bool {
	return h.Profile == w.Profile && h.Mode == w.Mode && slices.Equal(h.Text, w.Text)
}

func sameServer(h, w *haproxy.Server) bool {
	return h.Name == w.Name && h.Weight == w.Weight && h.Maintenance == w.Maintenance && h.Drained == w.Drained && h.Unproven == w.Unproven &&
		h.MaxConnections == w.MaxConnections && sameForm(h, w)
}

// sameForm says that a server need not be made anew. Of its ID the place counts: the rest was chosen so that it could stand
// beside the one that it replaced.
func sameForm(h, w *haproxy.Server) bool {
	return haproxy.Place(h.ID) == haproxy.Place(w.ID) && h.Check == w.Check && h.Address == w.Address && h.Options == w.Options
}

// findCold notes a backend that serves in want and doesn't in have.
func (d *differ) findCold(h, w *haproxy.Backend) {
	if h != nil && !h.Unpublished && slices.ContainsFunc(h.Servers, func(s haproxy.Server) bool { return serves(&s) }) {
		return
	}
	if !slices.ContainsFunc(w.Servers, func(s haproxy.Server) bool { return serves(&s) }) {
		return
	}
	c := &coldBackend{name: w.Name, owner: w.Owner}
	for i := range w.Servers {
		if s := &w.Servers[i]; serves(s) && s.Check {
			c.servers = append(c.servers, s.Name)
		}
	}
	d.cold[w.Name] = c
}

// newBackend makes a backend and everything in it, then lets rules choose it; no map leads to it yet. When it
// takes over from another generation of its pool it is waited for, however maps may lead to it.
func (d *differ) newBackend(w *haproxy.Backend) {
	s := &d.stages
	s.serveIn = append(s.serveIn, Op{Kind: AddBackend, Owner: w.Owner, Backend: w.Name, Profile: w.Profile, Mode: w.Mode})
	for i := range w.Servers {
		s.serveIn = addServer(s.serveIn, w.Name, &w.Servers[i])
	}
	s.serveIn = append(s.serveIn, Op{Kind: PublishBackend, Owner: w.Owner, Backend: w.Name})
	if c := d.cold[w.Name]; c != nil && d.leaving[haproxy.BaseName(w.Name)] {
		c.wanted = true
	}
}

// goneBackend takes a backend away to which no map leads any more.
func (d *differ) goneBackend(h *haproxy.Backend) {
	s := &d.stages
	if !h.Unpublished {
		s.drain = append(s.drain, Op{Kind: UnpublishBackend, Owner: h.Owner, Backend: h.Name})
	}
	for i := range h.Servers {
		s.drain = append(s.drain, serverOp(DisableServer, h.Name, &h.Servers[i]))
		s.remove = append(s.remove, serverOp(RemoveServer, h.Name, &h.Servers[i]))
	}
	s.remove = append(s.remove, Op{Kind: RemoveBackend, Owner: h.Owner, Backend: h.Name})
}

// waitForCold adds the waits for the cold backends that somebody waits for.
func (d *differ) waitForCold() {
	var list []*coldBackend
	for _, c := range d.cold {
		if c.wanted && len(c.servers) > 0 {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *coldBackend) int { return cmp.Compare(a.name, b.name) })
	for _, c := range list {
		d.stages.waits = append(d.stages.waits, Op{Kind: WaitUp, Owner: c.owner, Backend: c.name, Servers: c.servers})
	}
}
