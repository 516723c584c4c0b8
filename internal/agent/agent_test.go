package agent

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir"
	"weir/internal/hapctl"
	"weir/internal/haproxy"
	"weir/internal/ir"
	"weir/internal/link"
	"weir/internal/weirtest"
)

func TestAMachineWithoutTheAddressesSaysSoOnce(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h)
		a.node.Group.Ranges = append(a.node.Group.Ranges, elsewhere)
		a.node.Addresses = append(a.node.Addresses, ir.Address{Name: "away", Address: elsewhere.Addr().Next(), HomeZone: "az1"})
		a.site("one", 40)
		a.wish()
		a.serves("one")
		said := a.log.lines("addresses left out", slog.LevelWarn)
		if len(said) != 1 {
			t.Fatalf("%d lines: %v", len(said), said)
		}
		for _, part := range []string{"count=16", "192.0.2.16:8080, 192.0.2.17:8080, 192.0.2.18:8080 and 13 more", "does not have", "localRanges", "ip_nonlocal_bind"} {
			if !strings.Contains(said[0], part) {
				t.Errorf("%q is missing in %s", part, said[0])
			}
		}
		d := a.plane.report().Resources.Deviations["address/away"]
		if d.Reason != link.CannotBind || d.Since.IsZero() || !strings.HasPrefix(d.Message, "can't listen at 192.0.2.17, port 8080: the machine does not have the address; add ") {
			t.Errorf("reported: %+v", d)
		}
		// Nobody asks for them any more.
		a.node.Group.Ranges, a.node.Addresses = a.node.Group.Ranges[:1], a.node.Addresses[:1]
		a.wish()
		if r := a.plane.report(); len(r.Resources.Deviations) > 0 {
			t.Errorf("reported: %+v", r.Resources.Deviations)
		}
		if said := a.log.lines("addresses left out", slog.LevelWarn); len(said) != 1 {
			t.Errorf("%d lines: %v", len(said), said)
		}
	})
}

func TestAMachineWithNoneOfTheAddressesGetsThemLater(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		a := newAgentBed(t, h)
		a.site("one", 40)
		here := a.node.Group.Ranges[0]
		a.node.Self.LocalRanges = []ir.Translation{{From: here, To: netip.PrefixFrom(elsewhere.Addr(), here.Bits())}}
		a.wish()
		a.node.Self.LocalRanges = nil
		a.wish()
		a.serves("one")
		if r := a.plane.report(); len(r.Resources.Deviations) > 0 {
			t.Errorf("reported: %+v", r.Resources.Deviations)
		}
	})
}

func TestReconcilesAreLoggedWhenTheyDidSomething(t *testing.T) {
	h := weirtest.HAProxies(t)[0]
	a := newAgentBed(t, h)
	a.site("one", 40)
	a.wish()
	first := a.log.lines("reconcile", slog.LevelInfo)
	if len(first) != 1 || !strings.Contains(first[0], "start=true reload=false") || !strings.Contains(first[0], "starts=1 reloads=0") {
		t.Fatalf("a first start: %v", first)
	}
	// The same again: nothing is to be done.
	a.wish()
	a.await(func(link.Report) error {
		if n := len(a.log.lines("reconcile", slog.LevelDebug)); n != 2 {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	if n := len(a.log.lines("reconcile", slog.LevelInfo)); n != 1 {
		t.Errorf("a pass that found nothing is among the %d lines", n)
	}
	a.node.Pools[0].Servers[0].Weight = 7
	a.wish()
	if said := a.log.lines("reconcile", slog.LevelInfo); len(said) != 2 || !strings.Contains(said[1], "operations=1 start=false reload=false") {
		t.Errorf("a change of weight: %v", said)
	}
}

// What an operator does to one pool must not wait for the servers of a pool of somebody else, which never come up.
func TestADrainDoesNotWaitForAnotherPoolsServers(t *testing.T) {
	h := weirtest.HAProxies(t)[0] // on 3.2 a new pool is a reload, and nothing is waited for
	a := newAgentBed(t, h)
	a.site("one", 40, 42)
	a.wish()
	a.serves("one")
	a.site("dead", 41)
	dead := &a.node.Pools[1]
	dead.Servers[0].Address = netip.AddrPortFrom(a.at(99), 9000)
	dead.Check.Interval = weir.Duration(time.Hour)
	a.offer()
	client := hapctl.NewClient(filepath.Join(a.agent.opts.Dir, haproxyDir, "run", "admin.sock"))
	t.Cleanup(client.Close)
	// weight gives that of the pool's first server.
	weight := func(pool string) (int, error) {
		names, err := client.Backends(t.Context())
		if err != nil {
			return 0, err
		}
		i := slices.IndexFunc(names, func(name string) bool { return haproxy.BaseName(name) == pool })
		if i < 0 {
			return 0, fmt.Errorf("the pool %s is not among %v", pool, names)
		}
		states, err := client.ServersState(t.Context(), names[i])
		if err != nil {
			return 0, err
		}
		for _, s := range states {
			if name := haproxy.BaseName(s.Server); name == "s40" || name == "s41" {
				return s.Weight, nil
			}
		}
		return 0, fmt.Errorf("the servers of %s are %+v", pool, states)
	}
	weirtest.Eventually(t, longWait, func() error {
		_, err := weight("dead")
		return err
	})
	a.node.Pools[0].Servers[0].Weight = 0
	a.offer()
	weirtest.Eventually(t, longWait, func() error {
		n, err := weight("one")
		if err == nil && n != 0 {
			err = fmt.Errorf("not drained: %d", n)
		}
		return err
	})
}
