package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// refusal is why HAProxy can't listen somewhere, and since when that is known.
type refusal struct {
	why   error
	since time.Time
}

// spot is where a HAProxy listens, or, with port 0, where its connections to servers come from.
type spot struct {
	netip.AddrPort
	udp       bool
	namespace string // "" for HAProxy's own
}

func (s spot) compare(o spot) int {
	return cmp.Or(s.AddrPort.Compare(o.AddrPort), cmp.Compare(s.network(), o.network()), cmp.Compare(s.namespace, o.namespace))
}

func spotOf(b haproxy.Bound) spot { return spot{b.AddrPort, b.UDP, b.Namespace} }

func (s spot) network() string {
	if s.udp {
		return "UDP"
	}
	return "TCP"
}

// tell is what is told HAProxy's configuration of a spot: of what must be left out.
func (s spot) tell(env *haproxy.Env) map[netip.AddrPort]bool {
	if s.udp {
		return env.UnbindableUDP
	}
	return env.Unbindable
}

// refuseBinds tries the addresses that HAProxy doesn't listen at yet, since one that can't be bound would
// close all its listeners for two seconds. It says whether the list of those to leave out has changed.
func (e *engine) refuseBinds(ctx context.Context, want haproxy.Config) bool {
	ours := e.heldBinds(ctx, want)
	failed := testBinds(want, ours)
	if e.process != nil && len(e.have.Sections) == 0 {
		// Nobody knows where this HAProxy listens: what is taken is most likely its own, and to leave that out would
		// close it.
		failed = slices.DeleteFunc(failed, taken)
	}
	if e.process == nil {
		// A HAProxy that was killed lets go of its ports a moment after it is gone.
		for end := time.Now().Add(dyingPatience); slices.ContainsFunc(failed, taken) && time.Now().Before(end); {
			select {
			case <-ctx.Done():
				return false
			case <-time.After(dyingPace):
			}
			failed = testBinds(want, ours)
		}
	}
	// A machine that lacks one address of a group often lacks all: that is one line in the log, not hundreds.
	refused := map[string][]spot{}
	for _, f := range failed {
		why := bindReason(f.err)
		e.refusedBinds[f.at] = refusal{why, e.clock()}
		f.at.tell(&e.env)[f.at.AddrPort] = true
		refused[why.Error()] = append(refused[why.Error()], f.at)
	}
	for _, why := range slices.Sorted(maps.Keys(refused)) {
		list := refused[why]
		e.log.Warn("addresses left out", "count", len(list), "first", firstBinds(list), "error", why, "hint", bindHint(e.refusedBinds[list[0]].why))
	}
	return len(refused) > 0
}

// How long a start waits for ports that somebody holds, and how often it looks.
const (
	dyingPatience = 2 * time.Second
	dyingPace     = 10 * time.Millisecond
)

// unbound is an address that can't be listened at.
type unbound struct {
	at  spot
	err error
}

func taken(u unbound) bool { return errors.Is(u.err, hapctl.ErrTaken) }

// bindReason gives one of the reasons that bindHint knows, without the address, or the kernel's own.
func bindReason(err error) error {
	for _, known := range []error{hapctl.ErrNoAddress, hapctl.ErrTaken, hapctl.ErrNoRight, hapctl.ErrNoNamespace, hapctl.ErrNoEntry} {
		if errors.Is(err, known) {
			return known
		}
	}
	return cmp.Or(errors.Unwrap(err), err)
}

// bindHint says what somebody can do.
func bindHint(why error) string {
	switch {
	case errors.Is(why, hapctl.ErrNoAddress):
		return "add the addresses to the machine, or name ranges that it has in localRanges of its LoadBalancer, or set net.ipv4.ip_nonlocal_bind (net.ipv6. for IPv6) to 1"
	case errors.Is(why, hapctl.ErrTaken):
		return "end that program or let it listen elsewhere, or give this machine another port in localPorts of its LoadBalancer"
	case errors.Is(why, hapctl.ErrNoRight):
		return "give the agent CAP_NET_BIND_SERVICE, or set net.ipv4.ip_unprivileged_port_start, or give this machine another port in localPorts of its LoadBalancer"
	case errors.Is(why, hapctl.ErrNoNamespace):
		return "make it with ip netns add, or name another in namespace of this LoadBalancer"
	case errors.Is(why, hapctl.ErrNoEntry):
		return "give the agent and HAProxy CAP_SYS_ADMIN (docs/operating.md, Network namespaces), or take namespace out of this LoadBalancer"
	}
	return "they are tried again every " + bindRetry.String()
}

