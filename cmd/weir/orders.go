package main

import (
	"slices"

	"weir"
)

// printOrders tells which certificates sites begin to have ordered by a change (certificates: auto), and which they want
// no more.
func printOrders(s *screen, objects []objectChange) {
	before, after := weir.NewSet(), weir.NewSet()
	for _, o := range objects {
		if o.Kind != "Site" {
			continue
		}
		if o.Before != nil {
			before.Put(&o.Before.Object)
		}
		if o.After != nil {
			after.Put(&o.After.Object)
		}
	}
	if orders := ordersBeyond(after, before); len(orders) > 0 {
		s.line(s.wrapped("", s.strong("Ordered, unless it is there:")+" "+some(orders, mostOrders)+"; weir get certificates says how far it is."))
	}
	if orders := ordersBeyond(before, after); len(orders) > 0 {
		s.line(s.wrapped("", s.strong("No longer wanted by what was changed:")+" "+some(orders, mostOrders)+"; kept for a day, in case that a site wants it again."))
	}
}

// mostOrders is how many certificates are named.
const mostOrders = 5

// ordersBeyond gives what the sites of one set have ordered and those of another have not.
func ordersBeyond(set, other *weir.Set) (list []string) {
	known := other.Orders()
	for name, w := range set.Orders() {
		if _, ok := known[name]; !ok {
			list = append(list, clean(w.Order.String()))
		}
	}
	slices.Sort(list)
	return list
}
