package agent

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// refuseSources looks which of the addresses that connections to servers come from the machine has: from one that it
// lacks no server could be reached, and the system chooses in its place. It costs a few system calls each.
func (e *engine) refuseSources(node ir.Node) {
	var list []spot
	for _, a := range node.Self.Sources {
		at := spot{AddrPort: haproxy.SourceBind(a)}
		if e.env.Unbindable[at.AddrPort] {
			continue
		}
		if err := hapctl.TestSource(a); err != nil {
			e.refusedBinds[at] = refusal{bindReason(err), e.clock()}
			e.env.Unbindable[at.AddrPort] = true
			list = append(list, at)
		}
	}
	if len(list) > 0 {
		e.log.Warn("source addresses left out", "count", len(list), "first", list[0].Addr(), "error", e.refusedBinds[list[0]].why)
	}
}

// tryAgain says why what was left out still is.
func tryAgain(at spot) error {
	if at.Port() == 0 {
		return hapctl.TestSource(at.Addr())
	}
	return hapctl.InNamespace(at.namespace, func() error { return testBind(at, nil) })
}

// lackedSources says which source addresses were left out, and what to do; "" for none.
func (e *engine) lackedSources() (message string, since time.Time) {
	var lacked []string
	for at, r := range e.refusedBinds {
		if at.Port() != 0 {
			continue
		}
		lacked = append(lacked, at.Addr().String()+" ("+r.why.Error()+")")
		if since.IsZero() || r.since.Before(since) {
			since = r.since
		}
	}
	if len(lacked) == 0 {
		return "", since
	}
	slices.SortFunc(lacked, cmp.Compare)
	return "connections to servers do not come from " + strings.Join(lacked, ", ") + ": add what is missing to the machine, or take it out of sourceAddresses of its LoadBalancer", since
}