// firstBinds names a few.
func firstBinds(list []spot) string {
	const few = 3
	var b strings.Builder
	for i, a := range list[:min(few, len(list))] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.String())
	}
	if more := len(list) - few; more > 0 {
		b.WriteString(" and " + strconv.Itoa(more) + " more")
	}
	return b.String()
}

// retryBinds tries again what was left out; true means that some can be bound now.
func (e *engine) retryBinds() bool {
	back := e.retryNamespace()
	var now []spot
	for a := range e.refusedBinds {
		if tryAgain(a) == nil {
			now = append(now, a)
		}
	}
	if len(now) == 0 {
		return back
	}
	slices.SortFunc(now, spot.compare)
	e.allowBinds(now)
	e.log.Info("addresses that were left out can be listened at now", "count", len(now), "first", firstBinds(now))
	return true
}

func (e *engine) allowBinds(list []spot) {
	for _, a := range list {
		delete(e.refusedBinds, a)
		delete(a.tell(&e.env), a.AddrPort)
	}
}

// forgetBinds forgets those left out that nobody asks for any more.
func (e *engine) forgetBinds(node ir.Node) {
	if node.Self.Namespace != e.env.NoNamespace {
		e.env.NoNamespace = ""
	}
	if len(e.refusedBinds) == 0 {
		return
	}
	env := e.env
	env.Unbindable, env.UnbindableUDP, env.NoNamespace = nil, nil, ""
	asked := map[spot]bool{}
	for _, b := range haproxy.Render(node, env).Binds() {
		asked[spotOf(b)] = true
	}
	for _, a := range node.Self.Sources {
		asked[spot{AddrPort: haproxy.SourceBind(a)}] = true
	}
	var gone []spot
	for a := range e.refusedBinds {
		if !asked[a] {
			gone = append(gone, a)
		}
	}
	e.allowBinds(gone)
}

// unbindable is what of a resource of an address can't be listened at.
type unbindable struct {
	message string
	since   time.Time
	udp     bool // nothing but HTTP/3 is left out
}

// unbindables says which addresses can't be listened at, by the resource of the address.
func (e *engine) unbindables(list []*ir.Resource) map[string]unbindable {
	if !e.leavesOut() {
		return nil
	}
	out := map[string]unbindable{}
	if message, since := e.lackedSources(); message != "" {
		out["self"] = unbindable{message: message, since: since}
	}
	node, err := ir.Assemble(slices.DeleteFunc(slices.Clone(list), func(r *ir.Resource) bool { return e.quarantine.held[r.ID].TooNew }))
	if err != nil {
		return out
	}
	refused := slices.SortedFunc(maps.Keys(e.refusedBinds), spot.compare)
	for _, a := range node.Addresses {
		if e.env.NoNamespace != "" {
			out["address/"+a.Name] = unbindable{message: e.lackedNamespace(), since: e.noNamespace.since}
			continue
		}
		local := haproxy.LocalAddress(node.Self, a.Address)
		var of []spot
		for _, at := range refused {
			if at.Port() == 0 {
				continue // no listener's
			}
			if at.Addr() == local || at.Addr().IsUnspecified() && at.Addr().Is4() == local.Is4() {
				of = append(of, at)
			}
		}
		if len(of) > 0 {
			out["address/"+a.Name] = e.unbindable(of)
		}
	}
	return out
}

// unbindable says in a sentence for each reason why some ports of one address can't be listened at.
func (e *engine) unbindable(of []spot) unbindable {
	u := unbindable{udp: true}
	ports, hints := map[string][]string{}, map[string]string{}
	for _, at := range of {
		r := e.refusedBinds[at]
		why := r.why.Error()
		port := strconv.Itoa(int(at.Port()))
		u.udp = u.udp && at.udp
		if at.udp {
			port += " for HTTP/3 (UDP)"
		}
		ports[why] = append(ports[why], port)
		hints[why] = bindHint(r.why)
		if u.since.IsZero() || r.since.Before(u.since) {
			u.since = r.since
		}
	}
	var said []string
	for _, why := range slices.Sorted(maps.Keys(ports)) {
		word := "port "
		if len(ports[why]) > 1 {
			word = "ports "
		}
		said = append(said, fmt.Sprintf("can't listen at %s, %s%s: %s; %s", of[0].Addr(), word+strings.Join(ports[why], ", "), within(of[0].namespace), why, hints[why]))
	}
	u.message = strings.Join(said, "; ")
	return u
}
