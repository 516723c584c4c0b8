package store

import (
	"fmt"
	"slices"
	"sync"
	"unique"

	"weir"
)

// equals lets what is equal in many servers be one in memory: a hundred thousand of them have a few roles, zones,
// clusters and sets of ports between them, and a map of one port takes more room than all the rest of a server.
// Objects are never changed, so nobody notices.
type equals struct {
	mu    sync.Mutex
	ports map[string]map[string]weir.Port
	lists map[string][]string
}

// maxEqual is how many values are remembered; servers that have nothing in common gain nothing anyway.
const maxEqual = 10_000

// weights are all that there can be; nobody writes through a pointer of an object.
var weights = func() (list [257]int) {
	for w := range list {
		list[w] = w
	}
	return list
}()

// object replaces parts of an object that nobody else has yet.
func (e *equals) object(o *weir.Object) {
	if o == nil {
		return
	}
	o.Metadata.Role = unique.Make(o.Metadata.Role).Value()
	o.Metadata.ManagedBy = unique.Make(o.Metadata.ManagedBy).Value()
	s, ok := o.Spec.(*weir.Server)
	if !ok {
		return
	}
	s.Zone = unique.Make(s.Zone).Value()
	if w := s.Weight; w != nil && *w >= 0 && *w < len(weights) {
		s.Weight = &weights[*w]
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Ports = same(&e.ports, portsKey(s.Ports), s.Ports)
	s.Clusters = same(&e.lists, fmt.Sprintf("%q", s.Clusters), s.Clusters)
}

func same[T any](known *map[string]T, key string, v T) T {
	if was, ok := (*known)[key]; ok {
		return was
	}
	if *known == nil || len(*known) >= maxEqual {
		*known = map[string]T{}
	}
	(*known)[key] = v
	return v
}

func portsKey(ports map[string]weir.Port) string {
	if len(ports) == 1 {
		for name, port := range ports {
			return name + ":" + port.String()
		}
	}
	list := make([]string, 0, len(ports))
	for name, port := range ports {
		list = append(list, name+":"+port.String())
	}
	slices.Sort(list)
	return fmt.Sprint(len(list), list)
}
