package main

import (
	"slices"

	"weir"
)

// referrers lists the objects that name this one, as far as the caller may see them.
func (d *description) referrers() {
	target := d.object.Ref()
	kinds := kindsThatName(target.Kind)
	found := make([][]string, len(kinds))
	inParallel(len(kinds), 4, func(i int) {
		list, err := d.client.all(d.ctx, kinds[i], nil)
		if err != nil {
			return
		}
		for _, o := range list.Items {
			if slices.ContainsFunc(o.References(), func(r weir.Reference) bool { return r.Ref == target }) {
				found[i] = append(found[i], o.Metadata.Name)
			}
		}
	})
	if !slices.ContainsFunc(found, func(names []string) bool { return len(names) > 0 }) {
		return
	}
	d.section("Named by")
	for i, names := range found {
		if len(names) > 0 {
			d.line(d.wrapped("  ", kinds[i].Plural+": "+some(names, 10)))
		}
	}
}

// kindsThatName gives the kinds whose objects can refer to a kind. Servers, of which there are very many, are
// looked at only for what nothing else tells.
func kindsThatName(target string) []weir.Kind {
	var list []weir.Kind
	for _, k := range weir.Kinds() {
		if k.ReadOnly || k.Name == "Server" && target != "Zone" || target == "Server" && k.Name != "Override" {
			continue
		}
		list = append(list, k)
	}
	return list
}
