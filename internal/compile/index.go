package compile

import (
	"slices"
	"strings"

	"weir"
)

// group of servers that one lookup of a selector finds: those of a role in a zone and a cluster; "" is every
// cluster.
type shelf struct{ role, zone, cluster string }

// index finds the servers that a selector can match without looking at the others.
type index struct {
	shelves map[shelf][]*weir.Object // each by name
	zones   map[string]map[string]int
}

func newIndex() index {
	return index{shelves: map[shelf][]*weir.Object{}, zones: map[string]map[string]int{}}
}

func shelvesOf(o *weir.Object, take func(shelf)) {
	s := o.Spec.(*weir.Server)
	take(shelf{o.Metadata.Role, s.Zone, ""})
	for _, c := range s.Clusters {
		take(shelf{o.Metadata.Role, s.Zone, c})
	}
}

func byName(a, b *weir.Object) int { return strings.Compare(a.Metadata.Name, b.Metadata.Name) }

// add puts a server in; servers that come in the order of their names cost least.
func (x *index) add(o *weir.Object) {
	role, zone := o.Metadata.Role, o.Spec.(*weir.Server).Zone
	if x.zones[role] == nil {
		x.zones[role] = map[string]int{}
	}
	x.zones[role][zone]++
	shelvesOf(o, func(k shelf) {
		list := x.shelves[k]
		if n := len(list); n == 0 || byName(list[n-1], o) < 0 {
			x.shelves[k] = append(list, o)
			return
		}
		i, _ := slices.BinarySearchFunc(list, o, byName)
		x.shelves[k] = slices.Insert(list, i, o)
	})
}

func (x *index) remove(o *weir.Object) {
	role, zone := o.Metadata.Role, o.Spec.(*weir.Server).Zone
	if x.zones[role][zone]--; x.zones[role][zone] == 0 {
		delete(x.zones[role], zone)
	}
	shelvesOf(o, func(k shelf) {
		list := x.shelves[k]
		if i, found := slices.BinarySearchFunc(list, o, byName); found {
			list = slices.Delete(list, i, i+1)
		}
		if len(list) == 0 {
			delete(x.shelves, k)
		} else {
			x.shelves[k] = list
		}
	})
}

// replace puts a server in the place of one of the same name; where nothing that it is found by has changed, no
// list is moved.
func (x *index) replace(old, now *weir.Object) {
	was, is := old.Spec.(*weir.Server), now.Spec.(*weir.Server)
	if old.Metadata.Role != now.Metadata.Role || was.Zone != is.Zone || !slices.Equal(was.Clusters, is.Clusters) {
		x.remove(old)
		x.add(now)
		return
	}
	shelvesOf(now, func(k shelf) {
		if i, found := slices.BinarySearchFunc(x.shelves[k], now, byName); found {
			x.shelves[k][i] = now
		}
	})
}

// selected gives the servers that a pool takes in, by name.
func (x *index) selected(pool *weir.Object) []*weir.Object {
	spec := pool.Spec.(*weir.Pool)
	s := spec.Selector
	if s == nil {
		return nil
	}
	zones := []string{s.Zone}
	if s.Zone == "" {
		zones = zones[:0]
		for zone := range x.zones[s.Role] {
			zones = append(zones, zone)
		}
	}
	clusters := s.Clusters
	if len(clusters) == 0 {
		clusters = []string{""}
	}
	var list []*weir.Object
	for _, zone := range zones {
		for _, cluster := range clusters {
			list = slices.Grow(list, len(x.shelves[shelf{s.Role, zone, cluster}]))
			for _, o := range x.shelves[shelf{s.Role, zone, cluster}] {
				if spec.Selects(pool.Metadata.Role, o) {
					list = append(list, o)
				}
			}
		}
	}
	if len(zones)*len(clusters) > 1 {
		slices.SortFunc(list, byName)
		list = slices.Compact(list)
	}
	return list
}
