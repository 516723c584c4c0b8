package agent

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
)

// leaveNamespace looks whether the network namespace that a configuration listens in can be entered, and leaves out what
// listens there when it can't: HAProxy would refuse the whole configuration, which no object of the group is to blame for.
// It says whether that was learnt now.
func (e *engine) leaveNamespace(want haproxy.Config) bool {
	for name := range inNamespaces(want) {
		err := hapctl.InNamespace(name, func() error { return nil })
		if err == nil {
			continue
		}
		e.env.NoNamespace, e.noNamespace = name, refusal{bindReason(err), e.clock()}
		e.log.Warn("all listeners of sites left out", "namespace", name, "error", err, "hint", bindHint(e.noNamespace.why))
		return true
	}
	return false
}

// retryNamespace tries a namespace again that could not be entered; true means that it can be now.
func (e *engine) retryNamespace() bool {
	name := e.env.NoNamespace
	if name == "" || hapctl.InNamespace(name, func() error { return nil }) != nil {
		return false
	}
	e.env.NoNamespace = ""
	e.log.Info("the network namespace can be entered now", "namespace", name)
	return true
}

// leavesOut says whether something that is asked for is left out of HAProxy's configuration, and to be tried again.
func (e *engine) leavesOut() bool { return len(e.refusedBinds) > 0 || e.env.NoNamespace != "" }

// lackedNamespace says why nothing is listened at.
func (e *engine) lackedNamespace() string {
	return fmt.Sprintf("can't listen%s: %s; %s", within(e.env.NoNamespace), e.noNamespace.why, bindHint(e.noNamespace.why))
}

// within names a network namespace in a sentence, and HAProxy's own not at all.
func within(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " in network namespace " + namespace
}

// testBinds gives the addresses of a configuration that can't be listened at; ours are those of the HAProxy that runs.
func testBinds(want haproxy.Config, ours []spot) []unbound {
	var list []unbound
	wanted, held := inNamespaces(want), map[string][]netip.AddrPort{}
	for _, o := range ours {
		held[o.namespace] = append(held[o.namespace], o.AddrPort)
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		err := hapctl.InNamespace(name, func() error {
			for _, at := range wanted[name] {
				if err := testBind(at, held[name]); err != nil {
					list = append(list, unbound{at, err})
				}
			}
			return nil
		})
		if err != nil {
			for _, at := range wanted[name] {
				list = append(list, unbound{at, err})
			}
		}
	}
	return list
}

// inNamespaces gives what a configuration listens at, by the network namespace.
func inNamespaces(want haproxy.Config) map[string][]spot {
	list := map[string][]spot{}
	for _, b := range want.Binds() {
		list[b.Namespace] = append(list[b.Namespace], spotOf(b))
	}
	return list
}

// testBind tries one in the namespace that this thread is in.
func testBind(at spot, ours []netip.AddrPort) error {
	if at.udp {
		return hapctl.TestBindUDP(at.AddrPort)
	}
	return hapctl.TestBind(at.AddrPort, ours)
}
