package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"weir"
)

// unserved says that HAProxy refuses some of what was written or asked for: then that does not serve as asked, though
// every load balancer has done what it could.
func (c *client) unserved(ctx context.Context, answer *applied, asked []weir.Ref) error {
	fleet, err := c.fleet(ctx)
	if err != nil {
		return fmt.Errorf("every load balancer has revision %d; what HAProxy made of it is not known: %w", answer.Revision, err)
	}
	ours := map[string]bool{}
	for _, ref := range asked {
		ours[ref.String()] = true
	}
	for _, o := range answer.Change.Objects {
		ours[o.Kind+"/"+o.Name] = true
	}
	var b strings.Builder
	for i := range fleet.Groups {
		g := &fleet.Groups[i]
		for _, f := range faultsOf(g, "quarantined") {
			if ours[f.Object] {
				fmt.Fprintf(&b, "\n  %s on %s: %s", f.Object, where(f.names, len(g.LoadBalancers)), oneLine(cmp.Or(f.Message, f.Reason)))
			}
		}
	}
	if b.Len() == 0 {
		return nil
	}
	back := ""
	if len(answer.Change.Objects) > 0 {
		back = ", or take it back with weir undo " + itoa(answer.Revision)
	}
	return fmt.Errorf("every load balancer has revision %d, but not all of it serves; mend it and apply again%s%s", answer.Revision, back, b.String())
}
