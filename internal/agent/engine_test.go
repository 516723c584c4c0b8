package agent

import (
	"errors"
	"fmt"
	"net"
	"net/http"
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
	"weir/internal/weirtest"
)

func TestConvergeBringsSitesWithoutReload(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("one", 40, 41)
		b.converge()
		b.settled()
		b.serves("one")

		b.site("two", 42)
		out := b.converge()
		if reloads := b.reloads.Count; (reloads == 0) != (h.Version == "3.4") {
			t.Errorf("a new site took %d reloads: %+v", reloads, out.Plan.Reload)
		}
		b.settled()
		b.serves("two")

		before := b.reloads.Count
		pool := &b.node.Pools[0]
		pool.Servers[0].Weight = 7
		pool.Servers = append(pool.Servers, ir.Server{Name: "s43", Address: netip.AddrPortFrom(b.at(43), 9000), Weight: 5, Owner: "Server/s43"})
		b.converge()
		b.settled()
		pool.Servers = pool.Servers[1:]
		pool.Check.Interval = weir.Duration(200 * time.Millisecond)
		b.converge()
		b.settled()
		b.serves("one")
		if b.reloads.Count != before {
			t.Errorf("servers took a reload: %v", b.reloads.Reasons)
		}

		b.node.Sites, b.node.Pools = b.node.Sites[1:], b.node.Pools[1:]
		b.converge()
		b.settled()
		if status, err := b.get("one.example", "/"); status != 404 {
			t.Errorf("a site that is gone: %d %v", status, err)
		}
		b.serves("two")
	})
}

func TestBadRegexIsHeldAndTheRestServes(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("good", 40)
		b.site("bad", 41)
		bad := &b.node.Sites[1]
		bad.Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: "/(?<unclosed"}}, Backend: "default"}}
		for range 2 {
			out := b.converge()
			if len(b.quarantine.held) != 1 || !strings.Contains(b.quarantine.held["site/bad"].Owner, "Site/bad") {
				t.Fatalf("held: %+v after %+v", b.quarantine.held, out.Held)
			}
			b.serves("good")
		}
		// The site in a good form is released; then the bad form again leaves the good one standing.
		b.node.Sites[1].Routes = nil
		b.converge()
		b.settled()
		b.serves("bad")
		b.node.Sites[1].Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: "/(?<unclosed"}}, Backend: "default"}}
		b.converge()
		b.serves("bad")
		if len(b.quarantine.held) != 1 {
			t.Errorf("held: %+v", b.quarantine.held)
		}
	})
}

func TestAddressThatCannotBeBoundIsLeftOut(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("one", 40)
		taken := weirtest.NewOrigin(t, netip.AddrPortFrom(b.at(18), 8080).String())
		b.converge()
		b.settled()
		b.serves("one")
		if len(b.refusedBinds) != 1 {
			t.Errorf("left out: %v", b.refusedBinds)
		}
		taken.Stop()
		// A program that is being started beside has the listener, too, for a moment.
		weirtest.Eventually(t, longWait, func() error {
			if !b.retryBinds() {
				return fmt.Errorf("left out: %v", b.refusedBinds)
			}
			return nil
		})
		b.converge()
		b.settled()
		if len(b.refusedBinds) != 0 || b.reloads.Count != 1 {
			t.Errorf("left out: %v, reloads %d", b.refusedBinds, b.reloads.Count)
		}
	})
}

func TestAgentThatStartsAnewMovesNothing(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("one", 40)
		b.converge()
		b.serves("one")
		second := *b
		second.engine = openEngine(t, h, b.env.Version, filepath.Dir(b.folder.dir))
		if err := second.resume(t.Context(), b.node.Resources()); err != nil {
			t.Fatal(err)
		}
		if second.process == nil {
			t.Fatal("the running HAProxy was not found")
		}
		if out := second.converge(); !out.idle() {
			t.Errorf("a second agent changes something: %+v", out.Plan)
		}
	})
}

