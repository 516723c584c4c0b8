package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"weir/internal/haproxy"
	"weir/internal/link"
)

// Look is what taking a HAProxy over would change for those who connect to it.
type Look struct {
	// HAProxy is its version, Pid its master, Config the configuration that was found.
	HAProxy string
	Pid     int
	Config  string
	// Kept says of each listener of that configuration what would become of it.
	Kept []haproxy.Kept
	// New are the addresses at which Weir would listen and nobody did.
	New []string
	// Unknown are frontends that HAProxy has and the file does not: the file is not what runs.
	Unknown []string

	letGo []string
	text  string
	rows  []haproxy.StatRow
}

// look finds out what taking HAProxy over for want would change. It changes nothing.
func (h *host) look(ctx context.Context, want haproxy.Config) (Look, error) {
	l := Look{HAProxy: h.met.Version, Pid: h.met.Pid, Config: h.want.Config, letGo: h.want.LetGo}
	text, err := os.ReadFile(h.want.Config)
	if err != nil {
		return l, fmt.Errorf("read the configuration that is to be taken over: %w", err)
	}
	l.text = string(text)
	env, err := h.met.Environment(ctx, h.want.Master)
	if err != nil {
		return l, err
	}
	if l.rows, err = h.met.Statistics(ctx, h.want.Master); err != nil {
		return l, err
	}
	machine, err := machineAddresses()
	if err != nil {
		return l, err
	}
	if h.isOurs(l.text) { // an earlier try ended before HAProxy read it
		if l.text = h.latest; l.text == "" {
			l.text, err = h.record.found(h.dir)
		}
		if err != nil {
			return l, err
		}
	}
	found := haproxy.ReadFound(l.text, env)
	l.Kept = haproxy.KeepFound(found, want, machine)
	for _, row := range l.rows {
		if row.Type == haproxy.StatFrontend && !slices.Contains(found.Frontends, row.Proxy) {
			l.Unknown = append(l.Unknown, row.Proxy)
		}
	}
	for _, b := range want.Binds() {
		if !b.UDP && (b.Namespace != "" || !slices.ContainsFunc(found.Listeners, func(f haproxy.Listener) bool { return covers(f, b.AddrPort) })) {
			l.New = append(l.New, b.AddrPort.String())
		}
	}
	return l, nil
}

// covers says whether somebody who connects to an address reaches a listener.
func covers(l haproxy.Listener, at netip.AddrPort) bool {
	if l.Addr.Port() != at.Port() {
		return false
	}
	own, addr := l.Addr.Addr(), at.Addr().Unmap()
	return own == addr || own.IsUnspecified() && (own.Is4() == addr.Is4() || l.Both)
}

func machineAddresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the machine's addresses: %w", err)
	}
	var addrs []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() {
			addrs = append(addrs, p.Addr().Unmap())
		}
	}
	return addrs, nil
}

// Lost are the listeners at which nobody would answer any more and that nobody has let go, as they are let go.
func (l Look) Lost() []string {
	var list []string
	for _, k := range l.Kept {
		for _, addr := range k.Lost {
			if !slices.Contains(l.letGo, "all") && !slices.Contains(l.letGo, k.Text) && (addr == "" || !slices.Contains(l.letGo, addr)) {
				list = append(list, lostName(k, addr))
			}
		}
	}
	return slices.Compact(list)
}

func lostName(k haproxy.Kept, addr string) string {
	if addr == "" {
		return k.Text
	}
	return addr
}

// Refusal says why HAProxy would not be taken over as things are, and what to do; "" when it would.
func (l Look) Refusal() string {
	switch lost := l.Lost(); {
	case len(l.Unknown) > 0:
		return fmt.Sprintf("HAProxy is not taken over: it has the frontend %s, which %s does not have, so the file is not what runs: mend the file and reload HAProxy first", strings.Join(few(l.Unknown), ", "), l.Config)
	case len(lost) > 0:
		return fmt.Sprintf("HAProxy is not taken over: nobody would answer any more at %s. Give them to Weir (addresses and listeners of sites, ports of the Tuning), or let them end with --let-go ADDRESS", strings.Join(few(lost), ", "))
	}
	return ""
}

// few cuts a list to what a sentence can hold.
func few(list []string) []string {
	const most = 5
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("%d more", len(list)-most))
}

// String tells it to a person, a line for each address.
func (l Look) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HAProxy %s, process %d, reads %s.\n", l.HAProxy, l.Pid, l.Config)
	if len(l.Kept) == 0 {
		b.WriteString("It listens nowhere.\n")
	}
	lost := l.Lost()
	for _, k := range l.Kept {
		switch {
		case len(k.Lost) == 0:
			fmt.Fprintf(&b, "  kept  %s\n", k.Listener)
		case k.Lost[0] == "" || k.Lost[0] == k.Text:
			fmt.Fprintf(&b, "  %s  %s\n", lossWord(slices.Contains(lost, k.Text)), k.Listener)
		default:
			for _, addr := range k.Lost {
				fmt.Fprintf(&b, "  %s  %s, of %s\n", lossWord(slices.Contains(lost, addr)), addr, k.Listener)
			}
		}
	}
	for _, addr := range l.New {
		fmt.Fprintf(&b, "  new   %s\n", addr)
	}
	return b.String()
}

func lossWord(lost bool) string {
	if lost {
		return "LOST"
	}
	return "ends"
}

// The times of a look: how long for the newest state, and how long for any.
const (
	lookSettles = 2 * time.Second
	lookWaits   = 30 * time.Second
)

// LookOver tells what taking HAProxy over would change, and changes nothing at HAProxy; it takes the place of Run.
func (a *Agent) LookOver(ctx context.Context) (look Look, err error) {
	ctx, cancel := context.WithCancel(ctx)
	states, ended := make(chan link.State, 1), make(chan error, 1)
	go func() {
		ended <- a.client.Run(ctx, func(s link.State) {
			select {
			case states <- s:
			case <-ctx.Done():
			}
		})
	}()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended, a.receiver.Close(), a.client.Close())
	}()
	e := a.engine
	if e.host == nil {
		return look, errors.New("look: the agent is not told which HAProxy to take over")
	}
	state, err := newest(ctx, states)
	if err != nil {
		return look, err
	}
	if err := e.meetHost(ctx); err != nil {
		return look, err
	}
	if e.host.away || !e.host.record.Taken.IsZero() {
		return look, fmt.Errorf("look: HAProxy was taken over on %s", e.host.record.Taken.Format(time.RFC3339))
	}
	list, err := e.effective(state.Resources)
	if err != nil {
		return look, err
	}
	node, err := e.assembler.Assemble(list)
	if err != nil {
		return look, err
	}
	node, _ = node.At(e.clock())
	return e.host.look(ctx, e.render(node))
}

// newest waits until no newer state comes: what is on disk may be of another day.
func newest(ctx context.Context, states <-chan link.State) (state link.State, err error) {
	timer := time.NewTimer(lookWaits)
	defer timer.Stop()
	for have := false; ; {
		select {
		case <-ctx.Done():
			return state, context.Cause(ctx)
		case state = <-states:
			have = true
			timer.Reset(lookSettles)
		case <-timer.C:
			if !have {
				return state, fmt.Errorf("look: the control plane has not said within %s what is wanted", lookWaits)
			}
			return state, nil
		}
	}
}
