package main

import (
	"fmt"
	"net/url"
	"strings"

	"weir"
	"weir/internal/api"
)

// mostReferrers is how many of a kind are named.
const mostReferrers = 10

// referrers lists the objects that name this one, as far as the caller may see them.
func (d *description) referrers() {
	target := d.object.Ref()
	kind, _ := weir.KindByName(target.Kind)
	found := new(api.ReferrersAnswer)
	if d.client.get(d.ctx, kind.Plural+"/"+url.PathEscape(target.Name)+"/referrers", nil, found) != nil || len(found.Counts) == 0 {
		return
	}
	d.section("Named by")
	for _, k := range weir.Kinds() {
		var names []string
		for _, r := range found.Referrers {
			if r.Kind == k.Name && len(names) < mostReferrers {
				names = append(names, r.Name)
			}
		}
		text := list(names)
		if more := found.Counts[k.Name] - len(names); more > 0 {
			text = fmt.Sprintf("%s and %s more", strings.Join(names, ", "), thousands(more))
		}
		if len(names) > 0 {
			d.line(d.wrapped("  ", k.Plural+": "+text))
		}
	}
}
