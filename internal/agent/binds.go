package agent

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// refuseBinds tries the addresses that HAProxy doesn't listen at yet, since one that can't be bound would
// close all its listeners for two seconds. It says whether the list of those to leave out has changed.
func (e *engine) refuseBinds(want haproxy.Config) bool {
	var ours []netip.AddrPort
	if e.process != nil {
		for _, b := range e.have.Binds() {
			ours = append(ours, b.AddrPort)
		}
	}
	changed := false
	for _, b := range want.Binds() {
		if err := hapctl.TestBind(b.AddrPort, ours); err != nil {
			e.refusedBinds[b.AddrPort] = err.Error()
			e.env.Unbindable[b.AddrPort] = true
			e.log.Warn("address left out", "address", b.AddrPort, "owner", b.Owner, "error", err)
			changed = true
		}
	}
	return changed
}

// retryBinds tries again what was left out; true means that some can be bound now.
func (e *engine) retryBinds() bool {
	changed := false
	for a := range e.refusedBinds {
		if hapctl.TestBind(a, nil) == nil {
			delete(e.refusedBinds, a)
			delete(e.env.Unbindable, a)
			changed = true
		}
	}
	return changed
}

// unbindable says which addresses can't be listened at, by the resource of the address.
func unbindable(list []ir.Resource, e *engine) map[string]string {
	if len(e.refusedBinds) == 0 {
		return nil
	}
	out := map[string]string{}
	node, err := ir.Assemble(list)
	if err != nil {
		return nil
	}
	refused := slices.SortedFunc(maps.Keys(e.refusedBinds), netip.AddrPort.Compare)
	for _, a := range node.Addresses {
		local := haproxy.LocalAddress(node.Self, a.Address)
		var said []string
		for _, at := range refused {
			if at.Addr() == local || at.Addr().IsUnspecified() && at.Addr().Is4() == local.Is4() {
				said = append(said, fmt.Sprintf("port %d of %s can't be listened at: %s", at.Port(), at.Addr(), e.refusedBinds[at]))
			}
		}
		if len(said) > 0 {
			out["address/"+a.Name] = strings.Join(said, "; ")
		}
	}
	return out
}
