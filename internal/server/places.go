package server

import (
	"slices"
	"strings"

	"weir/internal/ir"
)

// places says which groups have the servers of a name in a pool, whether Servers or a pool's own. Most servers are in
// the same groups as many others, and share the list of these.
type places struct {
	of    map[string]*[]string
	lists map[string]*[]string // by the names in them
}

func newPlaces() *places {
	return &places{of: map[string]*[]string{}, lists: map[string]*[]string{}}
}

// groups gives the groups of a server, sorted; nobody may change the list.
func (p *places) groups(server string) []string {
	if list := p.of[server]; list != nil {
		return *list
	}
	return nil
}

func (p *places) has(server, group string) bool {
	_, ok := slices.BinarySearch(p.groups(server), group)
	return ok
}

// follow takes over that a group's resources, sorted by ID, have become others.
func (p *places) follow(group string, before, after []*ir.Resource) {
	put, gone, _ := ir.Changes(before, after)
	for _, r := range put {
		if name, ok := memberOf(r.ID); ok {
			p.set(name, group, true)
		}
	}
	left := map[string]bool{}
	for _, id := range gone {
		if name, ok := memberOf(id); ok {
			left[name] = true
		}
	}
	if len(left) == 0 {
		return
	}
	for _, r := range after { // another pool may have one of the same name
		if name, ok := memberOf(r.ID); ok {
			delete(left, name)
		}
	}
	for name := range left {
		p.set(name, group, false)
	}
}

func (p *places) set(server, group string, there bool) {
	old := p.groups(server)
	at, is := slices.BinarySearch(old, group)
	if is == there {
		return
	}
	next := slices.Clone(old)
	if there {
		next = slices.Insert(next, at, group)
	} else {
		next = slices.Delete(next, at, at+1)
	}
	if len(next) == 0 {
		delete(p.of, server)
		return
	}
	key := strings.Join(next, " ") // which is in no name
	list := p.lists[key]
	if list == nil {
		list = &next
		p.lists[key] = list
	}
	p.of[server] = list // a part of a resource's ID, which stays as long as the server: see patch
}

// memberOf gives the server's name in a resource's ID, if it is one of a pool.
func memberOf(id string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(id, "server/")
	if !ok {
		return "", false
	}
	_, name, ok = strings.Cut(rest, "/")
	return name, ok
}