func TestAWaitForServersEndsWhenSomethingNewerIsWanted(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		if h.Version == "3.2" {
			return // a new pool is a reload there, and nothing is waited for
		}
		b := newBed(t, h)
		newer := make(chan struct{}, 1)
		b.interrupt = newer
		b.site("one", 40)
		b.converge()
		b.settled()
		b.serves("one")
		// A site whose only server never comes up, checked every hour.
		b.site("dead", 41)
		dead := &b.node.Pools[1]
		dead.Servers[0].Address = netip.AddrPortFrom(b.at(99), 9000)
		dead.Check.Interval = weir.Duration(time.Hour)
		newer <- struct{}{}
		if _, err := b.engine.converge(t.Context(), b.node.Resources()); !errors.Is(err, hapctl.ErrInterrupted) {
			t.Fatalf("the wait was not interrupted: %v", err)
		}
		b.node.Pools[0].Servers[0].Weight = 7
		newer <- struct{}{}
		if _, err := b.engine.converge(t.Context(), b.node.Resources()); !errors.Is(err, hapctl.ErrInterrupted) {
			t.Fatalf("the wait was not interrupted: %v", err)
		}
		states, err := b.process.Client().ServersState(t.Context(), b.want.Backends[slices.IndexFunc(b.want.Backends, func(x haproxy.Backend) bool { return !haproxy.Own(x.Name) })].Name)
		if err != nil || states[0].Weight != 7 {
			t.Errorf("a weight waited for another pool's servers: %+v %v", states, err)
		}
		b.serves("one")
	})
}

// A Tuning that HAProxy refuses leaves the group with the last good one, or with the defaults when there was none.
func TestHeldTuning(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("one", 40)
		fine, bad := b.node.Tuning, b.node.Tuning
		fine.Name, fine.MaxConnections = "t", 777
		bad.Name, bad.Threads = "t", 100_000
		b.node.Tuning = bad
		b.converge()
		b.settled()
		b.serves("one")
		if held := b.quarantine.held["tuning"]; held.Owner != "Tuning/t" || len(held.Good) > 0 {
			t.Errorf("held: %+v", b.quarantine.held)
		}
		b.node.Tuning = fine
		b.converge()
		b.settled()
		if len(b.quarantine.held) > 0 {
			t.Errorf("held: %+v", b.quarantine.held)
		}
		b.node.Tuning = bad
		for range 2 {
			b.converge()
			b.settled()
		}
		b.serves("one")
		text, _ := b.engine.want.Text()
		if held := b.quarantine.held["tuning"]; len(held.Good) == 0 || !strings.Contains(text, "maxconn 777") {
			t.Errorf("held: %+v\n%s", held, text)
		}
	})
}

// The good form of a held site goes on without what it refers to, when that is taken away.
func TestHeldSiteWhosePoolGoes(t *testing.T) {
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		b := newBed(t, h)
		b.site("good", 40)
		b.site("bad", 41)
		b.site("other", 42)
		bad := &b.node.Sites[1]
		bad.Backends = append(bad.Backends, ir.Backend{Name: "more", Pool: "other"})
		bad.Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Prefix: "/more"}}, Backend: "more"}}
		b.converge()
		b.settled()
		bad.Routes = []weir.SiteRoute{{Match: weir.RouteMatch{Path: &weir.PathMatch{Regex: "/(?<unclosed"}}, Backend: "default"}}
		b.converge()
		b.serves("bad")
		b.node.Sites = b.node.Sites[:2]
		b.node.Pools = b.node.Pools[:2]
		b.converge()
		b.settled()
		b.serves("good")
		b.serves("bad")
		if status, err := b.get("bad.example", "/more"); status != http.StatusServiceUnavailable {
			t.Errorf("a route without a pool: %d %v", status, err)
		}
		if len(b.quarantine.held) != 1 {
			t.Errorf("held: %+v", b.quarantine.held)
		}
		b.node.Pools = b.node.Pools[:1]
		b.converge()
		b.settled()
		b.serves("good")
	})
}

// A HAProxy that was killed holds its ports a moment longer; nobody waits ten seconds for the next try.
func TestAStartWaitsForPortsThatAreLetGoOf(t *testing.T) {
	t.Parallel()
	b := newBed(t, weirtest.HAProxies(t)[0])
	b.site("one", 40)
	holder, err := net.Listen("tcp", netip.AddrPortFrom(b.at(17), 8080).String())
	if err != nil {
		t.Fatal(err)
	}
	gone := time.AfterFunc(dyingPatience/10, func() { _ = holder.Close() })
	defer gone.Stop()
	b.converge()
	if len(b.refusedBinds) > 0 {
		t.Errorf("left out: %v", b.refusedBinds)
	}
	b.serves("one")
}
