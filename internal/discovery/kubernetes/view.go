package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/internal/discovery"
)

// The bounds of a whole cluster, over all its services.
const (
	maxSlices    = 200_000
	maxEndpoints = 5 * discovery.MaxFound
)

// view is the slices as the server has them at one moment.
type view struct {
	slices    map[string]*slice            // by key
	parts     map[string]map[string]*slice // by part, by key; none is empty
	endpoints int
}

func newView() *view {
	return &view{slices: map[string]*slice{}, parts: map[string]map[string]*slice{}}
}

// put adds s in place of what bore its name.
func (v *view) put(s *slice) error {
	v.remove(s.key())
	if len(v.slices) >= maxSlices || v.endpoints+len(s.endpoints) > maxEndpoints {
		return fmt.Errorf("over %d slices or %d endpoints: %w; watch a namespace, or fewer services by their labels",
			maxSlices, maxEndpoints, discovery.ErrTooMuch)
	}
	v.slices[s.key()] = s
	v.endpoints += len(s.endpoints)
	if s.service == "" {
		return nil
	}
	if v.parts[s.part()] == nil {
		v.parts[s.part()] = map[string]*slice{}
	}
	v.parts[s.part()][s.key()] = s
	return nil
}

// remove takes the slice out that bears a name.
func (v *view) remove(key string) {
	s := v.slices[key]
	if s == nil {
		return
	}
	delete(v.slices, key)
	v.endpoints -= len(s.endpoints)
	if s.service == "" {
		return
	}
	delete(v.parts[s.part()], key)
	if len(v.parts[s.part()]) == 0 {
		delete(v.parts, s.part())
	}
}

// merged is a service over all its slices of a family (or both, IPv4 first), sorted by ID, each ID once: as the slice has
// it that was written last, with the ports that others know besides.
func (v *view) merged(part, family string) []endpoint {
	var of []*slice
	for _, s := range v.parts[part] {
		if family == "" || s.family == family {
			of = append(of, s)
		}
	}
	slices.SortFunc(of, func(a, b *slice) int {
		return cmp.Or(strings.Compare(a.family, b.family), -compare(a.version, b.version), strings.Compare(a.name, b.name))
	})
	var all []endpoint
	at := map[string]int{}
	for _, s := range of {
		for _, e := range s.endpoints {
			i, known := at[e.id]
			if !known {
				at[e.id] = len(all)
				all = append(all, e)
				continue
			}
			for _, p := range e.ports {
				all[i].ports = addPort(all[i].ports, p)
			}
		}
	}
	slices.SortFunc(all, func(a, b endpoint) int { return strings.Compare(a.id, b.id) })
	return all
}

// compare says which of two versions is later: 1 if a is, -1 if b is, 0 if that can't be told. API servers count them up.
func compare(a, b string) int {
	x, err := strconv.ParseUint(a, 10, 64)
	y, err2 := strconv.ParseUint(b, 10, 64)
	if err != nil || err2 != nil {
		return 0
	}
	return cmp.Compare(x, y)
}

func equal(a, b endpoint) bool {
	ports := slices.Equal(a.ports, b.ports)
	a.ports, b.ports = nil, nil
	return ports && a.id == b.id && a.name == b.name && a.address == b.address && a.kind == b.kind && a.state == b.state &&
		a.hostname == b.hostname && a.node == b.node && a.zone == b.zone && a.hints == b.hints
}

// found is e as it is told.
func (e *endpoint) found(part string) discovery.Found {
	f := make(map[string]string, 9+len(e.ports))
	set := func(name, value string) {
		if value != "" {
			f[name] = value
		}
	}
	namespace, service, _ := strings.Cut(part, "/")
	set("name", e.name)
	set("address", e.address)
	set("namespace", namespace)
	set("service", service)
	set("kind", e.kind)
	set("hostname", e.hostname)
	set("node", e.node)
	set("zone", e.zone)
	set("hints", e.hints)
	for _, p := range e.ports {
		number := strconv.Itoa(int(p.number))
		if len(e.ports) == 1 {
			f["port"] = number
		}
		if p.name != "" {
			f["port."+p.name] = number
		}
	}
	return discovery.Found{ID: e.id, Fields: f, State: e.state}
}
